"""How well a score tells members from others: the area under the ROC curve with DeLong's interval. No torch.

Source: DeLong et al., "Comparing the areas under two or more correlated receiver operating characteristic curves", Biometrics
1988; with ranks after Sun and Xu, "Fast implementation of DeLong's algorithm", IEEE Signal Processing Letters 2014.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from raydistill.spaces.sections import Config

CONFIDENCE = 0.95
"""Of the two-sided interval."""

Numbers = NDArray[np.float64]


class Auc(Config):
    """The probability that a member's score is above another's, ties counted half, with a two-sided interval."""

    value: float
    """0.5: the score tells nothing."""
    low: float
    high: float


def auc(members: Numbers, others: Numbers) -> Auc:
    """The area under the ROC curve of a score.

    Args:
        members: (m,) scores of members.
        others: (n,) scores of others.

    Raises:
        ValueError: a side has fewer than two scores, or a score is not a number.
    """
    if min(len(members), len(others)) < 2:
        raise ValueError(f"given {len(members)} members and {len(others)} others; an interval needs at least 2 of each")
    if np.isnan(members).any() or np.isnan(others).any():
        raise ValueError("a score is not a number; scores have an order")
    together = _mid_ranks(np.concatenate([members, others]))
    of_members, of_others = together[: len(members)], together[len(members) :]
    # For each member the part of the others below it, and for each other the part of the members above it.
    above = (of_members - _mid_ranks(members)) / len(others)
    below = 1 - (of_others - _mid_ranks(others)) / len(members)
    value = float(above.mean())
    error = math.sqrt(above.var(ddof=1) / len(members) + below.var(ddof=1) / len(others))
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * error
    return Auc(value=value, low=max(value - reach, 0.0), high=min(value + reach, 1.0))


def _mid_ranks(values: Numbers) -> Numbers:
    """(n,) ranks from 1; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: Numbers = (last - (count - 1) / 2)[place]
    return ranks
