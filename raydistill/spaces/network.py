"""The network's section of a search space: the architectures, their fields, and the image sizes that each of them accepts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from raydistill.spaces.sections import Config, GrownConfig

Shape = tuple[int, int, int]
"""(C, H, W) of one image."""


class ConvNetConfig(GrownConfig):
    LATER: ClassVar[tuple[str, ...]] = ("activation", "pooling")
    name: Literal["convnet"]
    depth: int = Field(default=3, ge=1, le=8)
    """Number of blocks (convolution, normalisation, activation, pooling); the D of ConvNet-D."""
    width: int = Field(default=128, ge=1)
    """Channels of every block."""
    norm: Literal["instance", "batch", "layer", "group", "none"] = "instance"
    """Normalisation. DataDAM's paper says instance, its code uses batch; instance is the default, as it has no running state."""
    activation: Literal["relu", "leaky_relu", "sigmoid"] = "relu"
    """What follows each normalisation; the slope of leaky_relu below 0 is 0.01."""
    pooling: Literal["average", "max", "none"] = "average"
    """2 x 2 pooling at the end of each block; none keeps the size of the maps."""

    @model_validator(mode="after")
    def _groups_are_whole(self) -> ConvNetConfig:
        if self.norm == "group" and self.width % 4:
            raise ValueError(f"width is {self.width}; norm: group has 4 groups of equal width: write a multiple of 4")
        return self

    @property
    def spatial_blocks(self) -> int:
        """Number of feature maps that `features` returns and that attention matching can compare."""
        return self.depth

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield (field, message) where the images are too small for the depth."""
        if self.pooling != "none" and self.depth > (deepest := self.deepest(shape)):
            yield "depth", f"given {self.depth}; images of {shape[1]} x {shape[2]} pixels allow at most {deepest}: lower it"

    def deepest(self, shape: Shape) -> int:
        """Largest depth for (C, H, W) images: each block's pooling halves its map, which must be at least 2 x 2.

        With one channel the first convolution pads by 3 instead of 1, which adds 4 pixels.
        """
        channels, height, width = shape
        return (min(height, width) + (4 if channels == 1 else 0)).bit_length() - 1


class MLPConfig(Config):
    name: Literal["mlp"]
    width: int = Field(default=128, ge=1)
    """Units in each of the two hidden layers."""
    spatial_blocks: ClassVar[int] = 0

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield nothing: images of every size are accepted."""
        yield from ()


class LeNetConfig(Config):
    name: Literal["lenet"]
    spatial_blocks: ClassVar[int] = 2

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield (field, message) if the images are so small that pooling leaves nothing of them."""
        yield from _too_small(self.name, shape, 12 if shape[0] == 1 else 16)


class AlexNetConfig(Config):
    name: Literal["alexnet"]
    spatial_blocks: ClassVar[int] = 5

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield (field, message) if the images are so small that pooling leaves nothing of them."""
        yield from _too_small(self.name, shape, 4 if shape[0] == 1 else 8)


class VGG11Config(Config):
    name: Literal["vgg11"]
    norm: Literal["instance", "batch"] = "instance"
    """Called VGG11 (instance) and VGG11BN (batch) in the literature."""
    spatial_blocks: ClassVar[int] = 8

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield (field, message) if the images are so small that pooling leaves nothing of them."""
        yield from _too_small(self.name, shape, 28 if shape[0] == 1 else 32)


class ResNet18Config(Config):
    name: Literal["resnet18"]
    norm: Literal["instance", "batch"] = "instance"
    """Called ResNet18 (instance) and ResNet18BN (batch) in the literature."""
    spatial_blocks: ClassVar[int] = 4

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield (field, message) if the last maps have one pixel, which instance norm always turns into 0."""
        if self.norm == "instance":
            yield from _too_small("resnet18 with instance norm", shape, 9, ", or norm: batch")


NetworkConfig = Annotated[
    ConvNetConfig | MLPConfig | LeNetConfig | AlexNetConfig | VGG11Config | ResNet18Config, Field(discriminator="name")
]
NETWORKS: dict[str, type[Config]] = {
    get_args(option.model_fields["name"].annotation)[0]: option for option in get_args(get_args(NetworkConfig)[0])
}
"""Config class by network name."""


def _too_small(who: str, shape: Shape, side: int, other: str = "") -> Iterator[tuple[str, str]]:
    if min(shape[1:]) < side:
        given = f"given {who} for {shape[0]}-channel images of {shape[1]} x {shape[2]} pixels"
        yield "name", f"{given}; it needs at least {side} x {side}: use another network{other}"
