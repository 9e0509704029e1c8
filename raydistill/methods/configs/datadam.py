"""Settings of DataDAM; the method is in `methods/datadam.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from raydistill.core.choices import AugmentationDraws, AugmentationName, Start
from raydistill.methods.configs import dm
from raydistill.methods.configs.fields import (
    Count,
    CountOrNone,
    Factor,
    LearningRate,
    Momentum,
    Weight,
    larger_than_a_class,
    pool_passed,
)
from raydistill.methods.configs.first import Fields, Given
from raydistill.methods.configs.matching import MatchingFields, without_average, without_calibration
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import NetworkConfig


class DataDAMConfig(MatchingFields):
    """Settings of DataDAM; a default says where it comes from."""

    name: Literal["datadam"]
    lr_images: LearningRate = 1.0
    """eta_S; 1 in the paper's table up to IPC 50, 10 above; 0.1 in the report."""
    momentum_images: Momentum = 0.5
    """Of the images' SGD; 0.5 in paper and code."""
    mmd_weight: Weight = 0.01
    """lambda; 0.01 for small images in paper, code and report."""
    attention_weight: Weight = 1.0
    """Factor on the attention term; 1 in paper and code, 0 leaves the embedding term alone (an ablation)."""
    attention_power: float = Field(default=4.0, gt=0)
    """p; 4 in the paper, 1 in the published code (whose function defaults to 4 and is called with 1)."""
    random_inits: Count = 8000
    """K; 8000 single-step networks in the paper's table, 20000 in the code, 100 in the report."""
    steps_per_init: Count = 1
    """T; the paper's algorithm has a fresh network for every step, the report's Table II names 10."""
    image_steps: Count = 1
    """zeta_S; 1 everywhere."""
    lr_model: LearningRate = 0.01
    """eta_theta; 0.01 in the report; unused where steps_per_init is 1."""
    model_steps: CountOrNone = 50
    """zeta_theta; 50 in the report; unused where steps_per_init is 1."""
    batch_model: Count = 256
    """Synthetic images per model step; the whole set where that is smaller, as in Dataset Condensation."""
    batch_real: Count = 64
    """b, per class; 64 in the published code, 256 in the report."""
    loss_scale: float = Field(default=100.0, gt=0)
    """Factor on both terms; the published numbers come from code with 100, the paper has 1. It multiplies lr_images."""
    class_reduction: Literal["sum", "mean"] = "sum"
    """Over classes; the code sums, so its gradient grows with their number; the paper writes an expectation."""
    augmentation: AugmentationName = "dsa"
    """"dsa" (no flip where mirroring changes the class; the published code flips digits too), "none", or names joined by _."""
    augmentation_draws: AugmentationDraws = "per_class"
    """One draw for each class, as in the published code, or one for all classes of a step."""
    init: Start = "real"
    """Start from random real images, standard normal noise, k-center images (the authors' "smart" files are undocumented), or
    k-means in each class; see `core.choices.Start`."""
    factor: Factor = 1
    """f; a stored image holds f x f smaller ones, which are enlarged and matched; 2 in IDC, 1 in this method's paper."""

    def against(self, facts: DataFacts, network: NetworkConfig) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what the data set or the network cannot serve."""
        yield from larger_than_a_class(self.batch_real, facts)
        if network.spatial_blocks < 2:
            yield (
                "name",
                "datadam compares attention maps of all blocks but the last: write network {name: convnet, depth: 2 or more}",
            )


ABLATIONS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    "attention": lambda config: {"attention_weight": 0.0},
    "mmd": lambda config: {"mmd_weight": 0.0},
    "augmentation": lambda config: {"augmentation": "none"},
    "calibration": without_calibration,
    "moving average": without_average,
    "model steps": lambda config: {"model_steps": 0} if config.steps_per_init > 1 else {},
}
"""What `raydistill ablate` turns off, everything else as it was found.

Without attention or MMD the other term stays at its weight, so the images also move less: that is part of the term's effect at
these settings. Without augmentation the distillation sees plain images; the networks that read the set keep their recipe.
Without model steps each random network is kept for T iterations untrained; with one iteration per network (T = 1) there are none.
"""


def images_passed(config: DataDAMConfig, ipc: int, classes: int) -> int:
    """Images that pass through a network in one distillation; see `methods.Method`."""
    iterations = config.random_inits * config.steps_per_init
    tiles = ipc * config.factor**2
    synthetic = config.image_steps * tiles * (2 if config.calibration_weight else 1)
    matched = iterations * classes * (config.batch_real + synthetic) + pool_passed(config.pool, config.pool_steps)
    between = config.random_inits * (config.steps_per_init - 1) * config.model_steps
    return matched + between * min(config.batch_model, classes * tiles)


def first_fields(given: Given) -> Fields:
    """For a first search: those of DM, and the weight of the MMD term."""
    return {**dm.first_fields(given), "mmd_weight": {"low": 0.003, "high": 0.3, "log": True}}
