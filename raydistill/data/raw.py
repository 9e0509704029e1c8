"""A data set as it was published, before any split or preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RawPart:
    """Images with their classes."""

    images: NDArray[np.uint8]
    """(N, C, H, W), 0 to `RawDataset.white`."""
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
    """Number of images of each split taken from `search`, in the order select, confirm[, test]; the rest is train."""
    white: int
    """Largest pixel value."""
    class_names: tuple[str, ...]
    mirror_keeps_class: bool
    """Whether a mirrored image still belongs to its class."""
