"""Settings of DC and DSA; the method is in `methods/dc.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from raydistill.core.choices import AugmentationDraws, AugmentationName, Start
from raydistill.methods.configs.fields import (
    Count,
    CountOrNone,
    Factor,
    LearningRate,
    Momentum,
    larger_than_a_class,
    pool_passed,
)
from raydistill.methods.configs.first import Fields, Given, batch_real
from raydistill.methods.configs.matching import MatchingFields, without_average, without_calibration
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import NetworkConfig

ABLATIONS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    "augmentation": lambda config: {"augmentation": "none"},
    "calibration": without_calibration,
    "moving average": without_average,
    "model steps": lambda config: {"model_steps": 0} if config.steps_per_init > 1 else {},
}
"""What `raydistill ablate` turns off: without augmentation this is DC, without model steps networks stay untrained."""


class DCConfig(MatchingFields):
    """Settings of DC and DSA; defaults are those of the published DSA code at IPC 10."""

    name: Literal["dc"]
    lr_images: LearningRate = 0.1
    """eta_S; 0.1, and 0.01 where the network is an MLP."""
    momentum_images: Momentum = 0.5
    """Of the images' SGD."""
    random_inits: Count = 1000
    """K."""
    steps_per_init: Count = 10
    """T."""
    image_steps: Count = 1
    """zeta_S; 1 everywhere."""
    lr_model: LearningRate = 0.01
    """eta_theta; unused where steps_per_init is 1."""
    model_steps: CountOrNone = 50
    """zeta_theta; unused where steps_per_init is 1."""
    batch_model: Count = 256
    """Synthetic images per model step; the whole set where that is smaller."""
    batch_real: Count = 256
    """Per class."""
    augmentation: AugmentationName = "dsa"
    """"none" is DC, "dsa" is DSA (no flip where mirroring changes the class); or names joined by _."""
    augmentation_draws: AugmentationDraws = "per_class"
    """One draw for each class, as published, or one for all classes of a step."""
    init: Start = "real"
    """Start from random real images (DSA), standard normal noise (DC), k-center images, or k-means in each class; see
    `core.choices.Start`."""
    factor: Factor = 1
    """f; a stored image holds f x f smaller ones, which are enlarged and matched; 2 in IDC, 1 in this method's paper."""

    def against(self, facts: DataFacts, network: NetworkConfig) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what the data set or the network cannot serve."""
        yield from larger_than_a_class(self.batch_real, facts)
        if getattr(network, "norm", None) == "batch":
            yield "name", "dc passes one class at a time, and batch norm would use that class's statistics: write norm: instance"


def images_passed(config: DCConfig, ipc: int, classes: int) -> int:
    """Images that pass through a network in one distillation, twice where it is differentiated twice; see `methods.Method`."""
    iterations = config.random_inits * config.steps_per_init
    tiles = ipc * config.factor**2
    synthetic = config.image_steps * tiles * (3 if config.calibration_weight else 2)
    matched = iterations * classes * (config.batch_real + synthetic) + pool_passed(config.pool, config.pool_steps)
    between = config.random_inits * (config.steps_per_init - 1) * config.model_steps
    return matched + between * min(config.batch_model, classes * tiles)


def first_fields(given: Given) -> Fields:
    """For a first search; see `methods.Method`."""
    return {
        "lr_images": {"low": 0.03, "high": 3.0, "log": True},
        "random_inits": {"low": 20, "high": 200, "log": True} if given.is_on_gpu else {"low": 2, "high": 8},
        "steps_per_init": 10,
        "lr_model": 0.01,
        "model_steps": {"low": 2, "high": 20},
        "batch_real": batch_real(given),
    }
