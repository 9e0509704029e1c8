"""What a person sees while a search runs."""

from __future__ import annotations

import io
import threading
import time

import pytest
from hand_made import Clock, baseline, ended, trial_config
from rich.console import Console, Group

from raydistill.report.progress import MOST_RUNNING_SHOWN, PlainWatcher, RichWatcher, watch
from raydistill.storage.record import Reading


def half_way() -> Reading:
    return Reading(step=15, fraction=0.5, accuracy_fractions=(0.95,), gap=0.03, loss=0.1)


def test_plain_lines_tell_each_event() -> None:
    stream, clock = io.StringIO(), Clock()
    watcher = PlainWatcher(stream, clock)
    config, record = ended(0, 7)
    lost, crashed = ended(1, 8, state="crashed", error="Traceback (most recent call last):\nRuntimeError: no\n", cost=None)
    watcher.stage("baseline", 2)
    watcher.job_done()
    watcher.baseline_known(baseline())
    watcher.stage("trials", 2)
    watcher.trial_started(config)
    watcher.reading(config, half_way())
    watcher.step(config, 24, 30)
    clock.now += 70
    watcher.trial_ended(record)
    watcher.trial_ended(crashed)
    watcher.note("dashboard at 127.0.0.1:8265")
    within = "IPC 7 within the margin (gap 1.00 points, not confirmed)"
    so_far = f"so far, provisional: {within}; no smaller IPC shown to be lossy"
    assert stream.getvalue().splitlines() == [
        "baseline: 2 networks",
        "baseline: 1 of 2 networks",
        "baseline: 98.00 % (standard deviation 1.41 points over 2 networks), select images",
        "trials: 2 trials",
        f"trial 0 ({config.trial_id}): started, IPC 7",
        f"trial 0 ({config.trial_id}): step 15 (50 %), gap 3.00 points",
        f"trial 0 ({config.trial_id}): finished, IPC 7, gap 1.00 points, 12 s",
        f"trials: 1 of 2; 1 finished; {so_far}; about 1 min 10 s left",
        f"trial 1 ({lost.trial_id}): crashed, IPC 8: RuntimeError: no",
        f"trials: 2 of 2; 1 crashed, 1 finished; {so_far}",
        "dashboard at 127.0.0.1:8265",
    ]


def test_plain_lines_tell_how_long_a_stage_of_networks_still_takes() -> None:
    """20 networks of 10 s each: a tenth of them is two. The five of an earlier call say nothing about the pace: (40 / 4) * 16."""
    stream, clock = io.StringIO(), Clock()
    watcher = PlainWatcher(stream, clock)
    watcher.stage("certificate", 25)
    watcher.jobs_found(5)
    for _ in range(4):
        clock.now += 10
        watcher.job_done()
    assert stream.getvalue().splitlines() == [
        "certificate: 25 networks",
        "certificate: 5 of 25 networks, done before",
        "certificate: 6 of 25 networks",
        "certificate: 7 of 25 networks; about 3 min 00 s left",
        "certificate: 8 of 25 networks; about 2 min 50 s left",
        "certificate: 9 of 25 networks; about 2 min 40 s left",
    ]


def test_the_last_network_leaves_nothing() -> None:
    stream, clock = io.StringIO(), Clock()
    watcher = PlainWatcher(stream, clock)
    watcher.stage("confirmation", 1)
    clock.now += 10
    watcher.job_done()
    assert stream.getvalue().splitlines()[-1] == "confirmation: 1 of 1 networks"


def test_plain_lines_have_no_control_characters() -> None:
    stream, clock = io.StringIO(), Clock()
    watcher = PlainWatcher(stream, clock)
    watcher.stage("comparison", 2)
    for _ in range(2):
        clock.now += 3
        watcher.job_done()
    assert all(character == "\n" or character.isprintable() for character in stream.getvalue())
    assert len(stream.getvalue().splitlines()) == 3


def test_the_live_bar_of_a_stage_of_networks_says_how_long_it_still_takes() -> None:
    clock = Clock()
    watcher = RichWatcher(terminal(), clock)
    try:
        watcher.stage("certificate", 12)
        watcher.jobs_found(2)
        assert "left" not in shown(watcher)
        clock.now += 10
        watcher.job_done()
        text = shown(watcher)
    finally:
        watcher.close()
    assert "3/12" in text
    assert "about 1 min 30 s left" in text


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
        watcher.step(first, 24, 30)
        text = shown(watcher)
    finally:
        watcher.close()
    assert "0/12" in text
    assert any(first.trial_id in line and "step 24 (80 %)" in line and "3.00 points" in line for line in text.splitlines())
    assert any(second.trial_id in line and "starting" in line for line in text.splitlines())
    assert "so far, provisional: no trial finished yet" in text


def test_trials_that_wait_are_counted_and_not_shown_as_running() -> None:
    watcher = RichWatcher(terminal(), Clock())
    config = trial_config(0, 7)
    try:
        watcher.stage("trials", 12)
        watcher.trial_asked(config)
        text = shown(watcher)
    finally:
        watcher.close()
    assert "1 waiting for a place to run" in text
    assert config.trial_id not in text


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


def test_the_baseline_is_printed_above_the_live_table() -> None:
    console = terminal()
    watcher = RichWatcher(console, Clock())
    watcher.baseline_known(baseline())
    watcher.close()
    assert "baseline: 98.00 %" in console.file.getvalue()  # type: ignore[attr-defined]


def test_text_in_brackets_is_printed_as_it_is() -> None:
    console = terminal()
    watcher = RichWatcher(console, Clock())
    watcher.note("shape [bold] (3)")
    watcher.close()
    assert "shape [bold] (3)" in console.file.getvalue()  # type: ignore[attr-defined]


def on_screen(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_note_is_printed_at_once_with_the_table_below_it() -> None:
    console = terminal()
    watcher = RichWatcher(console, Clock())
    try:
        watcher.stage("trials", 12)
        before = len(on_screen(console))
        watcher.note("dashboard at 127.0.0.1:8265")
        text = on_screen(console)[before:]
    finally:
        watcher.close()
    assert text.index("dashboard at 127.0.0.1:8265\n") < text.index("0/12") < text.index("no trial finished yet")


def test_the_last_state_of_the_live_table_is_left_on_the_screen() -> None:
    """A trial starts between two drawings of the table, and the search ends."""
    console = terminal()
    watcher, config = RichWatcher(console, Clock()), trial_config(0, 7)
    watcher.stage("trials", 12)
    watcher.job_done()
    watcher.trial_started(config)
    before = len(on_screen(console))
    watcher.close()
    text = on_screen(console)[before:]
    assert "1/12" in text
    assert config.trial_id in text
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is shown again


def test_events_of_trials_draw_nothing_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drawing thread does, at its own pace; a note prints again the lines that it drew."""
    watcher, (config, record) = RichWatcher(terminal(), Clock()), ended(0, 7)
    drawers: list[str] = []
    true_render = RichWatcher.render

    def noting(self: RichWatcher) -> Group:
        drawers.append(threading.current_thread().name)
        return true_render(self)

    monkeypatch.setattr(RichWatcher, "render", noting)
    watcher.stage("trials", 12)
    drawers.clear()
    watcher.trial_asked(config)
    watcher.trial_started(config)
    watcher.step(config, 3, 30)
    watcher.reading(config, half_way())
    watcher.trial_ended(record)
    watcher.note("a line")
    assert threading.current_thread().name not in drawers
    watcher.close()
    assert drawers[-1] == threading.current_thread().name


def test_the_live_table_moves_without_further_events() -> None:
    """Its own thread draws a trial that started."""
    console = terminal()
    watcher, config = RichWatcher(console, Clock()), trial_config(0, 7)
    try:
        watcher.stage("trials", 12)
        watcher.trial_started(config)
        while config.trial_id not in on_screen(console):
            time.sleep(0.01)
    finally:
        watcher.close()


def test_without_a_terminal_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with watch() as watcher:
        watcher.note("a line")
    assert capsys.readouterr() == ("", "a line\n")
