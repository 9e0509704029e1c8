"""Where a search stands, in numbers and words."""

from __future__ import annotations

import pytest
from hand_made import Clock, ended, trial_config

from raydistill.report.tally import Bracket, Tally, bracket_of, bracket_words, step_words
from raydistill.storage.record import Reading


def test_the_bracket_lies_between_the_smallest_candidate_and_the_largest_lossy_ipc_below_it() -> None:
    """Gaps to 0.98 with margin 0.02: within it are 0.01 at IPC 20, 0.015 and 0.005 at IPC 10; below are 0.05 at 5 and 0.04 at 8.

    The one at IPC 12 lies outside the margin, but not below the candidate.
    """
    trials = [(20, 0.97), (5, 0.93), (10, 0.965), (10, 0.975), (12, 0.95), (8, 0.93), (8, 0.94)]
    records = [ended(number, ipc, accuracy)[1] for number, (ipc, accuracy) in enumerate(trials)]
    bracket = bracket_of(records, 0.02)
    assert (bracket.candidate_ipc, bracket.candidate_trial_id) == (10, records[3].trial_id)
    assert bracket.candidate_gap == pytest.approx(0.005)
    assert bracket.lossy_ipc == 8
    assert bracket.lossy_gap == pytest.approx(0.04)


def test_a_trial_that_was_stopped_early_is_lossy_and_one_that_crashed_says_nothing() -> None:
    pruned = ended(0, 6, 0.90, state="pruned")[1]
    crashed = ended(1, 9, 0.90, state="crashed")[1]
    bracket = bracket_of([pruned, crashed], 0.02)
    assert (bracket.lossy_ipc, bracket.candidate_ipc) == (6, None)


@pytest.mark.parametrize(
    ("bracket", "words"),
    [
        (Bracket(), "none within the margin yet"),
        (Bracket(lossy_ipc=9, lossy_gap=0.03), "none within the margin yet; lossy up to IPC 9, gap 3.00 points"),
        (Bracket(candidate_ipc=15, candidate_gap=0.0081), "best so far IPC 15, gap 0.81 points"),
        (
            Bracket(candidate_ipc=15, candidate_gap=0.0081, lossy_ipc=9, lossy_gap=0.03),
            "best so far IPC 15, gap 0.81 points; lossy up to IPC 9, gap 3.00 points",
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
    assert tally.summary() == "no trial ended yet, 1 waiting for a place to run; none within the margin yet"


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
    assert tally.summary() == "no trial ended yet; none within the margin yet"
    tally.trial_ended(ended(0, 20, 0.97)[1])
    tally.trial_ended(ended(1, 20, 0.97, state="out_of_memory")[1])
    assert tally.summary() == "1 finished, 1 out of memory; best so far IPC 20, gap 1.00 points"
