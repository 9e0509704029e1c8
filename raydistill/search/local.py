"""Runs trials one after another in this process: for debugging, for tests, and for machines without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from raydistill.core.train import Tick, no_tick
from raydistill.search.jobs import Job
from raydistill.search.needs import NodeNeeds
from raydistill.search.watcher import Watcher
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import TrialRecord
from raydistill.storage.store import Store
from raydistill.trial.endings import TrialCrashedError
from raydistill.trial.run import OnStep, Report, run_trial, tell_nobody

if TYPE_CHECKING:
    from raydistill.search.solver import Solver


class LocalExecutor:
    """Runs jobs and trials in this process."""

    def at_once(self, watcher: Watcher) -> int:
        """One."""
        return 1

    def require(self, needs: NodeNeeds) -> None:
        """Do nothing: this process is the only node, and it checks its requirements itself."""

    def run_jobs(self, jobs: Sequence[Job], watcher: Watcher) -> None:
        """Run each job; the first error stops the run."""
        for job in jobs:
            job()
            for _ in range(job.networks):
                watcher.job_done()

    def run_trials(self, solver: Solver, study: Store, data_root: DataRoot, watcher: Watcher) -> None:
        """Run the trials that the solver proposes, and report their records to it, until the budget is used up."""
        while (config := solver.ask()) is not None:
            watcher.trial_started(config)
            tell = (partial(watcher.reading, config), data_root, partial(watcher.step, config))
            record = run_to_a_record(config, study, *tell, most_hours=solver.space.budget.trial_hours)
            solver.tell(record)
            watcher.trial_ended(record)

    def close(self) -> None:
        """Do nothing: nothing was started."""


def run_to_a_record(
    config: TrialConfig[Any],
    study: Store,
    report: Report,
    data_root: DataRoot,
    on_step: OnStep = tell_nobody,
    *,
    alive: Tick = no_tick,
    most_hours: float | None = None,
) -> TrialRecord:
    """Like `run_trial`, but a crashed trial returns its record instead of raising, so that the search continues.

    Raises:
        StoreError: the study cannot be read or written, so there is no record.
    """
    try:
        return run_trial(config, study, report, data_root, on_step, alive=alive, most_hours=most_hours)
    except TrialCrashedError as error:
        return error.record
