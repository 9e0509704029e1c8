"""The order of confirmation, and its probability of an error."""

from __future__ import annotations

import numpy as np
from scipy import stats

from raydistill.search.ladder import Rung, ladder


def test_the_largest_candidate_comes_first() -> None:
    rungs = [Rung(10, 0.015, 0), Rung(40, 0.005, 1), Rung(20, 0.010, 2)]
    assert [rung.ipc for rung in ladder(rungs, 0.02)] == [40, 20, 10]


def test_a_reading_beyond_the_margin_is_no_candidate() -> None:
    """The margin itself is within it."""
    assert ladder([Rung(10, 0.0201, 0), Rung(20, 0.02, 1)], 0.02) == [Rung(20, 0.02, 1)]


def test_a_larger_ipc_that_reads_no_better_is_left_out() -> None:
    """20 reads as 10 does, 30 worse, 40 better; of two at 10 the better one stays."""
    rungs = [Rung(10, 0.012, 0), Rung(10, 0.010, 1), Rung(20, 0.010, 2), Rung(30, 0.011, 3), Rung(40, 0.009, 4)]
    assert [rung.number for rung in ladder(rungs, 0.02)] == [4, 1]


def test_of_equal_readings_the_first_ask_stays() -> None:
    assert ladder([Rung(10, 0.01, 5), Rung(10, 0.01, 2)], 0.02) == [Rung(10, 0.01, 2)]


def test_one_error_covers_all_candidates_where_going_up_gives_each_its_own() -> None:
    """Eight sets whose true gap is the margin, read with noise of their own and bounds at 95 %: a claim is false.

    Down, the first test alone decides: 5 %. Up until one holds: 1 - 0.95^8 = 34 %. With 20,000 draws both are within 1 point.
    """
    noise = np.random.default_rng(0).normal(size=(20_000, 8))
    holds = noise + stats.norm.ppf(0.95) <= 0
    claims_down, claims_up = holds[:, 0], holds.any(axis=1)
    assert abs(claims_down.mean() - 0.05) < 0.01
    assert abs(claims_up.mean() - 0.34) < 0.01
