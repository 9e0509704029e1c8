"""Parts that all networks share: features, normalisation layers and average pooling.

Shapes: N images, C channels, H x W pixels, E embedding size.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional


class Features(NamedTuple):
    """The outputs of a network that matching losses compare."""

    activations: list[Tensor]
    """One (N, C, H, W) tensor per spatial block, after ReLU and before pooling; empty if the network has no such blocks."""
    embedding: Tensor
    """(N, E) input of the last linear layer."""


def average_pool(x: Tensor) -> Tensor:
    """(N, C, H // 2, W // 2) means of 2 x 2 pixels; an odd last row or column is ignored, as in `nn.AvgPool2d(2)`.

    PyTorch's CPU kernel is not vectorised: adding neighbouring rows, then columns, takes a third of its time.
    `unbind` has a backward pass of one copy; indexing the two halves instead would fill and add a whole tensor for each.
    """
    if x.device.type != "cpu":
        return functional.avg_pool2d(x, 2)
    n, channels, height, width = x.shape[0], x.shape[1], x.shape[2] // 2, x.shape[3] // 2
    upper, lower = x[:, :, : 2 * height, : 2 * width].reshape(n, channels, height, 2, 2 * width).unbind(3)
    left, right = (upper + lower).reshape(n, channels, height, width, 2).unbind(-1)
    return (left + right) * 0.25


def make_norm(kind: str, channels: int, height: int = 0, width: int = 0) -> nn.Module:
    """The normalisation layer `kind` for maps with this number of channels; only `layer` needs height and width."""
    if kind == "instance":
        # The "instancenorm" of published code: one group per channel with affine weights, no running statistics.
        return nn.GroupNorm(channels, channels)
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "layer":
        return nn.LayerNorm([channels, height, width])
    if kind == "group":
        return nn.GroupNorm(4, channels)
    return nn.Identity()
