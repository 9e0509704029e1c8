"""The interface through which a search reports its progress."""

from __future__ import annotations

from typing import Any, Protocol

from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import Baseline
from raydistill.storage.record import Reading, TrialRecord


class Watcher(Protocol):
    """Receives the progress of a search; all calls are made in the driver's process, one after another."""

    def stage(self, name: str, total: int) -> None:
        """A stage of `total` jobs or trials begins, e.g. baseline, experts, trials or confirmation."""

    def jobs_found(self, count: int) -> None:
        """So many jobs of the current stage were done by an earlier call; told before the stage's first job."""

    def job_done(self) -> None:
        """One job of the current stage is done."""

    def baseline_known(self, baseline: Baseline) -> None:
        """The full-data baseline is there, built now or by an earlier search; told once, before the first trial."""

    def trial_asked(self, config: TrialConfig[Any]) -> None:
        """A trial waits for free resources; may be left out if the trial starts at once."""

    def trial_started(self, config: TrialConfig[Any]) -> None:
        """A trial starts, or runs again after its process was lost."""

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        """A running trial has evaluated its set."""

    def step(self, config: TrialConfig[Any], step: int, steps: int) -> None:
        """A running trial has done `step` of `steps` image updates; called now and then."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial has its record; trials of an earlier run are reported first, without `trial_started`."""

    def note(self, text: str) -> None:
        """Any other message, one sentence."""


class SilentWatcher:
    """A watcher that ignores all progress."""

    def stage(self, name: str, total: int) -> None:
        """Ignore."""

    def jobs_found(self, count: int) -> None:
        """Ignore."""

    def job_done(self) -> None:
        """Ignore."""

    def baseline_known(self, baseline: Baseline) -> None:
        """Ignore."""

    def trial_asked(self, config: TrialConfig[Any]) -> None:
        """Ignore."""

    def trial_started(self, config: TrialConfig[Any]) -> None:
        """Ignore."""

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        """Ignore."""

    def step(self, config: TrialConfig[Any], step: int, steps: int) -> None:
        """Ignore."""

    def trial_ended(self, record: TrialRecord) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""
