"""The rules of the verdict, with records written by hand.

The baseline has two networks with 98 and 96 of 100 images right, mean 0.97; the margin is 0.02.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from made_up import baseline, correct, record, space

from raydistill.core.lossless import GapInterval, gap_interval
from raydistill.search.law import LawModel
from raydistill.search.seen import Columns, Seen
from raydistill.search.verdict import (
    Confirmed,
    Floor,
    conclude,
    fitted_floor,
    largest_lossy,
    not_admissible,
    select_interval,
    so_far,
)
from raydistill.storage.record import State, TrialRecord, pack_bits
from raydistill.storage.result import SearchResult
from raydistill.trial.confirm import Confirmation

SPACE = space()
FLOOR = Floor(0.03, 0.025, 0.035, 0.9)


def trial(number: int, ipc: int, gap: float | None, state: State = "finished", right: Sequence[int] = ()) -> TrialRecord:
    values = {"method.lr_images": 1.0, "method.random_inits": 10, "method.init": "real", "ipc": ipc}
    config = SPACE.arms[0].trial(ask_number=number, values=values, data_sha256="d" * 64)
    return record(config, gap, state, select_correct=pack_bits(correct(right)) if right else ())


def confirmed(record: TrialRecord, upper: float) -> Confirmed:
    interval = GapInterval(gap=upper - 0.01, lower=upper - 0.02, upper=upper, confidence=0.95, networks=2, images=100)
    return Confirmed(record, Confirmation(interval=interval, is_lossless=upper <= 0.02, accuracy_fractions=(0.9, 0.9)))


def concluded(
    records: Sequence[TrialRecord], tried: Sequence[Confirmed] = (), floor: Floor = FLOOR, **changes: Any
) -> SearchResult:
    return conclude(SPACE, baseline(**changes), records, tried, "hard", floor)


def test_a_confirmed_candidate_is_lossless() -> None:
    """797 train images over 200 in the set, 51,805 bytes over 2,000; three trials of 3 seconds."""
    records = [trial(0, 60, 0.01), trial(1, 20, 0.015), trial(2, 10, 0.05)]
    result = concluded(records, [confirmed(records[1], 0.018)])
    assert (result.verdict, result.split, result.smallest_lossless_ipc) == ("lossless", "confirm", 20)
    assert result.winner_trial_id == records[1].trial_id
    assert result.gap_interval is not None
    assert result.gap_interval.upper == 0.018
    assert result.confirmed_candidates == 1
    assert (result.compression_images, result.compression_bytes) == (797 / 200, 51805 / 2000)
    assert (result.largest_ipc_tried, result.closest_gap, result.seconds) == (60, 0.01, 9.0)
    assert result.baseline_accuracy_fraction == (0.98, 0.96)
    assert result.trials == {"finished": 3, "pruned": 0, "diverged": 0, "out_of_memory": 0, "crashed": 0}
    assert result.reason == (
        "the winner's gap on the confirm images is at most 1.80 points at 95 % confidence, within the margin of 2.00 points"
    )


def test_the_last_candidate_that_held_is_the_winner() -> None:
    """From the largest down: 30 and 20 are confirmed, 10 is not."""
    records = [trial(0, 30, 0.01), trial(1, 20, 0.01), trial(2, 10, 0.01)]
    tried = [confirmed(records[0], 0.015), confirmed(records[1], 0.02), confirmed(records[2], 0.03)]
    result = concluded(records, tried)
    assert (result.verdict, result.smallest_lossless_ipc, result.confirmed_candidates) == ("lossless", 20, 3)


def test_a_first_candidate_that_falls_leaves_it_open() -> None:
    records = [trial(0, 10, 0.01), trial(1, 20, 0.01)]
    result = concluded(records, [confirmed(records[1], 0.025)])
    assert (result.verdict, result.smallest_lossless_ipc, result.gap_interval) == ("inconclusive", None, None)
    assert result.reason.startswith(
        "the first candidate (IPC 20) is not confirmed: its gap on the confirm images may be as large as 2.50 points "
        "(95 % confidence bound), above the margin of 2.00 points; if its measured gap of 1.50 points stays, about "
    )


def test_larger_sets_that_the_ladder_passed_over_are_counted() -> None:
    """IPC 24 has a gap of 0.015, larger than IPC 16's 0.01: only 16 is on the ladder. IPC 32 has 0.03, above the margin."""
    records = [trial(0, 24, 0.015), trial(1, 16, 0.01), trial(2, 32, 0.03)]
    result = concluded(records, [confirmed(records[1], 0.025)])
    assert result.reason.startswith(
        "the first candidate (IPC 16) is not confirmed: its gap on the confirm images may be as large as 2.50 points "
        "(95 % confidence bound), above the margin of 2.00 points "
        "(1 larger set within the margin not tested, because a smaller set has an equal or smaller gap); "
    )


def test_sets_of_the_other_side_of_a_race_are_not_counted_as_passed_over() -> None:
    """Random images at IPC 40 are within the margin too, and are the controls' ladder."""
    own, other = trial(0, 16, 0.01), trial(1, 40, 0.01)
    records = [own, other.model_copy(update={"config": {**other.config, "label": "random"}})]
    assert "not tested" not in concluded(records, [confirmed(own, 0.025)]).reason
    assert "(1 larger set within the margin not tested" in concluded([own, other], [confirmed(own, 0.025)]).reason


def test_without_a_candidate_it_is_not_reached_and_the_floor_is_reported() -> None:
    result = concluded([trial(0, 60, 0.05), trial(1, 40, 0.04), trial(2, 50, 0.3, "pruned")])
    assert (result.verdict, result.closest_gap, result.compression_images) == ("not_reached", 0.04, None)
    assert (result.floor_gap, result.floor_gap_low, result.floor_gap_high) == (0.03, 0.025, 0.035)
    assert result.reason == (
        "no trial's gap is within the margin of 2.00 points; the smallest is 4.00 points, at IPC 40; the curve of gap against "
        "IPC fitted to the trials levels off at 3.00 points (90 % interval 2.50 to 3.50 points), so a larger IPC would not help"
    )


def test_a_floor_that_may_lie_within_the_margin_leaves_hope_for_a_larger_ipc() -> None:
    result = concluded([trial(0, 60, 0.05)], floor=Floor(0.03, 0.015, 0.045, 0.9))
    assert result.reason.endswith("(90 % interval 1.50 to 4.50 points), so a larger IPC may help")


def test_a_lossless_search_reports_no_floor() -> None:
    records = [trial(0, 20, 0.015)]
    assert concluded(records, [confirmed(records[0], 0.018)]).floor_gap is None


def test_the_fitted_floors_interval_is_the_normal_one() -> None:
    """1.645 standard deviations to either side at 90 %."""
    law = LawModel(Columns.of([Seen(number=0, place=(), ipc=9, gap=0.05, is_finished=True)]), ordered=[], margin=0.02, anchor=9)
    mean, deviation = law.floor()
    floor = fitted_floor(law)
    assert (floor.gap, floor.confidence) == (mean, 0.9)
    assert (floor.high - mean, mean - floor.low) == (pytest.approx(1.6449 * deviation, rel=1e-3),) * 2


def test_without_a_finished_trial_it_is_open() -> None:
    result = concluded([trial(0, 60, None, "crashed"), trial(1, 60, None, "crashed"), trial(2, 60, None, "out_of_memory")])
    assert (result.verdict, result.closest_gap) == ("inconclusive", None)
    assert result.reason == "no trial finished (2 crashed, 1 out of memory)"


def test_without_any_trial_it_is_open() -> None:
    result = concluded([])
    assert (result.verdict, result.largest_ipc_tried, result.reason) == ("inconclusive", None, "no trial finished (none was run)")


def test_a_baseline_that_is_not_admissible_leaves_it_open() -> None:
    records = [trial(0, 10, 0.01)]
    result = concluded(records, [], is_admissible=False)
    assert (result.verdict, result.baseline_admissible) == ("inconclusive", False)
    assert result.reason.startswith(
        "doubling the recipe's steps changes the full-data accuracy by +1.00 points; it must change by less than a quarter of "
        "the margin (0.50 points)"
    )


def test_a_baseline_that_learned_nothing_leaves_it_open() -> None:
    """The made-up one reads 97 %: where 96 % of the images are of one class, that is within the margin of 2 points."""
    made_up = baseline(is_admissible=False).model_copy(update={"chance_fraction": 0.96, "doubled_moves_by": 0.0})
    assert not_admissible(made_up, SPACE.goal) == (
        "the full data reads 97.00 % and one answer for every image 96.00 %; it must be above that by more than the margin "
        "(2.00 points), because a set from which nothing is learned would be lossless: use a network or a recipe that learns "
        "these images, or a smaller margin"
    )


def test_the_bounds_of_a_trial_that_may_end_early_share_its_error_among_its_looks() -> None:
    """Two to six networks are five looks: each bound at 1 - 0.05 / 5 = 99 %."""
    one = trial(0, 8, 0.57, right=[40, 40])
    looking = one.model_copy(update={"config": {**one.config, "evaluation": {"networks": 6, "least_networks": 2}}})
    expected = gap_interval(baseline().select_correct, correct([40, 40]), 0.99)
    found = select_interval(looking, baseline())
    assert (found.lower, found.upper) == pytest.approx((expected.lower, expected.upper))
    assert select_interval(one, baseline()) == gap_interval(baseline().select_correct, correct([40, 40]), 0.95)


def test_the_largest_lossy_ipc_has_its_best_trials_lower_bound_above_the_margin() -> None:
    """At IPC 8 the better of two trials has 60 and 62 images right, so a gap of 0.36; at 9 the best has a gap of 0.03."""
    lossy = [trial(0, 8, 0.57, right=[40, 40]), trial(1, 8, 0.36, right=[60, 62])]
    near = trial(2, 9, 0.03, right=[94, 94])
    bounds = [gap_interval(baseline().select_correct, correct(right), 0.95).lower for right in ([60, 62], [94, 94])]
    assert bounds[0] > 0.02 > bounds[1]
    found = largest_lossy([*lossy, near], baseline(), SPACE.goal, below=None)
    assert found == (8, 2)


def test_lossy_ipcs_at_or_above_the_winner_do_not_count() -> None:
    records = [trial(0, 20, 0.01), trial(1, 20, 0.57, right=[40, 40]), trial(2, 30, 0.57, right=[40, 40])]
    result = concluded(records, [confirmed(records[0], 0.018)])
    assert (result.largest_lossy_ipc, result.largest_lossy_trials) == (None, None)


def test_without_a_winner_lossy_ipcs_lie_below_every_candidate() -> None:
    records = [trial(0, 20, 0.01), trial(1, 25, 0.57, right=[40, 40]), trial(2, 5, 0.57, right=[40, 40])]
    result = concluded(records, [confirmed(records[0], 0.05)])
    assert (result.largest_lossy_ipc, result.largest_lossy_trials) == (5, 1)


def test_without_a_candidate_any_ipc_may_be_lossy() -> None:
    assert concluded([trial(0, 60, 0.57, right=[40, 40])]).largest_lossy_ipc == 60


def test_lossy_ipcs_are_tested_from_the_smallest_until_one_is_not_shown() -> None:
    """IPC 8 is not shown to be lossy, so nothing is said of IPC 20 above it, whose best trial reads worse."""
    small, open_, large = (
        trial(0, 5, 0.57, right=[40, 40]),
        trial(1, 8, 0.0277, right=[94, 94]),
        trial(2, 20, 0.57, right=[40, 40]),
    )
    assert largest_lossy([small, open_, large], baseline(), SPACE.goal, below=None) == (5, 1)
    assert largest_lossy([small, large], baseline(), SPACE.goal, below=None) == (20, 1)
    assert largest_lossy([open_, large], baseline(), SPACE.goal, below=None) is None


def test_an_ipc_that_cannot_be_tested_does_not_end_the_tests() -> None:
    records = [trial(0, 5, 0.57, right=[40, 40]), trial(1, 8, 0.57, right=[40]), trial(2, 20, 0.57, right=[40, 40])]
    assert largest_lossy(records, baseline(), SPACE.goal, below=None) == (20, 1)


@pytest.mark.parametrize(("wanted", "found"), [(1, (8, 1)), (2, None)])
def test_an_ipc_needs_enough_trials_to_be_lossy(wanted: int, found: tuple[int, int] | None) -> None:
    goal = SPACE.goal.model_copy(update={"lossy_trials": wanted})
    assert largest_lossy([trial(0, 8, 0.57, right=[40, 40])], baseline(), goal, below=None) == found


def test_one_network_proves_no_loss() -> None:
    assert largest_lossy([trial(0, 8, 0.57, right=[40])], baseline(), SPACE.goal, below=None) is None


def test_what_is_said_so_far_is_what_a_verdict_without_a_winner_says() -> None:
    """IPC 9 was stopped at a gap of 13.30 points, IPC 8 finished with 2.77, and its lower bound is within the margin."""
    stopped = trial(0, 9, 0.133, "pruned", right=[84, 84])
    near = trial(1, 8, 0.0277, right=[94, 94])
    found = so_far([stopped, near], baseline(), SPACE.goal)
    assert (found.candidate, found.lossy, found.closest) == (None, None, near)
    assert concluded([stopped, near]).largest_lossy_ipc is None


def test_an_ipc_that_is_shown_lossy_so_far_is_the_verdicts() -> None:
    records = [trial(0, 20, 0.01), trial(1, 25, 0.57, right=[40, 40]), trial(2, 5, 0.57, right=[40, 40])]
    found = so_far(records, baseline(), SPACE.goal)
    assert (found.candidate, found.lossy, found.closest) == (records[0], (5, 1), records[0])
    assert concluded(records, [confirmed(records[0], 0.05)]).largest_lossy_ipc == 5


def test_the_candidate_so_far_is_the_best_trial_of_the_smallest_ipc_within_the_margin() -> None:
    records = [trial(0, 20, 0.001), trial(1, 10, 0.015), trial(2, 10, 0.005), trial(3, 9, 0.03)]
    assert so_far(records, baseline(), SPACE.goal).candidate == records[2]


def test_without_a_baseline_nothing_is_shown_lossy() -> None:
    assert so_far([trial(0, 5, 0.57, right=[40, 40])], None, SPACE.goal).lossy is None


def test_a_result_comes_back_from_its_file() -> None:
    records = [trial(0, 10, 0.01)]
    result = concluded(records, [confirmed(records[0], 0.018)])
    assert SearchResult.model_validate_json(result.model_dump_json()) == result
