"""Networks: ConvNet-D and MLP, with logits, the embedding before the classifier, and per-block activations.

Shapes: N images, C input channels, H x W pixels, W_d channels of a block (`width`), K classes, E embedding size.

Source: ConvNet-D as in Dataset Condensation (Zhao et al., ICLR 2021) and its successors; MLP as in the same code base.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from raydistill.config import ConvNetConfig, MLPConfig, NetworkConfig


class Features(NamedTuple):
    """What the matching losses read."""

    activations: list[Tensor]
    """Per block, (N, W_d, H_d, W_d) after ReLU and before pooling; empty for a network without spatial blocks."""
    embedding: Tensor
    """(N, E) input of the classifier."""


class ConvNet(nn.Module):
    """Depth blocks of 3x3 convolution, norm, ReLU, 2x2 average pool, then one linear layer.

    With one input channel the first convolution pads by 3, so that 28 x 28 digits become 32 x 32: kept from the field's code,
    for every published MNIST number was made with it.
    """

    def __init__(self, config: ConvNetConfig, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        if config.depth > (deepest := config.deepest(shape)):
            raise ValueError(f"depth {config.depth}; images of {shape[1]} x {shape[2]} pixels allow {deepest}: lower it")
        channels, height, width = shape
        self.blocks = nn.ModuleList()
        for block in range(config.depth):
            padding = 3 if block == 0 and channels == 1 else 1
            height, width = height + 2 * padding - 2, width + 2 * padding - 2
            self.blocks.append(
                nn.Sequential(
                    nn.Conv2d(channels, config.width, kernel_size=3, padding=padding),
                    _norm(config.norm, config.width, height, width),
                    nn.ReLU(),
                )
            )
            channels, height, width = config.width, height // 2, width // 2
        self.classifier = nn.Linear(channels * height * width, classes)

    def features(self, images: Tensor) -> Features:
        """Activations of every block and the embedding of (N, C, H, W) images."""
        activations = []
        x = images
        for block in self.blocks:
            activation = block(x)
            activations.append(activation)
            x = average_pool(activation)
        return Features(activations, x.flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        """(N, K) logits of (N, C, H, W) images."""
        return self.classifier(self.features(images).embedding)  # type: ignore[no-any-return]


class MLP(nn.Module):
    """Two hidden layers with ReLU, then one linear layer; the embedding is the second hidden layer."""

    def __init__(self, config: MLPConfig, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(shape), config.width),
            nn.ReLU(),
            nn.Linear(config.width, config.width),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(config.width, classes)

    def features(self, images: Tensor) -> Features:
        """No spatial activations, and the (N, width) embedding of (N, C, H, W) images."""
        return Features([], self.hidden(images))

    def forward(self, images: Tensor) -> Tensor:
        """(N, K) logits of (N, C, H, W) images."""
        return self.classifier(self.hidden(images))  # type: ignore[no-any-return]


Network = ConvNet | MLP


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


def build_network(config: NetworkConfig, shape: tuple[int, int, int], classes: int, device: torch.device) -> Network:
    """An uninitialised network for (C, H, W) images on a device; call `initialise` before use.

    Raises:
        ValueError: the images are too small for the depth.
    """
    # Built without storage: PyTorch's constructors would draw, in vain, from the global generator.
    with torch.device("meta"):
        network = ConvNet(config, shape, classes) if isinstance(config, ConvNetConfig) else MLP(config, shape, classes)
    return network.to_empty(device=device)


@torch.no_grad()
def initialise(network: Network, generator: torch.Generator) -> None:
    """Draw fresh parameters in place: PyTorch's layer defaults, from this generator instead of the global one.

    Convolutions and linear layers: uniform within 1 / sqrt(fan-in) (PyTorch's kaiming_uniform with a = sqrt(5)); norms: weight 1,
    bias 0, running mean 0, running variance 1. Draws happen on the CPU, so every device starts from the same network.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            for parameter in module.parameters(recurse=False):
                drawn = torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype)
                parameter.copy_((2 * drawn - 1) / math.sqrt(fan_in), non_blocking=True)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
            module.reset_parameters()


def _norm(kind: str, channels: int, height: int, width: int) -> nn.Module:
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
