"""Where the work of a command is done: who carries it out, where the data lies, and who watches it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from raydistill.search.estimate import Part, estimate_line
from raydistill.search.jobs import Job, JobRunner
from raydistill.search.needs import NodeNeeds
from raydistill.search.watcher import Watcher
from raydistill.storage.data_root import DataRoot
from raydistill.storage.given import Given
from raydistill.storage.store import Store

if TYPE_CHECKING:
    from raydistill.search.solver import Solver


class Executor(JobRunner, Protocol):
    """Carries out what a search wants done. Starts what it needs when it is first used."""

    def at_once(self, watcher: Watcher) -> int:
        """Number of jobs that run side by side."""

    def require(self, needs: NodeNeeds) -> None:
        """Remember what every node must have, and refuse a node that lacks it before its first work."""

    def run_trials(self, solver: Solver, study: Store, data_root: DataRoot, watcher: Watcher) -> None:
        """Ask, run and tell until the solver gives no more."""

    def close(self) -> None:
        """End what was started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workplace:
    """What a command passes on unchanged to everything that works for it."""

    executor: Executor
    data_root: DataRoot
    """Folder or URI of the data files."""
    watcher: Watcher
    """Receives what happens."""
    given: Given | None = None
    """What a search was given, which it writes into its study; None writes nothing."""

    def tell_estimate(self, parts: Sequence[Part]) -> None:
        """Tell what is left and how long it takes; nothing where nothing is left."""
        if any(part.jobs for part in parts):
            self.watcher.note(estimate_line(parts, self.executor.at_once(self.watcher)))

    def run_missing(self, stage: str, jobs: Sequence[Job], total: int | None = None) -> None:
        """Run the jobs that are left of a stage; no stage where there are none. `total` counts those done before too."""
        if jobs:
            self.run_stage(stage, sum(job.networks for job in jobs) if total is None else total, jobs)

    def run_stage(self, stage: str, total: int, jobs: Sequence[Job]) -> None:
        """Announce a stage of so many networks, those done before included, and run the jobs that are left."""
        self.watcher.stage(stage, total)
        left = sum(job.networks for job in jobs)
        if left < total:
            self.watcher.jobs_found(total - left)
        if jobs:
            self.executor.run_jobs(jobs, self.watcher)
