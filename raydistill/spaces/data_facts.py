"""The facts of a data set that a search space is checked against, and the error of data that cannot be had.

A leaf, so that data sets, methods and the reader of a space may all name them.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_IMAGES = 10**7
"""More confirm images than any data set has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """What a space is checked against before anything starts."""

    smallest_class: int
    confirm_images: int
    shape: tuple[int, int, int] | None = None
    """(C, H, W) of one image; None leaves the network's size unchecked."""
