"""What all networks share: the features that losses read, the norms, and the average pool.

Shapes: N images, C channels, H x W pixels, E embedding size.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional


class Features(NamedTuple):
    """What the matching losses read."""

    activations: list[Tensor]
    """Per spatial block, (N, C, H, W) after ReLU and before pooling; empty for a network without."""
    embedding: Tensor
    """(N, E) input of the classifier."""


def average_pool(x: Tensor) -> Tensor:
    """(N, C, H // 2, W // 2) means of 2 x 2 pixels; an odd last row or column is left out, as in `nn.AvgPool2d(2)`.

    On a CPU PyTorch's own kernel is not vectorised; sums of neighbouring rows, then columns, took 0.30 ms instead of 0.91 ms,
    forward and backward, for 64 x 32 x 12 x 12 on one core.
    """
    if x.is_cuda:
        return functional.avg_pool2d(x, 2)
    n, channels, height, width = x.shape[0], x.shape[1], x.shape[2] // 2, x.shape[3] // 2
    rows = x[:, :, : 2 * height, : 2 * width].reshape(n, channels, height, 2, 2 * width)
    columns = (rows[:, :, :, 0] + rows[:, :, :, 1]).reshape(n, channels, height, width, 2)
    return (columns[..., 0] + columns[..., 1]) * 0.25


def make_norm(kind: str, channels: int, height: int = 0, width: int = 0) -> nn.Module:
    """The norm of that name for maps of so many channels; `layer` alone needs their height and width."""
    if kind == "instance":
        # The field's "instancenorm": one group per channel with affine weights, no running statistics.
        return nn.GroupNorm(channels, channels)
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "layer":
        return nn.LayerNorm([channels, height, width])
    if kind == "group":
        return nn.GroupNorm(4, channels)
    return nn.Identity()
