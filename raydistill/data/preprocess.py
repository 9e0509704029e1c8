"""Invertible preprocessing, fitted on the train split: standardisation per channel, and ZCA whitening.

Both fits start from integer sums of bytes, which are exact in any order, so they do not depend on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raydistill.data import zca
from raydistill.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Standardise:
    """Subtract a mean and divide by a standard deviation, per channel, in units of full pixel scale (0 to 1)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) pixels in 0 to 1 to standardised images."""
        mean, std = self.tensors(pixels.dtype, pixels.device)
        return (pixels - mean) / std

    def invert(self, images: Tensor) -> Tensor:
        """Standardised images to pixels; synthetic ones may lie outside 0 to 1."""
        mean, std = self.tensors(images.dtype, images.device)
        return images * std + mean

    def tensors(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, each (1, C, 1, 1)."""
        # A copy that blocks would wait for all work queued on a GPU.
        mean, std = torch.tensor([self.mean, self.std], dtype=dtype).to(device, non_blocking=True).view(2, 1, -1, 1, 1)
        return mean, std


@dataclass(frozen=True, kw_only=True, slots=True)
class Whiten:
    """ZCA whitening: subtract each pixel's mean and decorrelate the pixels, such that the result still resembles the image.

    Holds only the key of the matrices (75 MB for 3 x 32 x 32), which are kept in the cache folder (`zca.FOLDER`) and not in every
    set. They can be computed again from the data.
    """

    key: str
    """Hash of the train images and of eps."""

    def apply(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) pixels in 0 to 1 to whitened images.

        Raises:
            DataError: the matrices are not on this machine.
        """
        found = zca.matrices(self.key)
        return zca.times(pixels - found.mean.to(pixels.device), found.whiten)

    def invert(self, images: Tensor) -> Tensor:
        """Whitened images to pixels; synthetic ones may lie outside 0 to 1.

        Raises:
            DataError: the matrices are not on this machine.
        """
        found = zca.matrices(self.key)
        return zca.times(images, found.colour) + found.mean.to(images.device)


Preprocess = Standardise | Whiten


def fit(kind: str, images: NDArray[np.uint8], white: int) -> Preprocess:
    """Fit the preprocessing (`kind`: standardise or zca) to (N, C, H, W) images whose largest possible value is `white`.

    Raises:
        DataError: a channel is constant, or the images are too large to be whitened.
    """
    return fit_standardise(images, white) if kind == "standardise" else Whiten(key=zca.fit(images, white))


def _histogram(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(256,) how often each byte occurs; pairs of bytes are counted at once, which takes half the time."""
    even = len(values) // 2 * 2
    pairs = np.bincount(values[:even].view(np.uint16), minlength=65536).reshape(256, 256)
    counts: NDArray[np.int64] = pairs.sum(axis=0) + pairs.sum(axis=1) + np.bincount(values[even:], minlength=256)
    return counts


HISTOGRAM_VALUES = 2**20
"""Pixels of one histogram, which take 8 bytes each while they are counted."""


def fit_standardise(images: NDArray[np.uint8], white: int) -> Standardise:
    """The mean and population standard deviation of each channel, in units of full pixel scale.

    Raises:
        DataError: a channel is constant.
    """
    values = (np.arange(256, dtype=np.float32) / np.float32(white)).astype(np.float64)
    mean, std = [], []
    for channel in range(images.shape[1]):
        # Histograms of a few images instead of float64 copies keep the memory small, also for 224 x 224 images.
        step = max(1, HISTOGRAM_VALUES // images[0, channel].size)
        chunks = (images[start : start + step, channel] for start in range(0, len(images), step))
        counts = sum(_histogram(chunk.ravel()) for chunk in chunks)
        share = counts / images[:, channel].size
        mean.append(float(share @ values))
        std.append(float(np.sqrt(share @ (values - mean[-1]) ** 2)))
        if np.count_nonzero(counts) == 1:
            raise DataError("a colour channel has the same value in every train image; remove the channel or check the data")
    return Standardise(mean=tuple(mean), std=tuple(std))
