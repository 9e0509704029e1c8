"""The gap of paired networks with confidence bounds, as certificates use it. Pure arithmetic, no torch.

Pair r is one network trained on the full data and one trained on the set, from the same initialisation; both classify the same
images. The differences D (R, n) in correctness, or in the mean correctness of several networks, vary for three reasons:

    D[r, i] = gap + pair[r] + image[i] + rest[r, i]

Procedure: MOVER (method of variance estimates recovery). Two one-sided bounds are computed, each for one source of variation, and
their distances from the estimate are combined as the square root of the sum of squares:

    upper = gap + sqrt((image bound - gap)^2 + (t[R - 1, c] * s)^2)

- *Image bound.* If the gap comes from a few images, neither Student's quantile nor a skewness correction is valid: the variance
  is underestimated in the very samples whose mean is too low. So the means over pairs are weighted by a Bayesian bootstrap
  (Dirichlet, all ones) with one additional image at the worst value, +1. If every image is either lost or not, this is the bound
  of Clopper and Pearson. The quantile is that of a Pearson type III distribution with the exact mean, variance and skewness.
  In the gap of balanced accuracy the difference of an image counts n / (K n_k), n_k being the size of its class, and the
  additional image is one that counts most, of the smallest class. Images are taken as drawn without regard to their class, which
  is on the safe side of the split, where the sizes of the classes are fixed.
- *Pairs.* s^2 is the part of the variance of the mean that is due to the pairs: their mean square minus the residual mean square,
  over n R. The residual is already part of the image bound.

`benchmarks/gap_coverage.py` compares it with other bounds in simulation. `lossless.gap_interval`, which the search uses, stays
within a point of its nominal coverage if the differences are spread over many images, and falls to 92 % if the networks agree and
only a few images are lost.

Sources: MOVER: Zou and Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
Medicine 2008. Image bound: Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
variable", Mathematical Methods of Statistics 2005; weights: Rubin, "The Bayesian bootstrap", Annals of Statistics 1981. Crossed
variation of readers (here pairs) and images: Hillis, "A comparison of denominator degrees of freedom methods for multiple
observer ROC analysis", Statistics in Medicine 2007.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raydistill.core.lossless import PLANNED_IMAGE_DEVIATION, PLANNED_NETWORK_DEVIATION, GapInterval
from raydistill.core.metrics import Classes, members

PROCEDURE = (
    "one-sided MOVER bound: images by a Bayesian bootstrap with one more image at the worst value (Gaffke; Clopper and Pearson "
    "where images are lost or not), paired networks by Student's t on their own variance (crossed analysis of variance)"
)
"""Description of the procedure in a certificate."""
OF_CLASSES = "an image of a class of n_k counts n / (K n_k), so that every class counts alike; the one more image counts most"
"""What is added to it for balanced accuracy."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DifferenceSums:
    """Sums over differences (..., R, n), from which the bounds are computed; leading dimensions repeat a simulation."""

    rows: Floats
    """(..., R) mean over images of each pair's difference."""
    first: Floats
    """(...,) sum over images of the mean over pairs; `second` and `third` sum its second and third powers."""
    second: Floats
    third: Floats
    squares: Floats
    """(...,) sum of squares over pairs and images."""
    images: int

    def negated(self) -> DifferenceSums:
        """The sums of the differences with opposite sign."""
        return DifferenceSums(
            rows=-self.rows, first=-self.first, second=self.second, third=-self.third, squares=self.squares, images=self.images
        )


def sum_differences(differences: Floats) -> DifferenceSums:
    """The sums of (R, n) differences from -1 to 1."""
    means = differences.mean(axis=0)
    return DifferenceSums(
        rows=differences.mean(axis=1),
        first=np.asarray(means.sum()),
        second=np.asarray((means**2).sum()),
        third=np.asarray((means**3).sum()),
        squares=np.asarray((differences**2).sum()),
        images=differences.shape[1],
    )


def paired_gap(full: NDArray[Any], synthetic: NDArray[Any], confidence: float, classes: Classes | None = None) -> GapInterval:
    """The gap with one-sided bounds that include the variation over paired networks and over images.

    Args:
        full: (R, n) booleans, or fractions from 0 to 1: which images each full-data network classifies correctly.
        synthetic: (R, n) the same for networks trained on the set; row r has the same initialisation as row r of `full`.
        confidence: of each bound.
        classes: (n,) class of each image, for the gap of balanced accuracy; None for accuracy.

    Raises:
        ValueError: fewer than two pairs, shapes that differ, or a class with fewer than two images.
    """
    if full.shape != synthetic.shape or full.ndim != 2 or len(full) < 2:
        raise ValueError(
            f"(pairs, images) are {full.shape} and {synthetic.shape}; expected the same shape twice, with at least two pairs"
        )
    weights, worst = _weights(classes, full.shape[1])
    sums = sum_differences((full.astype(np.float64) - synthetic.astype(np.float64)) * weights)
    gap = float(sums.first) / sums.images
    return GapInterval(
        gap=gap,
        lower=-float(upper_bound(sums.negated(), confidence, worst)),
        upper=float(upper_bound(sums, confidence, worst)),
        confidence=confidence,
        networks=len(full),
        images=sums.images,
    )


def _weights(classes: Classes | None, images: int) -> tuple[Any, float]:
    """How much the difference of each image counts, 1 in the mean, and the most that one counts.

    The mean over K classes of their gaps is the mean over n images of differences that count n / (K n_k) for a class of n_k.
    """
    if classes is None:
        return 1.0, 1.0
    of_class = members(classes, images)
    weights = np.empty(images)
    for of in of_class:
        if len(of) < 2:
            raise ValueError(
                "a class has one image only, which does not show how images vary; balanced accuracy needs two of every class"
            )
        weights[of] = images / (len(of_class) * len(of))
    return weights, float(weights.max())


def upper_bound(sums: DifferenceSums, confidence: float, worst: float = 1.0) -> Floats:
    """(...,) upper bounds of the gap, for each repetition; `worst` is the largest difference that an image can have."""
    gap = sums.first / sums.images
    of_images = image_bound(sums, confidence, worst) - gap
    pairs = sums.rows.shape[-1]
    of_pairs = stats.t.ppf(confidence, pairs - 1) * np.sqrt(pair_variance(sums))
    return np.asarray(gap + np.sqrt(of_images**2 + of_pairs**2))


def image_bound(sums: DifferenceSums, confidence: float, worst: float = 1.0) -> Floats:
    """(...,) upper bounds over images, for these pairs: a Dirichlet-weighted mean with one more image at the worst value."""
    n = sums.images + 1
    first, squares = sums.first + worst, sums.second + worst**2
    mean = first / n
    second = squares - n * mean**2
    third = sums.third + worst**3 - 3 * mean * squares + 2 * n * mean**3
    variance = second / (n * (n + 1))
    # Without variance every image differs by `worst`: their mean, and 0 / 0 for the skewness.
    has_variance = variance > 0
    skewness = 2 * third / (n * (n + 1) * (n + 2)) / np.where(has_variance, variance, 1) ** 1.5
    reach = np.sqrt(np.maximum(variance, 0)) * stats.pearson3.ppf(confidence, np.where(has_variance, skewness, 0))
    return np.asarray(np.where(has_variance, mean + reach, worst))


def pair_variance(sums: DifferenceSums) -> Floats:
    """(...,) part of the variance of the mean that is due to the pairs, by a crossed analysis of variance; at least 0."""
    pairs, n = sums.rows.shape[-1], sums.images
    gap = sums.first / n
    of_pairs = n * ((sums.rows - gap[..., None]) ** 2).sum(axis=-1)
    of_images = pairs * (sums.second - n * gap**2)
    residual = np.maximum(sums.squares - pairs * n * gap**2 - of_pairs - of_images, 0) / ((pairs - 1) * (n - 1))
    return np.asarray(np.maximum(of_pairs / (pairs - 1) - residual, 0) / (n * pairs))


def planned_half_width(images: int, pairs: int, confidence: float, counts: Sequence[int] = ()) -> float:
    """The expected upper bound at zero gap: a smaller margin cannot be decided with so many images and pairs.

    Assumes the variation over images and networks of `lossless.smallest_margin`; the networks of a pair are independent.

    Args:
        images: in all.
        pairs: of networks.
        confidence: one-sided.
        counts: images of each class, for balanced accuracy; they add up to `images`. Empty for accuracy.
    """
    # The mean of the squared weights of `paired_gap`, and the largest weight.
    squares = images * sum(1 / count for count in counts) / len(counts) ** 2 if counts else 1.0
    worst = images / (len(counts) * min(counts)) if counts else 1.0
    steps = np.arange(pairs) - (pairs - 1) / 2
    rows = steps / steps.std(ddof=1) * np.sqrt(2) * PLANNED_NETWORK_DEVIATION
    second = images * PLANNED_IMAGE_DEVIATION**2 * squares
    zero = np.asarray(0.0)
    sums = DifferenceSums(
        rows=rows,
        first=zero,
        second=np.asarray(second),
        third=zero,
        squares=np.asarray(pairs * second + images * (rows**2).sum()),
        images=images,
    )
    return float(upper_bound(sums, confidence, worst))
