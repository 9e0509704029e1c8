"""Where a search stands: what is counted while it runs, and the words for it, which `raydistill status` uses too."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from raydistill.methods import METHODS
from raydistill.report.words import duration, points
from raydistill.search.verdict import not_admissible_in_short, so_far
from raydistill.spaces.sections import Config, GoalConfig
from raydistill.spaces.trial import TrialConfig

if TYPE_CHECKING:
    from raydistill.storage.baseline import Baseline
    from raydistill.storage.record import Reading, TrialRecord


SHARE = 0.1
"""Part of a stage's jobs after which their pace is taken for that of the rest."""


class Bracket(Config):
    """What the verdict would say so far, by its own rules: provisional, from the select images, before any confirmation."""

    candidate_ipc: int | None = None
    """Smallest IPC at which a finished trial reads within the margin; null if there is none."""
    candidate_gap: float | None = None
    """The smallest gap there."""
    candidate_arm: str | None = None
    """Its arm; null where the study has one arm."""
    candidate_trial_id: str | None = None
    closest_ipc: int | None = None
    """IPC of the finished trial with the smallest gap, in a race of a method's; null while none has finished."""
    closest_gap: float | None = None
    lossy_ipc: int | None = None
    """Largest IPC below the candidate's that is shown to be lossy as a verdict shows it: enough finished trials, and the lower
    bound of the best one's gap above the margin. Null if none is."""
    lossy_gap: float | None = None
    """The smallest gap there."""
    control_ipc: int | None = None
    """Smallest IPC at which a control of a race reads within the margin; null if none does, or there is no control."""
    control_gap: float | None = None
    """The smallest gap there."""
    control_arm: str | None = None
    has_finished_control: bool = False
    """Whether a trial of a control has finished beside the methods of a race."""
    full_data: str | None = None
    """Why no set can be held against the full data, as half a sentence; the verdict is then inconclusive whatever the trials
    read. Null if sets can."""


class Running(NamedTuple):
    """A running trial, and how far it is."""

    config: TrialConfig[Any]
    step: int | None = None
    """Null before its first reading."""
    fraction: float | None = None
    gap: float | None = None
    """At its last reading."""


def bracket_of(records: Iterable[TrialRecord], baseline: Baseline | None, goal: GoalConfig) -> Bracket:
    """What the verdict would say of the trials that ended; without a baseline no IPC is shown to be lossy."""
    ended = list(records)
    controls = [record for record in ended if METHODS[record.method].control is not None]
    methods = [record for record in ended if METHODS[record.method].control is None]
    # A study of a control alone has no other side.
    side, rivals = (methods, controls) if methods else (controls, [])
    found = so_far(side, baseline, goal)
    candidate, closest, lossy = found.candidate, found.closest, found.lossy
    rival = so_far(rivals, None, goal).candidate
    is_race = len({record.arm for record in ended}) > 1
    return Bracket(
        candidate_ipc=candidate.ipc if candidate else None,
        candidate_gap=candidate.gap if candidate else None,
        candidate_arm=candidate.arm if candidate and is_race else None,
        control_ipc=rival.ipc if rival else None,
        control_gap=rival.gap if rival else None,
        control_arm=rival.arm if rival else None,
        has_finished_control=any(record.gap is not None for record in rivals),
        candidate_trial_id=candidate.trial_id if candidate else None,
        closest_ipc=closest.ipc if closest else None,
        closest_gap=closest.gap if closest else None,
        lossy_ipc=lossy.ipc if lossy else None,
        lossy_gap=min(r.gap for r in side if r.gap is not None and r.ipc == lossy.ipc) if lossy else None,
        full_data=None if baseline is None or baseline.is_admissible else not_admissible_in_short(baseline, goal.margin_fraction),
    )


def bracket_words(bracket: Bracket) -> str:
    """The bracket in half a sentence."""
    if bracket.full_data is not None:
        return f"inconclusive, because the full-data baseline {bracket.full_data}"
    rival = _control_words(bracket)
    if bracket.closest_ipc is None or bracket.closest_gap is None:
        return f"no distilled set finished yet{rival}" if bracket.has_finished_control else "no trial finished yet"
    if bracket.candidate_ipc is None or bracket.candidate_gap is None:
        within = f"no IPC within the margin (smallest gap {points(bracket.closest_gap)} at IPC {bracket.closest_ipc})"
    else:
        of = "" if bracket.candidate_arm is None else f" of {bracket.candidate_arm}"
        within = f"IPC {bracket.candidate_ipc}{of} within the margin (gap {points(bracket.candidate_gap)}, not confirmed)"
    if bracket.lossy_ipc is None or bracket.lossy_gap is None:
        return f"{within}{rival}; no {'' if bracket.candidate_ipc is None else 'smaller '}IPC shown to be lossy"
    return f"{within}{rival}; IPC {bracket.lossy_ipc} shown to be lossy (gap {points(bracket.lossy_gap)})"


def _control_words(bracket: Bracket) -> str:
    """The control that reads within the margin, to be put behind the methods' half."""
    if bracket.control_ipc is None or bracket.control_gap is None:
        return ""
    within = "within the margin" if bracket.closest_ipc is None else "within it"
    return f"; the control {bracket.control_arm} {within} at IPC {bracket.control_ipc} (gap {points(bracket.control_gap)})"


def state_words(states: Mapping[str, int]) -> str:
    """Ended trials by state."""
    counts = [f"{number} {state.replace('_', ' ')}" for state, number in sorted(states.items()) if number]
    return ", ".join(counts) or "no trial ended yet"


def step_words(step: int, fraction: float | None) -> str:
    """How far a trial is."""
    return f"step {step}" if fraction is None else f"step {step} ({100 * fraction:.0f} %)"


class Telling:
    """The ended trials of which the bracket tells, so that its time does not grow with ten thousand of them.

    Of an arm's finished trials at one IPC these are the best one and the first few, as many as an IPC needs to be called lossy;
    of its other trials the first.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int | None], list[TrialRecord]] = {}

    def add(self, record: TrialRecord) -> None:
        """Take a trial that ended."""
        gap = record.gap
        here = self._kept.setdefault((record.arm, None if gap is None else record.ipc), [])
        if gap is None:
            here[:] = here[:1] or [record]
            return
        here.append(record)
        if len(here) > 1 + GoalConfig.model_validate(record.config["goal"]).lossy_trials:
            best = min(here, key=lambda r: (r.gap, r.ask_number))
            del here[next(place for place in reversed(range(len(here))) if here[place] is not best)]

    @property
    def records(self) -> list[TrialRecord]:
        """Those that were kept, each arm's at one IPC together."""
        return [record for here in self._kept.values() for record in here]


class Tally:
    """What is known so far of a running search."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty; `clock` gives seconds from any fixed point."""
        self.baseline: Baseline | None = None
        self.stage_name = ""
        self.total = 0
        self.done = 0
        self.waiting: dict[str, TrialConfig[Any]] = {}
        """Asked, and without a process as yet; by trial id."""
        self.running: dict[str, Running] = {}
        self.records: list[TrialRecord] = []
        self.states: Counter[str] = Counter()
        """Ended trials by state."""
        self._telling = Telling()
        self._bracket: Bracket | None = None
        self._clock = clock
        self._stage_began = clock()
        self._found = 0
        self._first_start: float | None = None
        self._ended_here = 0

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` networks or trials."""
        self.stage_name, self.total, self.done = name, total, 0
        self._stage_began, self._found = self._clock(), 0

    def jobs_found(self, count: int) -> None:
        """Count jobs that an earlier call did; they say nothing about the pace."""
        self.done += count
        self._found += count

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
        self.states[record.state] += 1
        self._telling.add(record)
        self._bracket = None

    @property
    def bracket(self) -> Bracket:
        """What the verdict would say so far; all trials of a search have one goal."""
        if not self.records:
            # Without a trial the margin is not known here, by which one of the reasons is told from the other.
            is_usable = self.baseline is None or self.baseline.is_admissible
            return Bracket(full_data=None if is_usable else "allows no verdict")
        if self._bracket is None:  # the live table asks at every step
            goal = GoalConfig.model_validate(self.records[0].config["goal"])
            self._bracket = bracket_of(self._telling.records, self.baseline, goal)
        return self._bracket

    @property
    def seconds_left(self) -> float | None:
        """Estimate for what remains of the stage, at the pace so far; None before the pace is known.

        Of networks and sets that is after a tenth of those that were left, because the first may be of an unusual kind.
        """
        if not self.stage_name:
            return None
        if self.stage_name != "trials":
            here, left = self.done - self._found, self.total - self._found
            if here == 0 or here < SHARE * left:
                return None
            return (self._clock() - self._stage_began) / here * (self.total - self.done)
        if self._first_start is None or self._ended_here == 0:
            return None
        return (self._clock() - self._first_start) / self._ended_here * max(0, self.total - self.done)

    @property
    def left_words(self) -> str:
        """The time left, to be put behind a line; empty while it is not known, or where less than a second is left."""
        left = self.seconds_left
        return f"; about {duration(left)} left" if left is not None and left >= 1 else ""

    def summary(self) -> str:
        """Trials by state, those that wait, the provisional verdict and the time left, in one line."""
        waiting = f", {len(self.waiting)} waiting for a place to run" if self.waiting else ""
        return f"{state_words(self.states)}{waiting}; so far, provisional: {bracket_words(self.bracket)}{self.left_words}"
