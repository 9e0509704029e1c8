"""Sizes of a data set that a search space is checked against. Imports nothing, so that every module may use it."""

from __future__ import annotations

from dataclasses import dataclass

MOST_IMAGES = 10**7
"""Upper limit of the search for a number of confirm images; larger than any data set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """Sizes of a data set that a search space is checked against before anything starts."""

    smallest_class: int
    """Train images of the smallest class."""
    confirm_images: int
    shape: tuple[int, int, int] | None = None
    """(C, H, W) of one image; with None the size of the network is not checked."""
