"""The remaining hours of a budget. When hours or GPU hours are used up, no new trial starts; running trials finish."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from pydantic import Field

from raydistill.errors import BudgetError
from raydistill.spaces.sections import BudgetConfig, Config
from raydistill.storage.record import TrialRecord
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored, write_stored

SPENT_FILE = "spent.json"


class Spent(Config):
    """Written to `spent.json` where a budget has hours."""

    seconds: float = Field(ge=0)
    """In which trials could be asked, over all searches of the study."""


def check_budget(budget: BudgetConfig, gpus_per_trial: float, seconds: float, what: str) -> None:
    """Check that hours and GPU hours are enough for the least work that a search needs.

    Args:
        budget: with `hours` and `gpu_hours`; None means no limit.
        gpus_per_trial: GPUs of each trial.
        seconds: duration of that work.
        what: description of that work, with a verb at the end ("... takes").

    Raises:
        BudgetError: the hours or the GPU hours are too few.
    """
    for name, hours, needed in (("hours", budget.hours, seconds), ("gpu_hours", budget.gpu_hours, seconds * gpus_per_trial)):
        if hours is not None and 3600 * hours < needed:
            unit = name.replace("gpu_", "GPU ")
            raise BudgetError(
                f"budget.{name} is {hours:g}, but {what} about {_rounded_up(needed / 3600)} {unit}: raise it at least to that, "
                "or use a cheaper space (raydistill plan forecasts the time of a search)"
            )


def _rounded_up(hours: float) -> str:
    """To two digits, so that a budget of as many hours is enough."""
    digits = 1 - math.floor(math.log10(hours))
    return f"{math.ceil(hours * 10**digits) / 10**digits:g}"


class Allowance:
    """Counts the hours in which a study's trials run."""

    def __init__(
        self, budget: BudgetConfig, gpus_per_trial: float, study: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Continue the count of an earlier search.

        Args:
            budget: with `hours` and `gpu_hours`; None means no limit.
            gpus_per_trial: GPUs of each trial.
            study: the study's folder; the count is stored in `spent.json` if `hours` is set.
            clock: seconds from any fixed point.

        Raises:
            StoreError: `spent.json` is damaged.
        """
        self._budget = budget
        self._gpus_per_trial = gpus_per_trial
        self._study = study
        self._clock = clock
        spent = read_stored(study, SPENT_FILE, Spent, "restore it, or delete it to count the hours from 0")
        self._earlier = 0.0 if spent is None else spent.seconds
        self._began: float | None = None
        self._trial_seconds = 0.0

    @property
    def _seconds(self) -> float:
        return self._earlier + (0.0 if self._began is None else self._clock() - self._began)

    def start(self) -> None:
        """Start counting, at the first proposed trial."""
        if self._began is None:
            self._began = self._clock()

    def keep(self) -> None:
        """Save the count; a killed search loses the time since the last save."""
        if self._budget.hours is not None:
            write_stored(self._study, SPENT_FILE, Spent(seconds=self._seconds))

    def count(self, record: TrialRecord) -> None:
        """Add the GPU time of a trial that ended, in this search or in an earlier one."""
        if record.cost:
            self._trial_seconds += record.cost.seconds

    def is_spent(self) -> bool:
        """Whether the hours or the GPU hours are used up."""
        hours, gpu_hours = self._budget.hours, self._budget.gpu_hours
        if hours is not None and self._seconds >= 3600 * hours:
            return True
        return gpu_hours is not None and self._trial_seconds * self._gpus_per_trial >= 3600 * gpu_hours
