"""The rule for lossless: the gap, its confidence bounds, and the smallest margin that can be decided. No torch.

Symbols: F full-data networks, R networks trained on the synthetic set, n images, c confidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from raydistill.core.metrics import Classes, accuracy_of, members, unseen_rate

PLANNED_IMAGE_DEVIATION = 0.1
"""Assumed standard deviation, over images, of the mean difference in correctness; measured on digits: 0.07 to 0.1."""
PLANNED_NETWORK_DEVIATION = 0.004
"""Assumed standard deviation of one network's accuracy over seeds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GapInterval:
    """The gap (full-data accuracy minus synthetic accuracy) and its one-sided bounds, as fractions."""

    gap: float
    lower: float
    """The gap is above this with the stated confidence."""
    upper: float
    """The gap is below this with the stated confidence."""
    confidence: float
    networks: int
    """Networks trained on the synthetic set."""
    images: int


class HasGap(Protocol):
    """The fields of a `Reading` that `is_hopeless` uses."""

    @property
    def fraction(self) -> float:
        """Fraction of the distillation that is done, 0 to 1."""

    @property
    def gap(self) -> float:
        """Full-data accuracy minus synthetic accuracy."""


def gap_interval(
    full: NDArray[np.bool_], synthetic: NDArray[np.bool_], confidence: float, classes: Classes | None = None
) -> GapInterval:
    """The gap with bounds that include the variation over networks and over images.

    The variance is the sum of three variances: that of the full-data networks' accuracies over F, that of the synthetic networks'
    accuracies over R, and that of the mean difference per image over n. Every network classifies every image, so the sum counts
    their interaction more than once, which widens the bounds. Degrees of freedom by Welch and Satterthwaite.

    If the two sides differ much on a few images, the distribution of the mean is skewed and Student's quantile is too small on
    its long side: Johnson's correction widens that side. For example, if all networks of a side agree on each of 300 images and
    the full data is right on 2 % more of them, the upper 95 % bound holds in 94 % of samples with the correction, 85 % without.

    A half-width below 1 - (1 - c)^(1/n) is raised to that value: such a rate of disagreement can go unseen on n images.

    With `classes` the gap is that of balanced accuracy, the mean over classes of the gap in each. Images vary within their
    classes, so each class adds a variance of its own: that of its mean difference per image over n_k K^2 (see `class_mean`).

    Args:
        full: (F, n) which images each full-data network classifies correctly; F at least 2.
        synthetic: (R, n) the same for networks trained on the set; R at least 2.
        confidence: one-sided confidence of each bound.
        classes: (n,) class of each image, for balanced accuracy; None for accuracy.

    Raises:
        ValueError: fewer than two networks on a side, different numbers of images, or a class with fewer than two images.

    Source: Johnson, "Modified t tests and confidence intervals for asymmetrical populations", JASA 1978.
    """
    if min(len(full), len(synthetic)) < 2 or full.shape[1] != synthetic.shape[1]:
        raise ValueError(
            f"(networks, images) are {full.shape} and {synthetic.shape}; expected at least two networks each, and the same images"
        )
    images = full.shape[1]
    differences = _by_class(full.mean(axis=0) - synthetic.mean(axis=0), classes)
    share, counts = 1 / len(differences), [len(difference) for difference in differences]
    gap = sum(share * float(difference.mean()) for difference in differences)
    parts = [
        (float(accuracy_of(full, classes).var(ddof=1)) / len(full), len(full) - 1),
        (float(accuracy_of(synthetic, classes).var(ddof=1)) / len(synthetic), len(synthetic) - 1),
        *((share**2 * float(of_class.var(ddof=1)) / len(of_class), len(of_class) - 1) for of_class in differences),
    ]
    variance = sum(part for part, _ in parts)
    below = above = unseen_rate(counts, confidence)
    if variance > 0:
        freedom = variance**2 / sum(part**2 / free for part, free in parts)
        quantile = student_quantile(confidence, freedom)
        third_moment = sum(share**3 * float(((d - d.mean()) ** 3).mean()) / len(d) ** 2 for d in differences)
        shift = third_moment * (2 * quantile**2 + 1) / (6 * variance)
        below = max(below, quantile * math.sqrt(variance) + max(0.0, -shift))
        above = max(above, quantile * math.sqrt(variance) + max(0.0, shift))
    return GapInterval(
        gap=gap, lower=gap - below, upper=gap + above, confidence=confidence, networks=len(synthetic), images=images
    )


def _by_class(difference: NDArray[np.float64], classes: Classes | None) -> list[NDArray[np.float64]]:
    """The differences of the images of each class; all together without classes."""
    found = [difference[of] for of in members(classes, len(difference))]
    if classes is not None and min(len(of_class) for of_class in found) < 2:
        raise ValueError(
            "a class has one image only, which does not show how images vary; balanced accuracy needs two of every class"
        )
    return found


def smallest_margin(images: int, synthetic: int, full: int, confidence: float, counts: Sequence[int] = ()) -> float:
    """The expected half-width at zero gap: a smaller margin cannot be decided with so many images and networks.

    Args:
        images: confirm images; of balanced accuracy those of `DataFacts.deciding_images`.
        synthetic: networks trained on the set.
        full: networks trained on the full data.
        confidence: one-sided.
        counts: confirm images of each class, for balanced accuracy; empty for accuracy.
    """
    of_networks = PLANNED_NETWORK_DEVIATION**2
    variances = ((PLANNED_IMAGE_DEVIATION**2, images), (of_networks, synthetic), (of_networks, full))
    # One network shows no variation; it is planned as two are.
    parts = [(variance / count, max(count - 1, 1)) for variance, count in variances]
    variance = sum(part for part, _ in parts)
    quantile = student_quantile(confidence, variance**2 / sum(part**2 / free for part, free in parts))
    return max(unseen_rate(counts or [images], confidence), quantile * math.sqrt(variance))


def is_clear(interval: GapInterval, margin_fraction: float) -> bool:
    """Whether the gap is clear of the margin: both bounds are on the same side of it."""
    return interval.upper <= margin_fraction or interval.lower > margin_fraction


def is_admissible(moves_by: float, margin_fraction: float, accuracy: float, chance: float | None) -> bool:
    """Whether sets can be held against a baseline: it is trained to convergence, and it has learned more than the margin.

    Doubling the recipe's steps changes it by less than a quarter of the margin. It is above chance by more than the margin:
    otherwise a set from which nothing is learned would be lossless.

    Args:
        moves_by: change of its accuracy when the steps are doubled.
        margin_fraction: largest gap that counts as lossless.
        accuracy: its mean accuracy on the select images.
        chance: that of one answer for every image (`class_mean.chance_of`); None where older files do not tell.
    """
    return is_steady(moves_by, margin_fraction) and is_above_chance(accuracy, chance, margin_fraction)


def is_steady(moves_by: float, margin_fraction: float) -> bool:
    """Whether doubled steps change an accuracy by less than a quarter of the margin; arguments as of `is_admissible`."""
    return abs(moves_by) < margin_fraction / 4


def is_above_chance(accuracy: float, chance: float | None, margin_fraction: float) -> bool:
    """Whether an accuracy is above chance by more than the margin; arguments as of `is_admissible`."""
    return chance is None or accuracy - chance > margin_fraction


def is_hopeless(readings: Sequence[HasGap], margin_fraction: float) -> bool:
    """Whether a distillation is unlikely to come within the margin, judged by its readings so far.

    Learning curves flatten, so a straight line through the first and the latest reading is optimistic. If even this line ends
    above twice the margin, the trial is hopeless; the factor of two allows for the noise of readings with one network.
    """
    if len(readings) < 2:
        return False
    first, last = readings[0], readings[-1]
    gained_per_fraction = max(0.0, (first.gap - last.gap) / (last.fraction - first.fraction))
    return last.gap - gained_per_fraction * (1 - last.fraction) > 2 * margin_fraction


def is_worse_than_start(readings: Sequence[HasGap], margin_fraction: float) -> bool:
    """Whether a distillation makes its set worse: the latest gap is above that of the initial set by more than the margin.

    Both readings train the same network from the same initialisation. Below such a rise the difference may be their noise.
    """
    return len(readings) > 1 and readings[0].fraction == 0 and readings[-1].gap - readings[0].gap > margin_fraction


def normal_quantile(confidence: float) -> float:
    """The value below which a standard normal variable lies with this probability."""
    # As scipy.stats.norm.ppf computes it. That module takes a second to import and this one a tenth, which `status` spares too.
    from scipy.special import ndtri

    return float(ndtri(confidence))


def student_quantile(confidence: float, freedom: float) -> float:
    """The same for Student's t with degrees of freedom; as scipy.stats.t.ppf computes it."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, confidence))
