"""Where a search stands, in numbers and words."""

from __future__ import annotations

import json

import made_up
import numpy as np
import pytest
from hand_made import Clock, ended, trial_config
from hand_race import record as race_record
from made_up import correct

from raydistill.report.tally import Bracket, Tally, bracket_of, bracket_words, step_words
from raydistill.spaces.sections import GoalConfig
from raydistill.storage.record import Reading, TrialRecord, pack_bits

GOAL = GoalConfig(margin_fraction=0.02)


def test_the_bracket_is_what_the_verdict_would_say_of_the_trials_so_far() -> None:
    """Gaps to 0.98 with margin 0.02: within it are 0.01 at IPC 20, 0.015 and 0.005 at IPC 10. One network shows no loss."""
    trials = [(20, 0.97), (5, 0.93), (10, 0.965), (10, 0.975), (12, 0.95)]
    records = [ended(number, ipc, accuracy)[1] for number, (ipc, accuracy) in enumerate(trials)]
    bracket = bracket_of(records, None, GOAL)
    assert (bracket.candidate_ipc, bracket.candidate_trial_id) == (10, records[3].trial_id)
    assert bracket.candidate_gap == pytest.approx(0.005)
    assert (bracket.closest_ipc, bracket.closest_gap) == (10, bracket.candidate_gap)
    assert (bracket.lossy_ipc, bracket.lossy_gap) == (None, None)


def test_an_ipc_is_lossy_where_the_lower_bound_of_its_best_trial_is_above_the_margin() -> None:
    """The baseline's networks have 98 and 96 of 100 images right; at IPC 5 40 are right, at IPC 8 94."""
    far = ended(0, 5, 0.40, select_correct=pack_bits(correct([40, 40])))[1]
    near = ended(1, 8, 0.94, select_correct=pack_bits(correct([94, 94])))[1]
    bracket = bracket_of([far, near], made_up.baseline(), GOAL)
    assert (bracket.lossy_ipc, bracket.lossy_gap) == (5, pytest.approx(0.58))
    assert (bracket.candidate_ipc, bracket.closest_ipc) == (None, 8)


def test_a_trial_that_was_stopped_early_shows_no_ipc_lossy() -> None:
    """IPC 9 was stopped at a gap of 13.30 points, IPC 8 finished with 2.77, and its lower bound is within the margin."""
    stopped = ended(0, 9, 0.847, state="pruned", select_correct=pack_bits(correct([84, 84])))[1]
    near = ended(1, 8, 0.9523, select_correct=pack_bits(correct([95, 95])))[1]
    tally = Tally()
    tally.baseline = made_up.baseline()
    tally.trial_ended(stopped)
    tally.trial_ended(near)
    assert tally.summary() == (
        "1 finished, 1 pruned; so far, provisional: no IPC within the margin (smallest gap 2.77 points at IPC 8); no IPC shown "
        "to be lossy"
    )


def test_controls_that_finished_alone_are_no_set_of_a_method_and_are_told() -> None:
    """The only trial of a method diverged. Random has gaps of 40 points at IPC 1 and of 2 at IPC 400; the margin is 3."""
    diverged = {"state": "diverged", "readings": [], "select_correct": [], "images_sha256": None, "error": "the loss is nan"}
    made = [race_record(0, **diverged), race_record(2), race_record(58)]
    records = [TrialRecord.model_validate_json(json.dumps(one)) for one in made]
    goal = GoalConfig(margin_fraction=0.03)
    assert bracket_words(bracket_of(records[:1], None, goal)) == "no trial finished yet"
    assert bracket_words(bracket_of(records[:2], None, goal)) == "no distilled set finished yet"
    assert bracket_words(bracket_of(records, None, goal)) == (
        "no distilled set finished yet; the control random within the margin at IPC 400 (gap 2.00 points)"
    )


@pytest.mark.parametrize("lossy_trials", [1, 3])
def test_the_few_trials_that_a_tally_keeps_give_the_bracket_of_all(lossy_trials: int) -> None:
    """Three hundred trials of three arms at six IPCs, of which a few were stopped; compared after each tenth."""
    random = np.random.default_rng(0)
    goal = GoalConfig(margin_fraction=0.02, lossy_trials=lossy_trials)
    tally, records = Tally(), []
    tally.baseline = made_up.baseline()
    for number in range(300):
        right = [int(n) for n in np.clip(random.normal(94 - 40 / (1 + number % 6), 2, 2), 0, 100)]
        changes = {"state": "pruned" if random.random() < 0.1 else "finished", "select_correct": pack_bits(correct(right))}
        record = ended(number, 1 + number % 6, sum(right) / 200, **changes)[1]
        method = {"name": ("datadam", "dm", "random")[int(random.integers(3))]}
        config = {**record.config, "method": method, "goal": goal.model_dump(mode="json")}
        records.append(record.model_copy(update={"config": config}))
        tally.trial_ended(records[-1])
        if number % 10 == 0:
            assert tally.bracket == bracket_of(records, tally.baseline, goal)
    assert tally.bracket.lossy_ipc is not None
    assert len(tally._telling.records) <= 6 * 3 * (1 + lossy_trials) + 3


def test_before_the_first_trial_the_tally_knows_whether_the_baseline_can_decide() -> None:
    tally = Tally()
    tally.baseline = made_up.baseline(is_admissible=False)
    assert tally.summary().endswith("inconclusive, because the full-data baseline allows no verdict")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "is not trained to its end"),
        ({"doubled_moves_by": -0.02}, "loses by longer training"),
        ({"doubled_moves_by": 0.0, "chance_fraction": 0.96}, "is not above chance by more than the margin"),
    ],
)
def test_full_data_that_allows_no_verdict_is_told_with_its_reason(changes: dict[str, float], why: str) -> None:
    """The full data of these records reads 97 %; the margin is 2 points."""
    baseline = made_up.baseline(is_admissible=False).model_copy(update=changes)
    found = bracket_of([ended(0, 5, 0.9)[1]], baseline, GoalConfig(margin_fraction=0.02))
    assert bracket_words(found) == f"inconclusive, because the full-data baseline {why}"


CLOSEST = {"closest_ipc": 8, "closest_gap": 0.0277}


@pytest.mark.parametrize(
    ("bracket", "words"),
    [
        (Bracket(), "no trial finished yet"),
        (Bracket(**CLOSEST), "no IPC within the margin (smallest gap 2.77 points at IPC 8); no IPC shown to be lossy"),
        (
            Bracket(**CLOSEST, lossy_ipc=5, lossy_gap=0.2),
            "no IPC within the margin (smallest gap 2.77 points at IPC 8); IPC 5 shown to be lossy (gap 20.00 points)",
        ),
        (
            Bracket(**CLOSEST, candidate_ipc=15, candidate_gap=0.0081),
            "IPC 15 within the margin (gap 0.81 points, not confirmed); no smaller IPC shown to be lossy",
        ),
        (
            Bracket(**CLOSEST, candidate_ipc=15, candidate_gap=0.0081, lossy_ipc=9, lossy_gap=0.03),
            "IPC 15 within the margin (gap 0.81 points, not confirmed); IPC 9 shown to be lossy (gap 3.00 points)",
        ),
        (
            Bracket(**CLOSEST, full_data="is not trained to its end"),
            "inconclusive, because the full-data baseline is not trained to its end",
        ),
        (
            Bracket(**CLOSEST, full_data="loses by longer training"),
            "inconclusive, because the full-data baseline loses by longer training",
        ),
    ],
)
def test_a_bracket_is_told_in_half_a_sentence(bracket: Bracket, words: str) -> None:
    assert bracket_words(bracket) == words


def test_a_step_is_told_with_its_part_of_the_whole_where_that_is_known() -> None:
    assert [step_words(15, 0.5), step_words(15, None)] == ["step 15 (50 %)", "step 15"]


def test_a_step_moves_a_running_trial_and_leaves_its_gap() -> None:
    tally = Tally()
    config = trial_config(0, 7)
    tally.trial_started(config)
    tally.step(config, 6, 30)
    assert tally.running[config.trial_id] == (config, 6, 0.2, None)
    tally.reading(config, Reading(step=15, fraction=0.5, accuracy_fractions=(0.95,), gap=0.03, loss=0.1))
    tally.step(config, 24, 30)
    assert tally.running[config.trial_id] == (config, 24, 0.8, 0.03)


def test_a_trial_waits_from_its_ask_to_its_start() -> None:
    tally = Tally()
    first, second = trial_config(0, 7), trial_config(1, 9)
    tally.trial_asked(first)
    tally.trial_asked(second)
    tally.trial_started(first)
    assert list(tally.waiting) == [second.trial_id]
    assert tally.summary() == "no trial ended yet, 1 waiting for a place to run; so far, provisional: no trial finished yet"


def test_time_left_follows_the_pace_of_trials_that_ran_here() -> None:
    """A resumed search: one trial is already there; two ran here in 60 s, so the 3 that remain of 6 take 90 s."""
    clock = Clock()
    tally = Tally(clock)
    tally.stage("trials", 6)
    tally.trial_ended(ended(0, 5)[1])
    assert tally.seconds_left is None
    for number in (1, 2):
        config, record = ended(number, 5)
        tally.trial_started(config)
        clock.now += 30
        tally.trial_ended(record)
    assert tally.seconds_left == 90


def test_the_summary_counts_states_and_names_the_best() -> None:
    tally = Tally()
    assert tally.summary() == "no trial ended yet; so far, provisional: no trial finished yet"
    tally.trial_ended(ended(0, 20, 0.97)[1])
    tally.trial_ended(ended(1, 20, 0.97, state="out_of_memory")[1])
    assert tally.summary() == (
        "1 finished, 1 out of memory; so far, provisional: IPC 20 within the margin (gap 1.00 points, not confirmed); no smaller "
        "IPC shown to be lossy"
    )
