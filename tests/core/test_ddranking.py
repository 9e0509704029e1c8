"""DD-Ranking's scores against published anchors and by hand."""

from __future__ import annotations

import math

import pytest

from raydistill.core.ddranking import augmentation_robust_score, label_robust_score, score


@pytest.mark.parametrize(
    ("advantage", "expected"), [(-1, 0.0), (-0.1, 0.2285), (0, 0.2689), (0.1, 0.3137), (0.5, 0.5449), (1, 1.0)]
)
def test_the_score_at_its_anchors(advantage: float, expected: float) -> None:
    assert score(advantage) == pytest.approx(expected, abs=5e-5)


def test_lrs_by_hand() -> None:
    """IOR 0.7 - 0.5 = 0.2, HLR 0.9 - 0.6 = 0.3; alpha = 0.5 * 0.2 - 0.5 * 0.3 = -0.05."""
    expected = (math.exp(-0.05) - math.exp(-1)) / (math.e - math.exp(-1))
    assert label_robust_score(real_hard=0.9, set_hard=0.6, set_own=0.7, random_own=0.5) == pytest.approx(expected)


def test_the_weight_of_lrs_is_that_of_the_gain_over_random() -> None:
    """w 1: alpha = IOR = 0.2; w 0: alpha = -HLR = -0.3."""
    given = {"real_hard": 0.9, "set_hard": 0.6, "set_own": 0.7, "random_own": 0.5}
    assert label_robust_score(**given, weight=1.0) == pytest.approx(score(0.2))
    assert label_robust_score(**given, weight=0.0) == pytest.approx(score(-0.3))


def test_ars_by_hand() -> None:
    """Augmented 0.8 - 0.6 = 0.2, plain 0.7 - 0.7 = 0; beta = 0.25 * 0.2 + 0.75 * 0 = 0.05."""
    given = {"set_augmented": 0.8, "random_augmented": 0.6, "set_plain": 0.7, "random_plain": 0.7}
    assert augmentation_robust_score(**given, weight=0.25) == pytest.approx(score(0.05))


def test_percent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"given \[90\]; .* fractions from 0 to 1: divide percent by 100"):
        label_robust_score(real_hard=90, set_hard=0.6, set_own=0.7, random_own=0.5)
    with pytest.raises(ValueError, match=r"given \[1\.5\]"):
        augmentation_robust_score(set_augmented=0.8, random_augmented=0.6, set_plain=0.7, random_plain=0.7, weight=1.5)
