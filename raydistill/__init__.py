"""Search for the smallest lossless synthetic set: dataset distillation with Ray Tune and Optuna.

    import raydistill

    result = raydistill.search("digits_datadam")
    print(result.verdict, result.smallest_lossless_ipc)

Importing this imports neither torch nor ray, optuna or pandas; the functions do, when called.
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

# The package `raydistill.search` must be loaded before the function of that name takes its place here: Python binds a
# subpackage to its parent when it is first imported, which would otherwise replace the function by the module later on.
import raydistill.search  # noqa: F401
from raydistill.api import compare, distill, evaluate, search

__all__ = ["__version__", "compare", "distill", "evaluate", "search"]

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """The installed version, looked up when asked for."""
        if name == "__version__":
            return importlib.metadata.version("raydistill")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
