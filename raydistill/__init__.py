"""Search for the smallest lossless synthetic set: dataset distillation with Ray Tune and Optuna.

    import raydistill

    result = raydistill.search("digits_datadam")
    print(result.verdict, result.smallest_lossless_ipc)

Importing this loads neither torch nor ray, optuna or pandas; the functions do, when called. What a caller can catch is in
`raydistill.errors`.
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

# The rooms `certify`, `reproduce` and `search` bear the names of functions. Python binds a room to this module when it is first
# imported, which would replace the function; so they are imported here, before the functions take the names.
import raydistill.certify
import raydistill.reproduce
import raydistill.search  # noqa: F401
from raydistill import errors
from raydistill.api import (
    ablate,
    build_experts,
    certify,
    check_data,
    compare,
    distill,
    evaluate,
    evaluate_for,
    export_set,
    import_set,
    import_sets,
    load_set,
    load_study,
    reproduce,
    search,
    status,
    verify,
    write_plots,
    write_report,
    write_space,
)

__all__ = [
    "__version__",
    "ablate",
    "build_experts",
    "certify",
    "check_data",
    "compare",
    "distill",
    "errors",
    "evaluate",
    "evaluate_for",
    "export_set",
    "import_set",
    "import_sets",
    "load_set",
    "load_study",
    "reproduce",
    "search",
    "status",
    "verify",
    "write_plots",
    "write_report",
    "write_space",
]


def __dir__() -> list[str]:
    """What a user calls; the rooms behind it are imported by their full names."""
    return list(__all__)


if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """The installed version, read from its metadata when it is first used."""
        if name == "__version__":
            return importlib.metadata.version("raydistill")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
