"""Settings of every method that matches real and synthetic images under networks, beside its own.

A pool of networks in place of fresh ones (`core/network_pool.py`), and an average of the images (`core/image_average.py`).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from raydistill.methods.configs.fields import Count, CountOrNone, Decay, Share, Weight
from raydistill.spaces.sections import GrownConfig


class MatchingFields(GrownConfig):
    """Where the network of an update comes from, and which images are scored. Defaults are those of DM and DataDAM."""

    LATER: ClassVar[tuple[str, ...]] = ("pool", "pool_steps", "trained_share", "calibration_weight", "ema_decay", "factor")
    pool: CountOrNone = 0
    """Networks that are trained on the train part before the first update, each kept with its initial weights; an update draws
    one of these pairs, and weights between the two. 20 in DANCE; 0 draws a fresh network for every update."""
    pool_steps: Count = 300
    """Steps in which each is trained, by the recipe `default` apart from their number. Unused if pool is 0, as is the next."""
    trained_share: tuple[Share, Share] = Field(default=(0.0, 1.0), strict=False)
    """Lowest and highest share of the trained weights, drawn evenly for each update; the rest are initial weights. DANCE's 1 -
    lambda, 0 to 1 there; (1, 1) takes trained networks alone."""
    calibration_weight: Weight = 0.0
    """beta; factor on the cross-entropy of the synthetic images under the pair's trained weights; 0 leaves the term out."""
    ema_decay: Decay = 0.0
    """d; the set is the mean of the images after all updates, those of u updates ago with weight d^u: 0.99 looks back over about
    100 updates. FTD's code has 0.9995 for 5,000 updates; 0 scores the images of the last one."""

    @model_validator(mode="after")
    def _fields_fit(self) -> MatchingFields:
        low, high = self.trained_share
        if low > high:
            raise ValueError(f"trained_share is {low:g} to {high:g}; the second must not be smaller: swap them")
        if self.calibration_weight and not self.pool:
            raise ValueError(
                f"calibration_weight is {self.calibration_weight:g}, but pool is 0, so there is no trained network: write pool: "
                "5 or more, or calibration_weight: 0"
            )
        return self


def without_calibration(config: MatchingFields) -> dict[str, float]:
    """The field that turns the calibration off."""
    return {"calibration_weight": 0.0}


def without_average(config: MatchingFields) -> dict[str, float]:
    """The field that scores the images of the last update."""
    return {"ema_decay": 0.0}
