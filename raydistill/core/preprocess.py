"""Invertible preprocessing: standardisation by one mean and deviation per channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Standardise:
    """Subtract a mean and divide by a standard deviation, per channel, in units of full pixel scale (0 to 1)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) pixels in 0 to 1 to standardised images."""
        mean, std = self._tensors(pixels)
        return (pixels - mean) / std

    def invert(self, images: Tensor) -> Tensor:
        """Standardised images to pixels; synthetic ones may lie outside 0 to 1."""
        mean, std = self._tensors(images)
        return images * std + mean

    def _tensors(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return tuple(  # type: ignore[return-value]
            torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1) for values in (self.mean, self.std)
        )


def fit_standardise(pixels: Tensor) -> Standardise:
    """The mean and population standard deviation of each channel of (N, C, H, W) pixels.

    Raises:
        ValueError: a channel is constant.
    """
    # In numpy, which sums in one thread: torch's sums change in their last digits with the number of threads.
    channels = [pixels[:, c].numpy() for c in range(pixels.shape[1])]
    mean = tuple(float(channel.mean(dtype=np.float64)) for channel in channels)
    std = tuple(float(channel.std(dtype=np.float64)) for channel in channels)
    if any(channel.min() == channel.max() for channel in channels):
        raise ValueError("a colour channel has the same value in every train image; drop the channel or check the data")
    return Standardise(mean=mean, std=std)
