"""Settings of NCFM; the method is in `methods/ncfm.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from raydistill.core.choices import AugmentationDraws, AugmentationName, Start
from raydistill.methods.configs import dm
from raydistill.methods.configs.fields import (
    Count,
    CountOrNone,
    Factor,
    LearningRate,
    LearningRateOrOff,
    Share,
    Weight,
    larger_than_a_class,
)
from raydistill.methods.configs.first import Fields, Given
from raydistill.methods.configs.matching import MatchingFields, without_average, without_calibration
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import NetworkConfig

ABLATIONS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    "sampling network": lambda config: {"lr_sampler": 0.0},
    "amplitude": lambda config: {"amplitude_share": 0.0} if 0 < config.amplitude_share < 1 else {},
    "phase": lambda config: {"amplitude_share": 1.0} if 0 < config.amplitude_share < 1 else {},
    "augmentation": lambda config: {"augmentation": "none"},
    "calibration": without_calibration,
    "moving average": without_average,
}
"""What `raydistill ablate` turns off, everything else as it was found.

Without the sampling network frequencies stay standard normal. Without amplitude or phase the other term takes the whole weight.
"""


class NCFMConfig(MatchingFields):
    """Settings of NCFM; defaults are those of the published code for CIFAR-10 at IPC 10, unless said otherwise."""

    LATER: ClassVar[tuple[str, ...]] = ("ema_decay",)
    name: Literal["ncfm"]
    lr_images: LearningRate = 0.004
    """eta of Adam: about the most by which a pixel moves in an update, in units of the standardised images. The published 0.001
    is in pixels from 0 to 1, whose standard deviation in CIFAR-10 is a quarter."""
    lr_sampler: LearningRateOrOff = 0.01
    """Of the sampling network's plain SGD; 0 leaves the frequencies standard normal. The published 0.001 takes one step for each
    of ten classes; this takes one for their mean."""
    random_inits: Count = 20000
    """K; updates of the images, each with a network of its own draw."""
    batch_real: Count = 1024
    """Per class."""
    frequencies: Count = 4096
    """M, drawn anew for each update; 1024 in the paper's text, which finds no gain beyond."""
    amplitude_share: Share = 0.5
    """alpha; weight of the amplitudes' difference, that of the phases' being 1 - alpha."""
    loss_scale: float = Field(default=300.0, gt=0)
    """Factor on the discrepancy. To Adam it matters beside the calibration alone; it multiplies lr_sampler."""
    pool: CountOrNone = 20
    """Networks that are trained on the train part before the first update, each kept with its initial weights; an update draws
    one of these pairs, and weights between the two. 20 as published; 0 draws a fresh network for every update."""
    calibration_weight: Weight = 1.0
    """beta; factor on the cross-entropy of the synthetic images under the pair's trained weights; 0 leaves the term out. 1 in the
    published code; not in the paper's text."""
    augmentation: AugmentationName = "dsa"
    """"dsa" (no flip where mirroring changes the class), "none", or names joined by _ (published: color_crop_cutout)."""
    augmentation_draws: AugmentationDraws = "per_class"
    """One draw for each class, as published, or one for all classes of a step."""
    init: Start = "real"
    """Start from random real images, standard normal noise, k-center images, or k-means in each class; see
    `core.choices.Start`."""
    factor: Factor = 1
    """f; a stored image holds f x f smaller ones, which are enlarged and matched; 2 as published, 1 as in all methods here."""

    def against(self, facts: DataFacts, network: NetworkConfig) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what the data set cannot serve; every network has an embedding."""
        del network
        yield from larger_than_a_class(self.batch_real, facts)


def first_fields(given: Given) -> Fields:
    """For a first search: those of DM with Adam's rate; on a CPU fewer frequencies and a smaller pool, trained for less long."""
    return {
        **dm.first_fields(given),
        "lr_images": {"low": 0.01, "high": 0.1, "log": True},
        "frequencies": 4096 if given.is_on_gpu else 1024,
        "pool": 20 if given.is_on_gpu else 5,
        "pool_steps": 300 if given.is_on_gpu else 100,
    }
