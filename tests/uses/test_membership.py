"""How well a score tells members from others."""

from __future__ import annotations

import math

import numpy as np
import pytest

from raydistill.uses.membership import auc


def test_the_area_is_the_part_of_pairs_in_which_the_member_is_above() -> None:
    """Members 3, 2; others 2, 1: pairs 3>2, 3>1, 2=2 (half), 2>1 make 3.5 of 4.

    Parts per member 1 and 0.75, per other 0.75 and 1: variance 0.03125 each; the error is sqrt(0.03125 / 2 + 0.03125 / 2).
    """
    found = auc(np.array([3.0, 2.0]), np.array([2.0, 1.0]))
    assert found.value == pytest.approx(0.875)
    assert (found.low, found.high) == (pytest.approx(0.875 - 1.959964 * math.sqrt(0.03125)), 1.0)


def test_a_score_that_tells_nothing_has_an_area_of_a_half() -> None:
    same = np.array([1.0, 1.0, 1.0])
    assert auc(same, same).model_dump() == pytest.approx({"value": 0.5, "low": 0.5, "high": 0.5})


def test_a_score_that_tells_all_has_an_area_of_one() -> None:
    assert auc(np.array([5.0, 6.0]), np.array([1.0, 2.0])).value == 1.0
    assert auc(np.array([1.0, 2.0]), np.array([5.0, 6.0])).value == 0.0


def test_the_area_is_that_of_counting_all_pairs() -> None:
    generator = np.random.default_rng(0)
    members, others = generator.integers(0, 9, 40).astype(float), generator.integers(0, 9, 30).astype(float)
    signs = np.sign(members[:, None] - others[None])
    parts = (signs + 1) / 2
    found = auc(members, others)
    error = math.sqrt(parts.mean(1).var(ddof=1) / 40 + parts.mean(0).var(ddof=1) / 30)
    assert found.value == pytest.approx(parts.mean())
    assert found.high - found.value == pytest.approx(1.959964 * error)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Members a half above others, both normal: the true area is Phi(0.5 / sqrt 2) = 0.6382.

    Of 400 intervals 95 % are 380, with a deviation of 4.4.
    """
    generator = np.random.default_rng(1)
    found = [auc(generator.normal(0.5, 1, 60), generator.normal(0, 1, 80)) for _ in range(400)]
    assert 360 <= sum(one.low <= 0.6382 <= one.high for one in found) <= 396


@pytest.mark.parametrize(
    ("members", "message"),
    [([1.0], "given 1 members and 3 others; an interval needs at least 2 of each"), ([1.0, math.nan], "a score is not a number")],
)
def test_scores_that_have_no_area_are_refused(members: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        auc(np.array(members), np.array([1.0, 2.0, 3.0]))
