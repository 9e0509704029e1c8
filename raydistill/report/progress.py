"""What a person sees while a search runs: one live table on a terminal, one line per event elsewhere.

Both are watchers in the sense of `raydistill.search.watcher.Watcher`, driven by calls in the driver's process.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.segment import SegmentLines
from rich.table import Table
from rich.text import Text

from raydistill.report.tally import Running, Tally, step_words
from raydistill.report.words import accuracy_line, duration, points, telling_line
from raydistill.spaces.trial import TrialConfig

if TYPE_CHECKING:
    from raydistill.search.watcher import Watcher
    from raydistill.storage.baseline import Baseline
    from raydistill.storage.record import Reading, TrialRecord

MOST_RUNNING_SHOWN = 12
"""Rows of the live table; a terminal is not higher than that for long."""

STAGE_COUNTS = dict.fromkeys(("comparison", "control sets", "ablation", "sets", "privacy"), "sets")
STAGE_COUNTS |= {"trials": "trials", "experts": "experts", "rounds": "rounds of networks"}
"""What a stage counts; networks where nothing stands here."""


class PlainWatcher:
    """One line per event, for logs and pipes."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to a stream, by default the standard error of now."""
        self._tally = Tally(clock)
        self._stream = stream or sys.stderr

    def stage(self, name: str, total: int) -> None:
        """Print which stage begins."""
        self._tally.stage(name, total)
        self._say(f"{name}: {total} {STAGE_COUNTS.get(name, 'networks')}")

    def jobs_found(self, count: int) -> None:
        """Print how many were done before."""
        self._tally.jobs_found(count)
        self._say(f"{self._far()}, done before")

    def job_done(self) -> None:
        """Print how many networks of the stage are done."""
        self._tally.done += 1
        self._say(f"{self._far()}{self._tally.left_words}")

    def baseline_known(self, baseline: Baseline) -> None:
        """Print what the trials are compared with."""
        self._tally.baseline = baseline
        self._say(f"baseline: {accuracy_line(baseline.accuracy_fractions)}, select images")

    def trial_asked(self, config: TrialConfig[Any]) -> None:
        """Count it; most trials start at once, and the line of the next end counts those that did not."""
        self._tally.trial_asked(config)

    def trial_started(self, config: TrialConfig[Any]) -> None:
        """Print that a trial starts."""
        self._tally.trial_started(config)
        self._say(f"{_name(config.ask_number, config.trial_id)}: started, IPC {config.ipc}")

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        """Print how far a trial is."""
        self._tally.reading(config, reading)
        far = step_words(reading.step, reading.fraction)
        self._say(f"{_name(config.ask_number, config.trial_id)}: {far}, gap {points(reading.gap)}")

    def step(self, config: TrialConfig[Any], step: int, steps: int) -> None:
        """Print nothing: a line per reading is enough."""

    def trial_ended(self, record: TrialRecord) -> None:
        """Print how a trial ended and where the search stands."""
        self._tally.trial_ended(record)
        self._say(_ended(record))
        self._say(f"trials: {self._tally.done} of {self._tally.total}; {self._tally.summary()}")

    def note(self, text: str) -> None:
        """Print a note."""
        self._say(text)

    def _far(self) -> str:
        name = self._tally.stage_name
        return f"{name}: {self._tally.done} of {self._tally.total} {STAGE_COUNTS.get(name, 'networks')}"

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class RichWatcher:
    """A live table at the bottom of a terminal; ended trials and notes scroll by above it.

    A thread of rich draws it four times a second. Events are many more in a search with hundreds of workers, so that they change
    only what it draws.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare the table; it shows from the first stage on."""
        self._lock = threading.Lock()
        """Of the tally and the bar, which the drawing thread reads."""
        self._tally = Tally(clock)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, auto_refresh=False)
        self._live = Live(console=console, refresh_per_second=4, get_renderable=lambda: _drawn(self.render(), console))

    def close(self) -> None:
        """Stop, and leave the last state of the table on the screen."""
        self._live.stop()

    def stage(self, name: str, total: int) -> None:
        """Begin a new bar."""
        self._live.start()
        with self._lock:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(name, total=total)
            self._tally.stage(name, total)
        self._live.refresh()

    def jobs_found(self, count: int) -> None:
        """Move the bar by those done before."""
        with self._lock:
            self._tally.jobs_found(count)

    def job_done(self) -> None:
        """Move the bar."""
        with self._lock:
            self._tally.done += 1

    def baseline_known(self, baseline: Baseline) -> None:
        """Print what the trials are compared with."""
        with self._lock:
            self._tally.baseline = baseline
        self.note(f"baseline: {accuracy_line(baseline.accuracy_fractions)}, select images")

    def trial_asked(self, config: TrialConfig[Any]) -> None:
        """Count it among those that wait."""
        with self._lock:
            self._tally.trial_asked(config)

    def trial_started(self, config: TrialConfig[Any]) -> None:
        """Add a row."""
        with self._lock:
            self._tally.trial_started(config)

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        """Update a row."""
        with self._lock:
            self._tally.reading(config, reading)

    def step(self, config: TrialConfig[Any], step: int, steps: int) -> None:
        """Update a row."""
        with self._lock:
            self._tally.step(config, step, steps)

    def trial_ended(self, record: TrialRecord) -> None:
        """Take a row away and print how the trial ended."""
        with self._lock:
            self._tally.trial_ended(record)
        self.note(_ended(record))

    def note(self, text: str) -> None:
        """Print a note above the table, at once."""
        self._live.console.print(Text(text))

    def render(self) -> Group:
        """The table as it stands."""
        with self._lock:
            for task in self._bar.task_ids:
                self._bar.update(task, completed=self._tally.done)
            parts: list[Any] = [self._bar]
            if self._tally.running:
                parts.append(_running_table(self._tally.running))
            if self._tally.stage_name == "trials" or self._tally.records:
                parts.append(Text(self._tally.summary()))
            elif self._tally.left_words:
                parts.append(Text(self._tally.left_words.removeprefix("; ")))
            return Group(*parts)


@contextmanager
def watch() -> Iterator[Watcher]:
    """A watcher on the standard error: live where it is a terminal, lines where it is not."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainWatcher()
        return
    watcher = RichWatcher(console)
    try:
        yield watcher
    finally:
        watcher.close()


def _drawn(shown: Group, console: Console) -> SegmentLines:
    """The lines of what is shown: each note prints them again below itself, without laying the table out once more."""
    return SegmentLines(console.render_lines(shown, pad=False), new_lines=True)


def _running_table(running: dict[str, Running]) -> Table:
    table = Table("trial", "id", "IPC", "done", "gap", box=None, pad_edge=False)
    for trial_id, (config, step, fraction, gap) in islice(running.items(), MOST_RUNNING_SHOWN):
        done = "starting" if step is None else step_words(step, fraction)
        row = (str(config.ask_number), trial_id, str(config.ipc), done, "" if gap is None else points(gap))
        table.add_row(*row)
    if len(running) > MOST_RUNNING_SHOWN:
        table.add_row("", f"and {len(running) - MOST_RUNNING_SHOWN} more", "", "", "")
    return table


def _name(ask_number: int, trial_id: str) -> str:
    return f"trial {ask_number} ({trial_id})"


def _ended(record: TrialRecord) -> str:
    took = f", {duration(record.cost.seconds)}" if record.cost else ""
    gap = f", gap {points(record.gap)}" if record.gap is not None else ""
    cause = f": {telling_line(record.error)}" if record.error else ""
    return f"{_name(record.ask_number, record.trial_id)}: {record.state.replace('_', ' ')}, IPC {record.ipc}{gap}{took}{cause}"
