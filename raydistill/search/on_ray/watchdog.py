"""Notices trials that hang, or that run for longer than the budget gives them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from raydistill.errors import TimeLimitError
from raydistill.spaces.sections import BudgetConfig
from raydistill.spaces.units import rough
from raydistill.trial.endings import over_time

STOOD_STILL_SECONDS = 60.0
"""Between two looks, which are a moment apart: after so long this process itself was suspended, and what trials told meanwhile is
still to be read, one message at each look."""
GRACE_SECONDS = 120.0
"""A trial ends itself when its hours are over, with the cost that it had; one that has not done so by then hangs."""


@dataclass(slots=True)
class _Seen:
    """What was heard of one running trial."""

    started_at: float
    heard_at: float
    step: int = 0
    steps: int = 0


class Watchdog:
    """Knows when each running trial was heard of last."""

    def __init__(self, budget: BudgetConfig, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; `clock` gives seconds from any fixed point."""
        self._budget = budget
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._looked_at = clock()

    def started(self, trial_id: str) -> None:
        """A process of the trial has started."""
        now = self._clock()
        self._seen[trial_id] = _Seen(started_at=now, heard_at=now)

    def heard(self, trial_id: str, step: int | None = None, steps: int | None = None) -> None:
        """The trial has given a sign of life, with the step that it is at if it is at one."""
        seen = self._seen.get(trial_id)
        if seen is not None:
            seen.heard_at = self._clock()
            seen.step, seen.steps = step or seen.step, steps or seen.steps

    def ended(self, trial_id: str) -> None:
        """The trial runs no more."""
        self._seen.pop(trial_id, None)

    def overdue(self) -> dict[str, str]:
        """The trials to be ended, each with the cause in a sentence. Time in which this process stood still does not count."""
        now = self._clock()
        stood_still = now - self._looked_at
        self._looked_at = now
        if stood_still > STOOD_STILL_SECONDS:
            for seen in self._seen.values():
                seen.started_at, seen.heard_at = (min(now, at + stood_still) for at in (seen.started_at, seen.heard_at))
        causes = {trial_id: self._cause(seen) for trial_id, seen in self._seen.items()}
        return {trial_id: cause for trial_id, cause in causes.items() if cause is not None}

    def _cause(self, seen: _Seen) -> str | None:
        now, budget = self._clock(), self._budget
        silent = now - seen.heard_at
        if budget.silence_minutes is not None and silent > 60 * budget.silence_minutes:
            return (
                f"told nothing for {rough(silent)}, longer than budget.silence_minutes ({budget.silence_minutes:g}); "
                f"its last step was {_step(seen)}"
            )
        if budget.trial_hours is not None and now - seen.started_at > 3600 * budget.trial_hours + GRACE_SECONDS:
            return over_time((now - seen.started_at) / 3600, budget.trial_hours, seen.step, seen.steps)
        return None


class JobLimit:
    """Notices a job that runs for longer than it may; waiting for a node does not count."""

    def __init__(self, hours: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; `hours` is `budget.trial_hours`, and None means no limit."""
        self._hours = hours
        self._clock = clock
        self._began: dict[int, tuple[float, str]] = {}
        """When each running job began, and its name; the oldest first."""

    @property
    def running(self) -> int:
        """Number of jobs that have begun and not ended."""
        return len(self._began)

    def began(self, number: int, name: str) -> None:
        """A process has begun with the job of that number."""
        self._began[number] = (self._clock(), name)

    def ended(self, number: int) -> None:
        """The job runs no more."""
        self._began.pop(number, None)

    def check(self) -> None:
        """Do nothing within the limit.

        Raises:
            TimeLimitError: it is over.
        """
        if self._hours is None or not self._began:
            return
        began, oldest = next(iter(self._began.values()))
        seconds = self._clock() - began
        if seconds > 3600 * self._hours:
            raise TimeLimitError(
                f"{oldest} has not ended in {rough(seconds)}, and budget.trial_hours is {self._hours:g}: finished work is saved; "
                "look at its log on Ray's dashboard, or raise budget.trial_hours, then run the same command again"
            )


def _step(seen: _Seen) -> str:
    return f"{seen.step} of {seen.steps}" if seen.steps else f"{seen.step}"
