"""Settings of DM; the method is in `methods/dm.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from raydistill.core.choices import AugmentationDraws, AugmentationName, Start
from raydistill.methods.configs.fields import (
    Count,
    Factor,
    LearningRate,
    Momentum,
    larger_than_a_class,
    pool_passed,
)
from raydistill.methods.configs.first import RATE, STARTS, Fields, Given, batch_real, updates
from raydistill.methods.configs.matching import MatchingFields, without_average, without_calibration
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import NetworkConfig

ABLATIONS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    "augmentation": lambda config: {"augmentation": "none"},
    "calibration": without_calibration,
    "moving average": without_average,
}
"""What `raydistill ablate` turns off: the distillation sees plain images; the networks that read the set keep their recipe."""


class DMConfig(MatchingFields):
    """Settings of DM; defaults are those of the published code for CIFAR-10 up to IPC 50."""

    name: Literal["dm"]
    lr_images: LearningRate = 1.0
    """eta; 1 up to IPC 50, 10 above (CIFAR-10). The loss compares class means, so an image's gradient falls as its class has more
    images: the rate has to grow with them."""
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
    factor: Factor = 1
    """f; a stored image holds f x f smaller ones, which are enlarged and matched; 2 in IDC, 1 in this method's paper."""

    def against(self, facts: DataFacts, network: NetworkConfig) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what the data set cannot serve; every network has an embedding."""
        del network
        yield from larger_than_a_class(self.batch_real, facts)


def images_passed(config: DMConfig, ipc: int, classes: int) -> int:
    """Images that pass through a network in one distillation; see `methods.Method`."""
    synthetic = ipc * config.factor**2 * (2 if config.calibration_weight else 1)
    matched = config.random_inits * classes * (config.batch_real + synthetic)
    return matched + pool_passed(config.pool, config.pool_steps)


def first_fields(given: Given) -> Fields:
    """For a first search; see `methods.Method`."""
    return {"lr_images": RATE, "random_inits": updates(given), "batch_real": batch_real(given), "init": STARTS}
