"""A data set as it was published, before any split or preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RawPart:
    """Images with their classes."""

    images: NDArray[np.uint8]
    """(N, C, H, W), 0 to `RawDataset.white`; a read-only map of a cached file where the images are many."""
    labels: NDArray[np.int64]
    """(N,)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RawDataset:
    """What a data set function returns."""

    search: RawPart
    """The published training images, or all images if no test split is published."""
    load_test: Callable[[], RawPart] | None
    """Loads the published test images; None if the test split is taken from `search`."""
    sizes: Mapping[str, int]
    """Number of images of each split drawn from `search`, in the order select, confirm[, test]; the rest is train."""
    white: int
    """Largest pixel value."""
    class_names: tuple[str, ...]
    mirror_keeps_class: bool
    """Whether a mirrored image still belongs to its class."""
    given: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Places in `search` of the images whose split the data itself gives (select, confirm); they are not drawn from."""
    groups: NDArray[np.int64] | None = None
    """(N,) number of the group of each image of `search`, whose images all go to one split; None without groups."""

    def drawn_unlike(self, *, has_dropped: bool) -> tuple[str, ...]:
        """Why train and select images are not drawn alike, one by one at random; empty where they are.

        Args:
            has_dropped: whether images were taken out of the train part.
        """
        reasons = {
            "the data gives the select part": "select" in self.given,
            "whole groups were drawn": self.groups is not None,
            "train images that are elsewhere too were dropped": has_dropped,
        }
        return tuple(reason for reason, holds in reasons.items() if holds)
