"""How well one order of networks agrees with another: Spearman's and Kendall's rank correlation, with a bootstrap interval.

Both are computed for many weightings of the n networks at once: a resample with replacement is a row of n whole numbers that say
how often each network was drawn, so that no resample has to be sorted.

Source: Spearman, "The proof and measurement of association between two things", 1904 (mean ranks for ties); Kendall, "The
treatment of ties in ranking problems", Biometrika 1945 (tau-b); Efron and Tibshirani, "An Introduction to the Bootstrap", 1993
(percentile interval).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from raydistill.spaces.sections import Config

RESAMPLES = 2000
CONFIDENCE = 0.95
"""Of the two-sided intervals."""
FEWEST = 5
"""Networks that an interval needs; with fewer most resamples hold the same few pairs."""

Numbers = NDArray[np.float64]
Statistic = Callable[[Numbers, Numbers, Numbers], Numbers]
"""(B,) values from (n,), (n,) and (B, n) weights."""


class RankCorrelation(Config):
    """A rank correlation and its two-sided interval over networks."""

    value: float | None
    """-1 to 1; null where one side has only ties."""
    low: float | None
    high: float | None


def spearman(one: Sequence[float], other: Sequence[float], *, seed: int) -> RankCorrelation:
    """Spearman's rho of two lists of n values, with an interval from resamples drawn with a seed."""
    return _with_interval(_spearman, one, other, seed)


def kendall(one: Sequence[float], other: Sequence[float], *, seed: int) -> RankCorrelation:
    """Kendall's tau-b; arguments as in `spearman`."""
    return _with_interval(_kendall, one, other, seed)


def _with_interval(statistic: Statistic, one: Sequence[float], other: Sequence[float], seed: int) -> RankCorrelation:
    x, y, count = np.array(one, dtype=np.float64), np.array(other, dtype=np.float64), len(one)
    if count != len(other) or count < 2:
        raise ValueError(f"given {count} and {len(other)} values; expected two lists of the same length, at least 2")
    value = float(statistic(x, y, np.ones((1, count)))[0])
    if np.isnan(value):
        return RankCorrelation(value=None, low=None, high=None)
    if count < FEWEST:
        return RankCorrelation(value=value, low=None, high=None)
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
    drawn = statistic(x, y, weights)
    ends = np.quantile(drawn[~np.isnan(drawn)], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return RankCorrelation(value=value, low=float(ends[0]), high=float(ends[1]))


def _spearman(x: Numbers, y: Numbers, weights: Numbers) -> Numbers:
    """(B,) Pearson's correlation of the mean ranks, for (B, n) weights."""
    ranks_x, ranks_y = weights @ _below(x).T, weights @ _below(y).T
    total = weights.sum(axis=1, keepdims=True)
    off_x = ranks_x - (weights * ranks_x).sum(axis=1, keepdims=True) / total
    off_y = ranks_y - (weights * ranks_y).sum(axis=1, keepdims=True) / total
    spread = np.sqrt((weights * off_x**2).sum(axis=1) * (weights * off_y**2).sum(axis=1))
    return _ratio((weights * off_x * off_y).sum(axis=1), spread)


def _kendall(x: Numbers, y: Numbers, weights: Numbers) -> Numbers:
    """(B,) concordant minus discordant pairs, over the geometric mean of the pairs that are not tied in x and in y."""
    sign_x, sign_y = np.sign(x[:, None] - x[None]), np.sign(y[:, None] - y[None])

    def pairs(signs: Numbers) -> Numbers:
        summed: Numbers = ((weights @ signs) * weights).sum(axis=1)
        return summed

    return _ratio(pairs(sign_x * sign_y), np.sqrt(pairs(sign_x**2) * pairs(sign_y**2)))


def _below(values: Numbers) -> Numbers:
    """(n, n): 1 where the value of the column is below that of the row, a half where both are equal."""
    below: Numbers = (values[None] < values[:, None]) + 0.5 * (values[None] == values[:, None])
    return below


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    """NaN where all values of a side are tied."""
    is_tied = below < 1e-12
    found: Numbers = np.where(is_tied, np.nan, above / np.where(is_tied, 1.0, below))
    return found
