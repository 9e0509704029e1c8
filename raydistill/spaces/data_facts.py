"""Sizes of a data set that a search space is checked against. Imports nothing of raydistill, so that every module may use it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

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
    train_counts: Mapping[str, int] = field(default_factory=dict)
    """Train images of each class by name; empty where they are not known, as are `select_counts` and `confirm_counts`."""
    select_counts: tuple[int, ...] = ()
    """Select images of each class."""
    confirm_counts: tuple[int, ...] = ()

    def deciding_images(self, metric: Literal["accuracy", "balanced_accuracy"]) -> int:
        """The number of confirm images, in classes of equal size, with which a gap of this metric is known as well."""
        if metric == "accuracy" or not self.confirm_counts:
            return self.confirm_images
        return effective_images(self.confirm_counts)


def effective_images(counts: Sequence[int]) -> int:
    """The number of images in classes of equal size whose mean over classes varies as much as that of classes of these sizes.

    K^2 / sum(1 / n_k) for K classes of n_k images: with 90 and 10 images, 36.
    """
    return math.floor(len(counts) ** 2 / sum(Fraction(1, count) for count in counts))
