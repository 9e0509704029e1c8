"""The protocols of this room by name. It imports nothing, so that the command can name them before anything is loaded."""

from __future__ import annotations

USES = ("transfer", "continual", "nas", "cost", "privacy")
"""In the order in which a page shows them."""
