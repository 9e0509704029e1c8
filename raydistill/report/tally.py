"""Where a search stands: what is counted while it runs, and the words for it, which `raydistill status` uses too."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from raydistill.report.words import duration, points
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig

if TYPE_CHECKING:
    from raydistill.storage.record import Reading, TrialRecord


class Bracket(Config):
    """The IPCs between which the smallest lossless one lies by the select images, which steer and prove nothing."""

    candidate_ipc: int | None = None
    """Smallest IPC at which a finished trial reads within the margin; null if there is none."""
    candidate_gap: float | None = None
    """The smallest gap there."""
    candidate_trial_id: str | None = None
    lossy_ipc: int | None = None
    """Largest IPC below the candidate's at which a trial finished or was stopped early; all there are lossy. Null if none has."""
    lossy_gap: float | None = None
    """The smallest gap there."""


class Running(NamedTuple):
    """A running trial, and how far it is."""

    config: TrialConfig[Any]
    step: int | None = None
    """Null before its first reading."""
    fraction: float | None = None
    gap: float | None = None
    """At its last reading."""


class _Read(NamedTuple):
    ipc: int
    gap: float
    ask_number: int
    trial_id: str
    is_finished: bool


def bracket_of(records: Iterable[TrialRecord], margin_fraction: float) -> Bracket:
    """The bracket that the records of finished and early stopped trials leave."""
    read = [
        _Read(r.ipc, r.readings[-1].gap, r.ask_number, r.trial_id, r.state == "finished")
        for r in records
        if r.state in ("finished", "pruned") and r.readings
    ]
    within = [trial for trial in read if trial.is_finished and trial.gap <= margin_fraction]
    candidate = min(within, default=None)
    below = [trial for trial in read if candidate is None or trial.ipc < candidate.ipc]
    # Of the largest IPC the trial with the smallest gap.
    lossy = max(below, key=lambda trial: (trial.ipc, -trial.gap), default=None)
    return Bracket(
        candidate_ipc=candidate.ipc if candidate else None,
        candidate_gap=candidate.gap if candidate else None,
        candidate_trial_id=candidate.trial_id if candidate else None,
        lossy_ipc=lossy.ipc if lossy else None,
        lossy_gap=lossy.gap if lossy else None,
    )


def bracket_words(bracket: Bracket) -> str:
    """The bracket in half a sentence."""
    said = "none within the margin yet"
    if bracket.candidate_ipc is not None and bracket.candidate_gap is not None:
        said = f"best so far IPC {bracket.candidate_ipc}, gap {points(bracket.candidate_gap)}"
    if bracket.lossy_ipc is not None and bracket.lossy_gap is not None:
        said += f"; lossy up to IPC {bracket.lossy_ipc}, gap {points(bracket.lossy_gap)}"
    return said


def state_words(states: Mapping[str, int]) -> str:
    """Ended trials by state."""
    counts = [f"{number} {state.replace('_', ' ')}" for state, number in sorted(states.items()) if number]
    return ", ".join(counts) or "no trial ended yet"


def step_words(step: int, fraction: float | None) -> str:
    """How far a trial is."""
    return f"step {step}" if fraction is None else f"step {step} ({100 * fraction:.0f} %)"


class Tally:
    """What a running search has told so far."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty; `clock` gives seconds from any fixed point."""
        self.stage_name = ""
        self.total = 0
        self.done = 0
        self.waiting: dict[str, TrialConfig[Any]] = {}
        """Asked, and without a process as yet; by trial id."""
        self.running: dict[str, Running] = {}
        self.records: list[TrialRecord] = []
        self._clock = clock
        self._first_start: float | None = None
        self._ended_here = 0

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` networks or trials."""
        self.stage_name, self.total, self.done = name, total, 0

    def trial_asked(self, config: TrialConfig[Any]) -> None:
        """Add a waiting trial."""
        self.waiting[config.trial_id] = config

    def trial_started(self, config: TrialConfig[Any]) -> None:
        """Add a running trial."""
        self.waiting.pop(config.trial_id, None)
        self.running[config.trial_id] = Running(config)
        self._first_start = self._clock() if self._first_start is None else self._first_start

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        """Note what a running trial has read."""
        self.running[config.trial_id] = Running(config, reading.step, reading.fraction, reading.gap)

    def step(self, config: TrialConfig[Any], step: int, steps: int) -> None:
        """Note how far a running trial is."""
        self.running[config.trial_id] = self.running[config.trial_id]._replace(step=step, fraction=step / steps)

    def trial_ended(self, record: TrialRecord) -> None:
        """Count a trial; one that ran here sets the pace."""
        self.waiting.pop(record.trial_id, None)
        self._ended_here += self.running.pop(record.trial_id, None) is not None
        self.done += 1
        self.records.append(record)

    @property
    def states(self) -> Counter[str]:
        """Ended trials by state."""
        return Counter(record.state for record in self.records)

    @property
    def bracket(self) -> Bracket:
        """Where the smallest lossless IPC lies so far; all trials of a search have one margin."""
        return bracket_of(self.records, self.records[0].config["goal"]["margin_fraction"]) if self.records else Bracket()

    @property
    def seconds_left(self) -> float | None:
        """Estimate for the trials that remain, from those that ended since the first one started; None before."""
        if self.stage_name != "trials" or self._first_start is None or self._ended_here == 0:
            return None
        return (self._clock() - self._first_start) / self._ended_here * max(0, self.total - self.done)

    def summary(self) -> str:
        """Trials by state, those that wait, the bracket and the time left, in one line."""
        waiting = f", {len(self.waiting)} waiting for a place to run" if self.waiting else ""
        left = f"; about {duration(self.seconds_left)} left" if self.seconds_left else ""
        return f"{state_words(self.states)}{waiting}; {bracket_words(self.bracket)}{left}"
