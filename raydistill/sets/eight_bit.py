"""A set with 8-bit pixels, as image files hold it, and what rounding and clipping do to its accuracy."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import Manifest, SyntheticSet
from raydistill.data.preprocess import Preprocess, Standardise
from raydistill.data.splits import Splits, splits_of
from raydistill.errors import DataError
from raydistill.sets.evaluating import accuracies
from raydistill.spaces.network_names import network_text
from raydistill.spaces.trial import TrialConfig
from raydistill.spaces.units import percent, points
from raydistill.storage.data_root import DataRoot


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EightBit:
    """The pixels of a set, rounded to 8 bits and clipped to black and white."""

    pixels: NDArray[np.uint8]
    """(N, H, W, C), the images that networks are trained on."""
    clipped_fraction: float
    """Fraction of the values that were below black or above white by more than rounding."""
    synthetic: SyntheticSet
    """What someone gets who reads the 8-bit pixels and standardises or whitens them as the set is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """The accuracy of the same fresh networks on the set as it is stored and with 8-bit pixels, on the select images."""

    as_stored: tuple[float, ...]
    """One accuracy fraction per network."""
    with_8_bits: tuple[float, ...]
    network: str
    recipe: str
    images: int
    """Real images that each network was read on."""

    def __str__(self) -> str:
        """For people."""
        before, after = statistics.mean(self.as_stored), statistics.mean(self.with_8_bits)
        many = "1 network" if len(self.as_stored) == 1 else f"{len(self.as_stored)} networks"
        return (
            f"accuracy of {many} on {self.images} select images: {percent(before)} with the set as it is stored, "
            f"{percent(after)} with 8-bit pixels ({'+' if after > before else ''}{points(after - before)})"
        )

    def as_json(self) -> dict[str, Any]:
        """For a file beside an export."""
        return {
            "as_stored": list(self.as_stored),
            "with_8_bits": list(self.with_8_bits),
            "split": "select",
            "images": self.images,
            "network": self.network,
            "recipe": self.recipe,
        }


def to_eight_bit(synthetic: SyntheticSet, preprocess: Preprocess) -> EightBit:
    """Round and clip the pixels of a set, as networks are trained on it: who reads image files enlarges no tiles."""
    synthetic = synthetic.decoded()
    pixels = preprocess.invert(synthetic.images)
    half_step = 0.5 / 255  # values within the rounding error of 8 bits do not count as clipped
    clipped = float(((pixels < -half_step) | (pixels > 1 + half_step)).float().mean())
    whole = (pixels.clamp(0, 1) * 255).round()
    return EightBit(
        pixels=whole.to(torch.uint8).permute(0, 2, 3, 1).numpy(),
        clipped_fraction=clipped,
        synthetic=replace(synthetic, images=preprocess.apply(whole / 255)),
    )


def measure_loss(synthetic: SyntheticSet, eight_bit: EightBit, config: TrialConfig[Any], data_root: DataRoot) -> Loss:
    """Train the networks of `raydistill evaluate` on the set as it is stored, and the same ones on its 8-bit pixels.

    Raises:
        DataError: the data is missing, or not the data that the set was made from.
    """
    splits = _splits(config, data_root)
    # The smaller images of a packed set lie apart among its 8-bit pixels: a recipe in epochs would take more steps over them.
    recipe = RECIPES[config.evaluation.recipe].for_set(len(synthetic.images))
    sets = (synthetic, eight_bit.synthetic)
    before, after = (accuracies(one, config, splits, splits.select, recipe=recipe) for one in sets)
    return Loss(
        as_stored=tuple(before),
        with_8_bits=tuple(after),
        network=network_text(config.network),
        recipe=config.evaluation.recipe,
        images=len(splits.select.labels),
    )


def _splits(config: TrialConfig[Any], data_root: DataRoot) -> Splits:
    try:
        return splits_of(config, data_root)
    except DataError as error:
        raise DataError(f"{error}; or leave the accuracy of the 8-bit set out: --no-accuracy") from error


def preprocess_of(manifest: Manifest, config: TrialConfig[Any], data_root: DataRoot) -> Preprocess:
    """The preprocessing whose inverse gives the set's pixels; for a whitened set it is computed from the data.

    Raises:
        DataError: the set is whitened, and its data is missing or gives another whitening.
    """
    if isinstance(manifest.preprocess, Standardise):
        return manifest.preprocess
    found = splits_of(config, data_root).preprocess
    if found != manifest.preprocess:
        raise DataError(
            f"the set was whitened with the ZCA matrices {manifest.preprocess.key[:12]}, but its data now gives others; import "
            "the set again"
        )
    return found
