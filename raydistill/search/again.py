"""How a search that runs as a job of a cluster is continued: not by its own command, which names a Ray that ends with the job."""

from __future__ import annotations

AGAIN = "RAYDISTILL_AGAIN"
"""Environment variable of such a job: the command that submitted it, as a person would type it."""
