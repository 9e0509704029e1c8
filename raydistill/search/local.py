"""Trials one after another in this process: for a debugger, for tests, and for a machine without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from raydistill.errors import StoreError
from raydistill.search.jobs import Job
from raydistill.search.needs import NodeNeeds
from raydistill.search.solver import Solver
from raydistill.search.watcher import Watcher
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import TrialRecord, read_record
from raydistill.storage.store import Store
from raydistill.trial.run import OnStep, Report, run_trial, tell_nobody


class LocalExecutor:
    """Carries jobs and trials out in this process."""

    def require(self, needs: NodeNeeds) -> None:
        """Nothing: this process is the only node, and looks by itself."""

    def run_jobs(self, jobs: Sequence[Job], watcher: Watcher) -> None:
        """Run each job; the first error ends it."""
        for job in jobs:
            job()
            watcher.job_done()

    def run_trials(self, solver: Solver, study: Store, data_root: DataRoot, watcher: Watcher) -> None:
        """Ask, run, tell, until the budget is spent."""
        while (config := solver.ask()) is not None:
            watcher.trial_started(config)
            record = run_to_a_record(config, study, partial(watcher.reading, config), data_root, partial(watcher.step, config))
            solver.tell(record)
            watcher.trial_ended(record)

    def close(self) -> None:
        """Nothing to let go."""


def run_to_a_record(
    config: TrialConfig[Any], study: Store, report: Report, data_root: DataRoot, on_step: OnStep = tell_nobody
) -> TrialRecord:
    """As `run_trial`, but a trial that crashes gives its crashed record, so that the search goes on without it.

    Raises:
        StoreError: the study cannot be read or written, so there is no record.
    """
    try:
        return run_trial(config, study, report, data_root, on_step)
    except StoreError:
        raise
    except Exception:
        record = read_record(study, config.trial_id)
        if record is None or record.state != "crashed":
            raise
        return record
