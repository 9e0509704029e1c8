"""What is left of a budget's hours. Both kinds hold for asks alone: trials that run when they are spent run to their end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from raydistill.errors import BudgetError
from raydistill.spaces.sections import BudgetConfig
from raydistill.storage.record import TrialRecord
from raydistill.storage.store import Store

SPENT_FILE = "spent.json"


def check_budget(budget: BudgetConfig, gpus_per_trial: float, seconds: float, what: str) -> None:
    """Refuse hours and GPU hours that do not hold what must be had of them.

    Args:
        budget: with `hours` and `gpu_hours`; None is no limit.
        gpus_per_trial: of each trial.
        seconds: what must be had takes.
        what: that, in words that end in a verb.

    Raises:
        BudgetError: the hours or the GPU hours are fewer.
    """
    for name, hours, wanted in (("hours", budget.hours, seconds), ("gpu_hours", budget.gpu_hours, seconds * gpus_per_trial)):
        if hours is not None and 3600 * hours < wanted:
            raise BudgetError(
                f"budget.{name} is {hours:g}, and {what} about {wanted / 3600:.2g}: give at least that, or a cheaper space "
                "(raydistill plan says what a search takes)"
            )


class Allowance:
    """Counts the hours in which a study's trials were run."""

    def __init__(
        self, budget: BudgetConfig, gpus_per_trial: float, study: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take up the count where an earlier search left it.

        Args:
            budget: with `hours` and `gpu_hours`; None is no limit.
            gpus_per_trial: of each trial.
            study: the study's folder; keeps `spent.json` where `hours` is given.
            clock: seconds from any fixed point.
        """
        self._budget = budget
        self._gpus_per_trial = gpus_per_trial
        self._study = study
        self._clock = clock
        self._earlier = float(study.read_json(SPENT_FILE)["seconds"]) if study.exists(SPENT_FILE) else 0.0
        self._began: float | None = None

    @property
    def _seconds(self) -> float:
        return self._earlier + (0.0 if self._began is None else self._clock() - self._began)

    def start(self) -> None:
        """Count from the first ask on."""
        if self._began is None:
            self._began = self._clock()

    def keep(self) -> None:
        """Write the count down; a search that is killed loses what came after."""
        if self._budget.hours is not None:
            self._study.write_json(SPENT_FILE, {"seconds": self._seconds})

    def is_spent(self, records: Iterable[TrialRecord]) -> bool:
        """Whether no further trial may be asked.

        Args:
            records: of the trials that ended; what they took is the GPU time.
        """
        hours, gpu_hours = self._budget.hours, self._budget.gpu_hours
        if hours is not None and self._seconds >= 3600 * hours:
            return True
        taken = sum(r.cost.distill_seconds + r.cost.evaluate_seconds for r in records if r.cost)
        return gpu_hours is not None and taken * self._gpus_per_trial >= 3600 * gpu_hours
