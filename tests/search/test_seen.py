"""Ended trials as arrays."""

from __future__ import annotations

import math

import numpy as np

from raydistill.search.arm_choice import _best_within
from raydistill.search.proposal import ASSUMED_FLOOR, NEAR_EACH, NEAREST, Field, _near_the_best, _smallest_gaps
from raydistill.search.seen import Columns, Seen, joined


def some(count: int, seed: int = 0) -> list[Seen]:
    """Trials in no order; every fifth has no gap, and gaps are round, so that many are equal."""
    random = np.random.default_rng(seed)
    return [
        Seen(
            number=int(number),
            place=tuple(random.uniform(size=2).tolist()),
            ipc=int(random.integers(1, 5)),
            gap=None if number % 5 == 0 else round(float(random.uniform(0, 0.1)), 2),
            is_finished=bool(random.random() < 0.7),
            is_out_of_memory=bool(number % 10 == 0),
        )
        for number in random.permutation(count)
    ]


def rows(columns: Columns) -> list[Seen]:
    return [
        Seen(
            number=int(columns.number[row]),
            place=tuple(columns.place[row].tolist()),
            ipc=int(columns.ipc[row]),
            gap=None if math.isnan(columns.gap[row]) else float(columns.gap[row]),
            is_finished=bool(columns.is_finished[row]),
            is_out_of_memory=bool(columns.is_out_of_memory[row]),
        )
        for row in range(len(columns))
    ]


def test_columns_hold_the_trials_as_they_are() -> None:
    trials = some(30)
    assert rows(Columns.of(trials)) == trials
    assert rows(Columns.of([])) == []


def test_trials_that_are_joined_and_put_in_order_are_those_of_one_list() -> None:
    trials = some(30)
    parts = joined([Columns.of([]), Columns.of(trials[:20]), Columns.of(trials[20:])])
    assert rows(parts) == trials
    assert rows(parts.in_order) == sorted(trials, key=lambda s: s.number)
    assert rows(joined([])) == []


def test_trials_of_two_arms_are_joined_without_their_places() -> None:
    first, second = Columns.of(some(4)), Columns.of([Seen(number=9, place=(0.1,), ipc=3, gap=0.2, is_finished=True)])
    both = joined([first.without_places, second.without_places])
    assert both.place.shape == (5, 0)
    assert both.ipc.tolist() == [*first.ipc.tolist(), 3]


def test_those_that_were_read_have_a_gap() -> None:
    trials = some(30)
    assert rows(Columns.of(trials).read) == [s for s in trials if s.gap is not None]


def test_the_smallest_gap_at_each_ipc_is_found() -> None:
    trials = [s for s in some(60) if s.gap is not None]
    expected = {ipc: min(s.gap for s in trials if s.ipc == ipc and s.gap is not None) for ipc in {s.ipc for s in trials}}
    assert _smallest_gaps(Columns.of(trials)) == expected


def test_the_best_trial_within_the_margin_has_the_smallest_ipc_then_gap_then_number() -> None:
    trials = some(200)
    within = [(s.ipc, s.gap, s.number) for s in trials if s.is_finished and s.gap is not None and s.gap <= 0.04]
    assert _best_within(Columns.of(trials), 0.04) == min(within)
    assert _best_within(Columns.of(trials), -1.0) is None


def test_places_are_tried_near_those_with_the_smallest_b_and_of_equal_ones_near_the_earlier() -> None:
    """The first of the trials sorted by b, then number; with equal gaps and IPC many have the same b."""
    trials = [s for s in some(100) if s.gap is not None]
    field = Field(options=(1, 1), lowest=1, highest=4)
    best = sorted(trials, key=lambda s: ((s.gap - ASSUMED_FLOOR * 0.02) * math.sqrt(s.ipc), s.number))[:NEAREST]
    found = _near_the_best(Columns.of(trials), field, 0.02, np.random.default_rng(1))
    expected = [field.near(np.array(s.place), NEAR_EACH, draw) for draw in [np.random.default_rng(1)] for s in best]
    assert [near.tolist() for near in found] == [near.tolist() for near in expected]
