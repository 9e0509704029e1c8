"""Builds and initialises networks from their configs: ConvNet-D and MLP are here, the others in `classic_networks`.

Every network returns logits; `features` returns the embedding before the classifier and the activations of the spatial blocks.

Shapes: N images, C input channels, H x W pixels, K classes, E embedding size.

Source: ConvNet-D as in Dataset Condensation (Zhao et al., ICLR 2021) and its successors; MLP as in the same code base.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from raydistill.core.classic_networks import VGG11, AlexNet, LeNet, ResNet18
from raydistill.core.layers import Features, average_pool, make_norm
from raydistill.core.placement import moved
from raydistill.spaces.network import (
    AlexNetConfig,
    ConvNetConfig,
    LeNetConfig,
    MLPConfig,
    NetworkConfig,
    ResNet18Config,
    Shape,
    VGG11Config,
)


def unpooled(x: Tensor) -> Tensor:
    """The maps as they are."""
    return x


# In place, because neither norm nor convolution needs its output for the gradient.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "leaky_relu": partial(nn.LeakyReLU, 0.01, inplace=True),
    "sigmoid": nn.Sigmoid,
}
POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    "average": average_pool,
    "max": partial(functional.max_pool2d, kernel_size=2),
    "none": unpooled,
}


class ConvNet(nn.Module):
    """Depth blocks of 3x3 convolution, norm, activation, 2x2 pool, then one linear layer.

    With one input channel the first convolution pads by 3, so that 28 x 28 digits become 32 x 32, as in the published code: all
    published MNIST results use it.
    """

    def __init__(self, config: ConvNetConfig, shape: Shape, classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.blocks = nn.ModuleList()
        self.pool = POOLS[config.pooling]
        for block in range(config.depth):
            padding = 3 if block == 0 and channels == 1 else 1
            height, width = height + 2 * padding - 2, width + 2 * padding - 2
            self.blocks.append(
                nn.Sequential(
                    nn.Conv2d(channels, config.width, kernel_size=3, padding=padding),
                    make_norm(config.norm, config.width, height, width),
                    ACTIVATIONS[config.activation](),
                )
            )
            channels = config.width
            if config.pooling != "none":
                height, width = height // 2, width // 2
        self.classifier = nn.Linear(channels * height * width, classes)

    def features(self, images: Tensor) -> Features:
        """Activations of every block and the embedding of (N, C, H, W) images."""
        activations = []
        x = images
        for block in self.blocks:
            activation = block(x)
            activations.append(activation)
            x = self.pool(activation)
        return Features(activations, x.flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        """(N, K) logits of (N, C, H, W) images."""
        return self.classifier(self.features(images).embedding)  # type: ignore[no-any-return]


class MLP(nn.Module):
    """Two hidden layers with ReLU, then one linear layer; the embedding is the second hidden layer."""

    def __init__(self, config: MLPConfig, shape: Shape, classes: int) -> None:
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


Network = ConvNet | MLP | LeNet | AlexNet | VGG11 | ResNet18
BUILDERS = {
    ConvNetConfig: ConvNet,
    MLPConfig: MLP,
    LeNetConfig: LeNet,
    AlexNetConfig: AlexNet,
    VGG11Config: VGG11,
    ResNet18Config: ResNet18,
}


def build_network(config: NetworkConfig, shape: Shape, classes: int, device: torch.device) -> Network:
    """An uninitialised network for (C, H, W) images on a device; call `initialise` before use.

    Raises:
        ValueError: the images are too small for the network.
    """
    for field, message in config.against(shape):
        raise ValueError(f"network.{field}: {message}")
    # Built on the meta device, because PyTorch's constructors would otherwise draw from the global generator.
    with torch.device("meta"):
        network: Network = BUILDERS[type(config)](config, shape, classes)
    _give_memory(network, device)
    return network


def _give_memory(network: Network, device: torch.device) -> None:
    """Uninitialised memory on a device for a network that has none.

    `Module.to_empty` does the same through a copy of PyTorch that is written in Python, which imports sympy: half a second in the
    process of every trial.
    """
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            memory = torch.empty(tuple(parameter.shape), dtype=parameter.dtype, device=device)
            setattr(module, name, nn.Parameter(memory))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, torch.empty(tuple(buffer.shape), dtype=buffer.dtype, device=device))


@torch.no_grad()
def initialise(network: Network, generator: torch.Generator) -> None:
    """Draw new parameters in place: PyTorch's default initialisation, with this generator instead of the global one.

    Convolutions and linear layers: uniform within 1 / sqrt(fan-in) (PyTorch's kaiming_uniform with a = sqrt(5)); norms: weight 1,
    bias 0, running mean 0, running variance 1. Numbers are drawn on the CPU, so the network is the same on every device.
    """
    parameters: list[Tensor] = []
    drawn: list[Tensor] = []
    norms: list[nn.GroupNorm | nn.LayerNorm] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            for parameter in module.parameters(recurse=False):
                parameters.append(parameter)
                uniform = torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype)
                drawn.append((2 * uniform - 1) / math.sqrt(fan_in))
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.GroupNorm | nn.LayerNorm):
            norms.append(module)
    if norms:
        weights: list[Tensor] = [module.weight for module in norms]
        torch._foreach_zero_([*weights, *(module.bias for module in norms)])
        torch._foreach_add_(weights, 1.0)
    torch._foreach_copy_(parameters, moved(drawn, parameters[0].device))
