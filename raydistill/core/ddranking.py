"""DD-Ranking's scores, computed from accuracy fractions.

    HLR = accuracy(full data, hard labels) - accuracy(set, hard labels)
    IOR = accuracy(set, its own labels) - accuracy(random real images, labels of the same kind)
    alpha = w IOR - (1 - w) HLR,   beta = g (set - random, augmented) + (1 - g) (set - random, not augmented)
    LRS and ARS: (e^x - e^-1) / (e - e^-1) of alpha and of beta

Scores go from 0 to 1; 0.2689 is the score of random images without a loss of accuracy. The published package puts percent into
the formula, which is defined for fractions, so its scores leave this range.

Source: Li et al., "DD-Ranking: Rethinking the Evaluation of Dataset Distillation", 2025.
"""

from __future__ import annotations

import math

WEIGHT = 0.5
"""w and g, as published."""


def label_robust_score(*, real_hard: float, set_hard: float, set_own: float, random_own: float, weight: float = WEIGHT) -> float:
    """LRS, computed from accuracy fractions.

    Args:
        real_hard: accuracy of the full data.
        set_hard: accuracy of the set's images with hard labels.
        set_own: accuracy of the set with its own labels.
        random_own: accuracy of equally many random real images, with labels of the same kind.
        weight: w, from 0 to 1.

    Raises:
        ValueError: a value is outside of 0 to 1.
    """
    _check(real_hard, set_hard, set_own, random_own, weight)
    return score(weight * (set_own - random_own) - (1 - weight) * (real_hard - set_hard))


def augmentation_robust_score(
    *, set_augmented: float, random_augmented: float, set_plain: float, random_plain: float, weight: float = WEIGHT
) -> float:
    """ARS, computed from accuracy fractions of networks trained with and without augmentation; `weight` is g.

    Raises:
        ValueError: a value is outside of 0 to 1.
    """
    _check(set_augmented, random_augmented, set_plain, random_plain, weight)
    return score(weight * (set_augmented - random_augmented) + (1 - weight) * (set_plain - random_plain))


def score(advantage: float) -> float:
    """Convert alpha or beta, from -1 to 1, to a score from 0 to 1."""
    return (math.exp(advantage) - math.exp(-1)) / (math.exp(1) - math.exp(-1))


def _check(*fractions: float) -> None:
    outside = [value for value in fractions if not 0 <= value <= 1]
    if outside:
        raise ValueError(f"given {outside}; accuracies and weights are fractions from 0 to 1: divide percent by 100")
