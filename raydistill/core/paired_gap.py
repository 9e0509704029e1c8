"""The gap between two sides in pairs, with bounds that hold: what a certificate rests on. Pure arithmetic, no torch.

Pair r trains one network on the full data and one on the set, from the same initialisation; both read the same images. The
differences D (R, n) in correctness, or in a mean of several networks' correctness, vary for three reasons:

    D[r, i] = gap + pair[r] + image[i] + rest[r, i]

Procedure: MOVER (method of variance estimates recovery). Two one-sided bounds are found, each for one source of variation, and
their distances from the estimate are put together as the sides of a right angle:

    upper = gap + sqrt((image bound - gap)^2 + (t[R - 1, c] * s)^2)

- *Image bound.* Few images may carry the gap, and then neither Student's quantile nor a skewness correction holds: the variance
  is underestimated in the very draws whose mean is too low. So the means over pairs take the weights of a Bayesian bootstrap
  (Dirichlet, all ones) with one more image at the worst value, +1. On images that are lost or not it is the bound of Clopper and
  Pearson. Its quantile is that of a Pearson type III curve with the exact mean, variance and skewness.
- *Pairs.* s^2 is the variance of the mean over pairs that is the pairs' own: their mean square less the residual one, over n R.
  The residual is in the image bound already.

`benchmarks/gap_coverage.py` holds it against others in simulation. `lossless.gap_interval`, which steers the search, stays within
a point of its nominal coverage where images scatter, and falls to 92 % where networks agree and a handful of images is lost.

Sources: MOVER: Zou and Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
Medicine 2008. Image bound: Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
variable", Mathematical Methods of Statistics 2005; weights: Rubin, "The Bayesian bootstrap", Annals of Statistics 1981. Crossed
variation of readers (here pairs) and images: Hillis, "A comparison of denominator degrees of freedom methods for multiple
observer ROC analysis", Statistics in Medicine 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raydistill.core.lossless import PLANNED_IMAGE_DEVIATION, PLANNED_NETWORK_DEVIATION, GapInterval

PROCEDURE = (
    "one-sided MOVER bound: images by a Bayesian bootstrap with one more image at the worst value (Gaffke; Clopper and Pearson "
    "where images are lost or not), paired networks by Student's t on their own variance (crossed analysis of variance)"
)
"""As a certificate names it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DifferenceSums:
    """All that the bounds need of differences (..., R, n); leading dimensions are repetitions of a simulation."""

    rows: Floats
    """(..., R) mean over images of each pair's difference."""
    first: Floats
    """(...,) sum over images of the mean over pairs; `second` and `third` sum its powers."""
    second: Floats
    third: Floats
    squares: Floats
    """(...,) sum of squares over pairs and images."""
    images: int

    def negated(self) -> DifferenceSums:
        """The sums of the differences with their sign turned."""
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


def paired_gap(full: NDArray[Any], synthetic: NDArray[Any], confidence: float) -> GapInterval:
    """The gap with one-sided bounds that carry the variation of paired networks and of images.

    Args:
        full: (R, n) booleans, or fractions from 0 to 1: what each full-data network gets right.
        synthetic: (R, n) the same for networks trained on the set; row r starts from the same initialisation as row r of `full`.
        confidence: of each bound.

    Raises:
        ValueError: fewer than two pairs, or shapes that differ.
    """
    if full.shape != synthetic.shape or full.ndim != 2 or len(full) < 2:
        raise ValueError(
            f"pairs x images are {full.shape} and {synthetic.shape}; the same shape with two pairs or more is wanted"
        )
    sums = sum_differences(full.astype(np.float64) - synthetic.astype(np.float64))
    gap = float(sums.first) / sums.images
    return GapInterval(
        gap=gap,
        lower=-float(upper_bound(sums.negated(), confidence)),
        upper=float(upper_bound(sums, confidence)),
        confidence=confidence,
        networks=len(full),
        images=sums.images,
    )


def upper_bound(sums: DifferenceSums, confidence: float) -> Floats:
    """(...,) upper bounds of the gap, for each repetition."""
    gap = sums.first / sums.images
    of_images = image_bound(sums, confidence) - gap
    pairs = sums.rows.shape[-1]
    of_pairs = stats.t.ppf(confidence, pairs - 1) * np.sqrt(pair_variance(sums))
    return np.asarray(gap + np.sqrt(of_images**2 + of_pairs**2))


def image_bound(sums: DifferenceSums, confidence: float) -> Floats:
    """(...,) upper bounds for these pairs alone, over images: a Dirichlet-weighted mean with one more image at +1."""
    n = sums.images + 1
    mean = (sums.first + 1) / n
    second = sums.second + 1 - n * mean**2
    third = sums.third + 1 - 3 * mean * (sums.second + 1) + 2 * n * mean**3
    variance = second / (n * (n + 1))
    skewness = 2 * third / (n * (n + 1) * (n + 2)) / variance**1.5
    return np.asarray(mean + np.sqrt(variance) * stats.pearson3.ppf(confidence, skewness))


def pair_variance(sums: DifferenceSums) -> Floats:
    """(...,) variance of the mean over pairs that is the pairs' own, by a crossed analysis of variance; 0 at least."""
    pairs, n = sums.rows.shape[-1], sums.images
    gap = sums.first / n
    of_pairs = n * ((sums.rows - gap[..., None]) ** 2).sum(axis=-1)
    of_images = pairs * (sums.second - n * gap**2)
    residual = np.maximum(sums.squares - pairs * n * gap**2 - of_pairs - of_images, 0) / ((pairs - 1) * (n - 1))
    return np.asarray(np.maximum(of_pairs / (pairs - 1) - residual, 0) / (n * pairs))


def planned_half_width(images: int, pairs: int, confidence: float) -> float:
    """The bound at zero gap to plan with: a smaller margin is not decided on so many images.

    Images and networks scatter as `lossless.smallest_margin` plans them; the networks of a pair independently.
    """
    steps = np.arange(pairs) - (pairs - 1) / 2
    rows = steps / steps.std(ddof=1) * np.sqrt(2) * PLANNED_NETWORK_DEVIATION
    second = images * PLANNED_IMAGE_DEVIATION**2
    zero = np.asarray(0.0)
    sums = DifferenceSums(
        rows=rows,
        first=zero,
        second=np.asarray(second),
        third=zero,
        squares=np.asarray(pairs * second + images * (rows**2).sum()),
        images=images,
    )
    return float(upper_bound(sums, confidence))
