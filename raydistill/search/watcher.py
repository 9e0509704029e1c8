"""What a search tells whoever watches it."""

from __future__ import annotations

from typing import Any, Protocol

from raydistill.spaces.trial import TrialConfig
from raydistill.storage.record import Reading, TrialRecord
from raydistill.trial.baseline import Baseline


class Watcher(Protocol):
    """Receives what happens; every call is made in the driver's process, one after another."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins: baseline (networks), trials (the budget) or confirmation (networks)."""

    def job_done(self) -> None:
        """One network of the baseline or of a confirmation is done."""

    def baseline_known(self, baseline: Baseline) -> None:
        """The full-data baseline is there, built now or by an earlier search; told once, before the first trial."""

    def trial_asked(self, config: TrialConfig[Any]) -> None:
        """A trial waits for a place to run; where it begins at once this may be left out."""

    def trial_started(self, config: TrialConfig[Any]) -> None:
        """A trial begins to run, or runs again after its process was lost."""

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        """A running trial has read its set."""

    def step(self, config: TrialConfig[Any], step: int, steps: int) -> None:
        """A running trial is at this image update, of so many; told now and then."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial has its record; those of an earlier run are told first, without a start."""

    def note(self, text: str) -> None:
        """Anything else worth a sentence."""


class SilentWatcher:
    """Reports nothing."""

    def stage(self, name: str, total: int) -> None:
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
