"""What a person sees while a search runs: one live table on a terminal, one line per event elsewhere.

Both are watchers in the sense of `raydistill.search.watcher.Watcher`, driven by calls in the driver's process.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from raydistill.config import TrialConfig
from raydistill.report.words import duration, points, telling_line

if TYPE_CHECKING:
    from torch import Tensor

    from raydistill.core.contract import Report
    from raydistill.core.synthetic import SyntheticSet
    from raydistill.record import Reading, TrialRecord
    from raydistill.search.watcher import Watcher

MOST_RUNNING_SHOWN = 12
"""Rows of the live table; a terminal is not higher than that for long."""

STAGE_COUNTS = dict.fromkeys(("comparison", "control sets", "ablation", "sets"), "sets")
STAGE_COUNTS |= {"trials": "trials", "experts": "experts"}
"""What a stage counts; networks where nothing stands here."""


class Tally:
    """What has been told so far: the stage, running trials, trials by state, the best, the pace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty; `clock` gives seconds from any fixed point."""
        self.stage_name = ""
        self.total = 0
        self.done = 0
        self.running: dict[str, tuple[TrialConfig[Any], Reading | None]] = {}
        self.states: Counter[str] = Counter()
        self.best: TrialRecord | None = None
        self._clock = clock
        self._first_start: float | None = None
        self._ended_here = 0

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` networks or trials."""
        self.stage_name, self.total, self.done = name, total, 0

    def trial_started(self, config: TrialConfig[Any]) -> None:
        """Add a running trial."""
        self.running[config.trial_id] = (config, None)
        self._first_start = self._clock() if self._first_start is None else self._first_start

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        """Note how far a running trial is."""
        self.running[config.trial_id] = (config, reading)

    def trial_ended(self, record: TrialRecord) -> None:
        """Count a trial; one that ran here sets the pace."""
        self._ended_here += self.running.pop(record.trial_id, None) is not None
        self.done += 1
        self.states[record.state] += 1
        if record.gap is not None and record.gap <= record.config["goal"]["margin_fraction"]:
            self.best = min(self.best or record, record, key=lambda r: (r.ipc, r.gap))

    @property
    def seconds_left(self) -> float | None:
        """Estimate for the trials that remain, from those that ended since the first one started; None before."""
        if self.stage_name != "trials" or self._first_start is None or self._ended_here == 0:
            return None
        return (self._clock() - self._first_start) / self._ended_here * max(0, self.total - self.done)

    def summary(self) -> str:
        """Trials by state, best so far and time left, in one line."""
        counts = [f"{number} {state.replace('_', ' ')}" for state, number in sorted(self.states.items())]
        best = "none within the margin yet"
        if self.best is not None and self.best.gap is not None:
            best = f"best so far IPC {self.best.ipc}, gap {points(self.best.gap)}"
        left = f"; about {duration(self.seconds_left)} left" if self.seconds_left else ""
        return f"{', '.join(counts) or 'no trial ended yet'}; {best}{left}"


class PlainWatcher:
    """One line per event, for logs and pipes."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to a stream, by default the standard error of now."""
        self._tally = Tally(clock)
        self._stream = stream or sys.stderr

    def stage(self, name: str, total: int) -> None:
        """Say which stage begins."""
        self._tally.stage(name, total)
        self._say(f"{name}: {total} {STAGE_COUNTS.get(name, 'networks')}")

    def job_done(self) -> None:
        """Say how many networks of the stage are done."""
        self._tally.done += 1
        name = self._tally.stage_name
        self._say(f"{name}: {self._tally.done} of {self._tally.total} {STAGE_COUNTS.get(name, 'networks')}")

    def trial_started(self, config: TrialConfig[Any]) -> None:
        """Say that a trial starts."""
        self._tally.trial_started(config)
        self._say(f"{_name(config.ask_number, config.trial_id)}: started, IPC {config.ipc}")

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        """Say how far a trial is."""
        self._tally.reading(config, reading)
        self._say(f"{_name(config.ask_number, config.trial_id)}: {_how_far(reading)}, gap {points(reading.gap)}")

    def trial_ended(self, record: TrialRecord) -> None:
        """Say how a trial ended and where the search stands."""
        self._tally.trial_ended(record)
        self._say(_ended(record))
        self._say(f"trials: {self._tally.done} of {self._tally.total}; {self._tally.summary()}")

    def note(self, text: str) -> None:
        """Pass a sentence on."""
        self._say(text)

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class RichWatcher:
    """A live table at the bottom of a terminal; ended trials and notes scroll by above it."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare the table; it shows from the first stage on."""
        self._tally = Tally(clock)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, auto_refresh=False)
        self._live = Live(console=console, refresh_per_second=4)

    def close(self) -> None:
        """Stop, and leave the last state of the table standing."""
        self._live.stop()

    def stage(self, name: str, total: int) -> None:
        """Begin a new bar."""
        self._live.start()
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._bar.add_task(name, total=total)
        self._tally.stage(name, total)
        self._show()

    def job_done(self) -> None:
        """Move the bar."""
        self._tally.done += 1
        self._show()

    def trial_started(self, config: TrialConfig[Any]) -> None:
        """Add a row."""
        self._tally.trial_started(config)
        self._show()

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        """Update a row."""
        self._tally.reading(config, reading)
        self._show()

    def trial_ended(self, record: TrialRecord) -> None:
        """Take a row away and print how the trial ended."""
        self._tally.trial_ended(record)
        self.note(_ended(record))

    def note(self, text: str) -> None:
        """Print a sentence above the table."""
        self._live.console.print(Text(text))
        self._show()

    def render(self) -> Group:
        """The table as it stands."""
        for task in self._bar.task_ids:
            self._bar.update(task, completed=self._tally.done)
        parts: list[Any] = [self._bar]
        if self._tally.running:
            parts.append(_running_table(self._tally.running))
        if self._tally.stage_name == "trials" or self._tally.states:
            parts.append(Text(self._tally.summary()))
        return Group(*parts)

    def _show(self) -> None:
        self._live.update(self.render())


class SilentWatcher:
    """Tells nobody."""

    def stage(self, name: str, total: int) -> None:
        """Ignore."""

    def job_done(self) -> None:
        """Ignore."""

    def trial_started(self, config: TrialConfig[Any]) -> None:
        """Ignore."""

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        """Ignore."""

    def trial_ended(self, record: TrialRecord) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""


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


@contextmanager
def watch_steps(console: Console | None = None) -> Iterator[Report]:
    """A report for one distillation: a bar with the loss on a terminal, twenty lines elsewhere.

    The loss is read twenty times in all: reading it waits for the GPU.
    """
    console = console or Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("distil", total=None)

        dropped = 0

        def report(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
            nonlocal dropped
            dropped += not is_accepted
            if loss is not None and 20 * step // steps > 20 * (step - 1) // steps:
                value = f"loss {float(loss.detach()):.4g}"
                if synthetic.learned_lr is not None:
                    value += f", {step - dropped} steps taken, {dropped} dropped, learned rate {synthetic.learned_lr:.4g}"
                bar.update(task, description=f"distil, {value}")
                if not console.is_terminal:
                    console.print(f"distil: step {step} of {steps}, {value}")
            bar.update(task, completed=step, total=steps)

        yield report


def _running_table(running: dict[str, tuple[TrialConfig[Any], Reading | None]]) -> Table:
    table = Table("trial", "id", "IPC", "done", "gap", box=None, pad_edge=False)
    for config, reading in list(running.values())[:MOST_RUNNING_SHOWN]:
        row = (_how_far(reading), points(reading.gap)) if reading else ("starting", "")
        table.add_row(str(config.ask_number), config.trial_id, str(config.ipc), *row)
    if len(running) > MOST_RUNNING_SHOWN:
        table.add_row("", f"and {len(running) - MOST_RUNNING_SHOWN} more", "", "", "")
    return table


def _name(ask_number: int, trial_id: str) -> str:
    return f"trial {ask_number} ({trial_id})"


def _how_far(reading: Reading) -> str:
    return f"step {reading.step} ({100 * reading.fraction:.0f} %)"


def _ended(record: TrialRecord) -> str:
    took = f", {duration(record.cost.distill_seconds + record.cost.evaluate_seconds)}" if record.cost else ""
    gap = f", gap {points(record.gap)}" if record.gap is not None else ""
    cause = f": {telling_line(record.error)}" if record.error else ""
    return f"{_name(record.ask_number, record.trial_id)}: {record.state.replace('_', ' ')}, IPC {record.ipc}{gap}{took}{cause}"
