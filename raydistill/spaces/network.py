"""The network's section of a search space: the architectures, what each of them takes, and the images that it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from raydistill.spaces.sections import Config

Shape = tuple[int, int, int]
"""(C, H, W) of one image."""


class ConvNetConfig(Config):
    name: Literal["convnet"]
    depth: int = Field(default=3, ge=1, le=8)
    """Blocks of convolution, norm, ReLU, average pool; the D of ConvNet-D."""
    width: int = Field(default=128, ge=1)
    """Channels of every block."""
    norm: Literal["instance", "batch", "layer", "group", "none"] = "instance"
    """DataDAM's paper says instance, its code runs batch; instance has no running state, so it is the default."""

    @model_validator(mode="after")
    def _groups_are_whole(self) -> ConvNetConfig:
        if self.norm == "group" and self.width % 4:
            raise ValueError(f"width is {self.width}; norm group has 4 groups of equal width: write a multiple of 4")
        return self

    @property
    def spatial_blocks(self) -> int:
        """Maps that `features` gives; what attention matching can compare."""
        return self.depth

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield (field, message) where the images are too small for the depth."""
        if self.depth > (deepest := self.deepest(shape)):
            yield "depth", f"given {self.depth}; images of {shape[1]} x {shape[2]} pixels allow {deepest}: give at most that"

    def deepest(self, shape: Shape) -> int:
        """Largest depth that (C, H, W) images allow: each block's pooling halves a map of at least 2 x 2.

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
        """Yield nothing: images of every size will do."""
        yield from ()


class LeNetConfig(Config):
    name: Literal["lenet"]
    spatial_blocks: ClassVar[int] = 2

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield a message where nothing would be left of an image."""
        yield from _too_small(self.name, shape, 12 if shape[0] == 1 else 16)


class AlexNetConfig(Config):
    name: Literal["alexnet"]
    spatial_blocks: ClassVar[int] = 5

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield a message where nothing would be left of an image."""
        yield from _too_small(self.name, shape, 4 if shape[0] == 1 else 8)


class VGG11Config(Config):
    name: Literal["vgg11"]
    norm: Literal["instance", "batch"] = "instance"
    """The field's "VGG11" and "VGG11BN"."""
    spatial_blocks: ClassVar[int] = 8

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield a message where nothing would be left of an image."""
        yield from _too_small(self.name, shape, 28 if shape[0] == 1 else 32)


class ResNet18Config(Config):
    name: Literal["resnet18"]
    norm: Literal["instance", "batch"] = "instance"
    """The field's "ResNet18" and "ResNet18BN"."""
    spatial_blocks: ClassVar[int] = 4

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield a message where the last maps have one pixel, which instance norm turns to 0 whatever it is."""
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
        given = f"{who} with {shape[0]}-channel images of {shape[1]} x {shape[2]} pixels"
        yield "name", f"{given}; it needs {side} x {side}: take another network{other}"
