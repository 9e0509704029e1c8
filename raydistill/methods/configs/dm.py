"""Settings of DM; the method is in `methods/dm.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from raydistill.core.choices import AugmentationDraws, AugmentationName, Start
from raydistill.methods.configs.fields import (
    Count,
    LearningRate,
    Momentum,
    larger_than_a_class,
)
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.sections import Config

ABLATIONS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {"augmentation": lambda config: {"augmentation": "none"}}
"""What `raydistill ablate` turns off: the distillation sees plain images; the networks that read the set keep their recipe."""


class DMConfig(Config):
    """Settings of DM; defaults are those of the published code for CIFAR-10 up to IPC 50."""

    name: Literal["dm"]
    lr_images: LearningRate = 1.0
    """eta; 1 up to IPC 50, 10 above (CIFAR-10)."""
    momentum_images: Momentum = 0.5
    """Of the images' SGD."""
    random_inits: Count = 20000
    """K; a fresh network for every update."""
    batch_real: Count = 256
    """Per class."""
    augmentation: AugmentationName = "dsa"
    """"dsa" (no flip where mirroring changes the class), "none", or names joined by _."""
    augmentation_draws: AugmentationDraws = "per_class"
    """One draw for each class, as published, or one for all classes of a step."""
    init: Start = "real"
    """Start from random real images, standard normal noise, k-center images, or k-means in each class; see
    `core.choices.Start`."""

    def against(self, facts: DataFacts, network: NetworkConfig) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what the data set cannot serve; every network has an embedding."""
        del network
        yield from larger_than_a_class(self.batch_real, facts)


def images_passed(config: DMConfig, ipc: int, classes: int) -> int:
    """Images that pass through a network in one distillation; see `methods.Method`."""
    return config.random_inits * classes * (config.batch_real + ipc)
