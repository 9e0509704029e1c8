"""How a search that runs as a job of a cluster is continued: not by its own command, which names a Ray that ends with the job."""

from __future__ import annotations

import os

AGAIN = "RAYDISTILL_AGAIN"
"""Environment variable of such a job: the command that submitted it, as a person would type it."""


def submitted() -> str | None:
    """The command that submitted the job that this process is; None where it is none."""
    return os.environ.get(AGAIN)
