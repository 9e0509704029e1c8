"""What a person sees while a search runs."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from hand_made import trial_config, trial_record
from rich.console import Console

from raydistill.config import TrialConfig
from raydistill.core.synthetic import SyntheticSet
from raydistill.record import Reading, TrialRecord
from raydistill.report.progress import MOST_RUNNING_SHOWN, PlainWatcher, RichWatcher, Tally, watch, watch_steps


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ended(ask_number: int, ipc: int, accuracy: float = 0.97, **changes: Any) -> tuple[TrialConfig[Any], TrialRecord]:
    config = trial_config(ask_number, ipc)
    return config, trial_record(config, (accuracy,), **changes)


def half_way() -> Reading:
    return Reading(step=15, fraction=0.5, accuracy_fractions=(0.95,), gap=0.03, loss=0.1)


def test_the_best_is_the_smallest_ipc_within_the_margin_and_then_the_smallest_gap() -> None:
    """Gaps to 0.98 with margin 0.02: 0.01 at IPC 20, 0.05 at IPC 5 (outside), 0.015 and 0.005 at IPC 10."""
    tally = Tally()
    for number, (ipc, accuracy) in enumerate([(20, 0.97), (5, 0.93), (10, 0.965), (10, 0.975), (12, 0.979)]):
        tally.trial_ended(ended(number, ipc, accuracy)[1])
    assert tally.best is not None
    assert (tally.best.ipc, tally.best.ask_number) == (10, 3)


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


def test_plain_lines_tell_each_event() -> None:
    stream, clock = io.StringIO(), Clock()
    watcher = PlainWatcher(stream, clock)
    config, record = ended(0, 7)
    lost, crashed = ended(1, 8, state="crashed", error="Traceback (most recent call last):\nRuntimeError: no\n", cost=None)
    watcher.stage("baseline", 2)
    watcher.job_done()
    watcher.stage("trials", 2)
    watcher.trial_started(config)
    watcher.reading(config, half_way())
    clock.now += 70
    watcher.trial_ended(record)
    watcher.trial_ended(crashed)
    watcher.note("dashboard at 127.0.0.1:8265")
    assert stream.getvalue().splitlines() == [
        "baseline: 2 networks",
        "baseline: 1 of 2 networks",
        "trials: 2 trials",
        f"trial 0 ({config.trial_id}): started, IPC 7",
        f"trial 0 ({config.trial_id}): step 15 (50 %), gap 3.00 points",
        f"trial 0 ({config.trial_id}): finished, IPC 7, gap 1.00 points, 12 s",
        "trials: 1 of 2; 1 finished; best so far IPC 7, gap 1.00 points; about 1 min 10 s left",
        f"trial 1 ({lost.trial_id}): crashed, IPC 8: RuntimeError: no",
        "trials: 2 of 2; 1 crashed, 1 finished; best so far IPC 7, gap 1.00 points",
        "dashboard at 127.0.0.1:8265",
    ]


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


def shown(watcher: RichWatcher) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(watcher.render())
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_live_table_shows_stage_running_trials_and_summary() -> None:
    watcher = RichWatcher(terminal(), Clock())
    first, second = trial_config(0, 7), trial_config(1, 9)
    try:
        watcher.stage("trials", 12)
        watcher.trial_started(first)
        watcher.trial_started(second)
        watcher.reading(first, half_way())
        text = shown(watcher)
    finally:
        watcher.close()
    assert "0/12" in text
    assert any(first.trial_id in line and "step 15 (50 %)" in line and "3.00 points" in line for line in text.splitlines())
    assert any(second.trial_id in line and "starting" in line for line in text.splitlines())
    assert "none within the margin yet" in text


def test_a_trial_that_ended_leaves_the_live_table_for_a_line_above() -> None:
    console = terminal()
    watcher = RichWatcher(console, Clock())
    config, record = ended(0, 7)
    try:
        watcher.stage("trials", 12)
        watcher.trial_started(config)
        watcher.trial_ended(record)
        text = shown(watcher)
    finally:
        watcher.close()
    assert "1/12" in text
    assert config.trial_id not in text
    assert f"trial 0 ({config.trial_id}): finished, IPC 7" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_long_live_table_is_cut() -> None:
    watcher = RichWatcher(terminal(), Clock())
    try:
        watcher.stage("trials", 99)
        for number in range(MOST_RUNNING_SHOWN + 3):
            watcher.trial_started(trial_config(number, 7))
        assert "and 3 more" in shown(watcher)
    finally:
        watcher.close()


def test_text_in_brackets_is_printed_as_it_is() -> None:
    console = terminal()
    watcher = RichWatcher(console, Clock())
    watcher.note("shape [bold] (3)")
    watcher.close()
    assert "shape [bold] (3)" in console.file.getvalue()  # type: ignore[attr-defined]


def test_without_a_terminal_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with watch() as watcher:
        watcher.note("a line")
    assert capsys.readouterr() == ("", "a line\n")


HARD = SyntheticSet(images=torch.zeros(1, 1, 1, 1), labels=torch.zeros(1, dtype=torch.int64), ipc=1)


def test_a_learned_rate_and_dropped_steps_are_told() -> None:
    """Of 20 steps every fourth is dropped: after 8, two are."""
    console = Console(file=io.StringIO(), width=120)
    learned = SyntheticSet(images=torch.zeros(1, 1, 1, 1), labels=torch.zeros(1, 1), ipc=1, learned_lr=0.0125)
    with watch_steps(console) as report:
        for step in range(1, 21):
            report(step, 20, torch.tensor(0.5), learned, is_accepted=step % 4 != 0)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[7] == "distil: step 8 of 20, loss 0.5, 6 steps taken, 2 dropped, learned rate 0.0125"


@pytest.mark.parametrize(("steps", "told"), [(1, 1), (7, 7), (30, 20), (100, 20)])
def test_one_distillation_reports_at_most_twenty_lines(steps: int, told: int) -> None:
    console = Console(file=io.StringIO(), width=120)
    with watch_steps(console) as report:
        report(0, steps, None, None)  # type: ignore[arg-type]
        for step in range(1, steps + 1):
            report(step, steps, torch.tensor(1 / step), HARD)
    lines = console.file.getvalue().strip().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == told
    assert lines[-1] == f"distil: step {steps} of {steps}, loss {1 / steps:.4g}"
