"""Search for the smallest lossless synthetic set: dataset distillation with Ray Tune and Optuna.

    import raydistill

    result = raydistill.search("digits_datadam")
    print(result.verdict, result.smallest_lossless_ipc)

Importing this imports neither torch nor ray, optuna or pandas; the functions do, when called.
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

# The packages `search`, `certify` and `reproduce` must be loaded before the functions of those names take their places here:
# Python binds a subpackage to its parent when it is first imported, which would otherwise replace the function later on.
import raydistill.certify
import raydistill.reproduce
import raydistill.search  # noqa: F401
from raydistill.api import (
    ablate,
    build_experts,
    certify,
    compare,
    distill,
    evaluate,
    export_set,
    import_set,
    reproduce,
    search,
    status,
    verify,
)

__all__ = [
    "__version__",
    "ablate",
    "build_experts",
    "certify",
    "compare",
    "distill",
    "evaluate",
    "export_set",
    "import_set",
    "reproduce",
    "search",
    "status",
    "verify",
]

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """The installed version, looked up when asked for."""
        if name == "__version__":
            return importlib.metadata.version("raydistill")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
