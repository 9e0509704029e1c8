"""Rank correlations worked by hand, and their intervals."""

from __future__ import annotations

import pytest

from raydistill.uses.ranks import kendall, spearman


def test_spearman_by_hand() -> None:
    """Ranks 1 2 3 4 and 2 1 4 3: squared differences 4, 1 - 6 * 4 / (4 * 15) = 0.6."""
    assert spearman([0.1, 0.2, 0.3, 0.4], [5.0, 4.0, 9.0, 8.0], seed=0).value == pytest.approx(0.6)


def test_kendall_by_hand() -> None:
    """Of six pairs two are discordant: (4 - 2) / 6."""
    assert kendall([0.1, 0.2, 0.3, 0.4], [5.0, 4.0, 9.0, 8.0], seed=0).value == pytest.approx(1 / 3)


def test_ties_share_their_mean_rank() -> None:
    """Ranks 1, 2.5, 2.5, 4 and 1 2 3 4: covariance 4.5, variances 4.5 and 5; 4.5 / sqrt(22.5)."""
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4], seed=0).value == pytest.approx(4.5 / 22.5**0.5)


def test_kendall_leaves_out_tied_pairs() -> None:
    """Five of six pairs are concordant and one is tied on one side: 5 / sqrt(5 * 6)."""
    assert kendall([1, 2, 2, 3], [1, 2, 3, 4], seed=0).value == pytest.approx(5 / 30**0.5)


@pytest.mark.parametrize("statistic", [spearman, kendall])
def test_equal_and_opposite_orders_are_one_and_minus_one_whatever_is_drawn(statistic) -> None:
    up, down = list(range(8)), list(range(8, 0, -1))
    assert statistic(up, [v**3 for v in up], seed=0).model_dump() == pytest.approx({"value": 1.0, "low": 1.0, "high": 1.0})
    assert statistic(up, down, seed=0).model_dump() == pytest.approx({"value": -1.0, "low": -1.0, "high": -1.0})


@pytest.mark.parametrize("statistic", [spearman, kendall])
def test_the_interval_holds_the_value_and_shrinks_with_more_networks(statistic) -> None:
    few = statistic([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5], seed=1)
    many = statistic(list(range(60)), [v + (1 if v % 2 == 0 else -1) for v in range(60)], seed=1)
    assert few.low < few.value < few.high
    assert many.high - many.low < few.high - few.low


def test_the_interval_is_the_same_for_the_same_seed() -> None:
    values = ([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5])
    assert spearman(*values, seed=1) == spearman(*values, seed=1)


@pytest.mark.parametrize("statistic", [spearman, kendall])
def test_a_side_of_ties_alone_has_no_correlation(statistic) -> None:
    assert statistic([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], seed=0).value is None


def test_few_networks_have_a_value_and_no_interval() -> None:
    found = spearman([1, 2, 3, 4], [1, 2, 3, 4], seed=0)
    assert (found.value, found.low, found.high) == (pytest.approx(1.0), None, None)


def test_lists_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="given 2 and 3 values; expected two lists of the same length, at least 2"):
        spearman([1, 2], [1, 2, 3], seed=0)
