"""Starts or joins a Ray cluster and carries a search out on it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import ray
from ray.exceptions import RayTaskError

from raydistill.errors import NodeError
from raydistill.search.jobs import Job
from raydistill.search.needs import NodeNeeds
from raydistill.search.on_ray.access import join
from raydistill.search.on_ray.capacity import NodeShape, live_nodes, startable_nodes, trials_at_once
from raydistill.search.on_ray.probe import FOLDER, check_nodes, here, pose, refusal
from raydistill.search.on_ray.tune_run import run_with_tune
from raydistill.search.on_ray.waiting import Waiting, holds_one
from raydistill.search.solver import Solver
from raydistill.search.watcher import Watcher
from raydistill.spaces.sections import ResourcesConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ctrl-C is ours: Tune's own handler would end its loop as if all were done.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The records are the log.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # A lost process is told through the watcher, in a line.
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # The newer output prints a table of its own whatever the verbosity.
    "RAY_AIR_NEW_OUTPUT": "0",
}
"""Environment of Ray, unless a person has set it."""

LOOK_SECONDS = 5.0
"""How often it is looked whether jobs wait for nodes."""


class RayExecutor:
    """Carries jobs and trials out on Ray; starts or joins the cluster when it is first used."""

    def __init__(self, address: str | None, resources: ResourcesConfig) -> None:
        """Prepare.

        Args:
            address: of a running cluster; None takes RAY_ADDRESS, which a submitted job finds set, or starts one on this machine.
            resources: of one trial, and how many at once.
        """
        self._address = address
        self._resources = resources
        self._is_ours = False
        self._at_once: int | None = None
        self._needs: NodeNeeds | None = None
        self._question: str | None = None
        self._startable: list[NodeShape] = []

    def require(self, needs: NodeNeeds) -> None:
        """Have every node of a cluster that was not started here looked at before its first work."""
        self._needs = needs

    def run_jobs(self, jobs: Sequence[Job], watcher: Watcher) -> None:
        """Run jobs side by side as tasks with a trial's resources.

        Raises:
            ClusterError: the cluster is not there, or may not be used.
            ResourcesError: no node can hold one.
            NodeError: a node has other code, or does not see the store or the data.
            Exception: what a job raised.
        """
        self._start(watcher)
        task = ray.remote(num_cpus=self._resources.cpus_per_trial, num_gpus=self._resources.gpus_per_trial)(_call)
        running = [task.options(name=job.name).remote(self._question, job) for job in jobs]
        waiting = Waiting("networks", self._resources, self._startable, watcher)
        while running:
            ended, running = ray.wait(running, timeout=LOOK_SECONDS)
            # Ray does not say cheaply which tasks run, but where no node holds one, all wait.
            waiting.look(0 if ended or holds_one(self._resources) else len(running))
            for done in ended:
                try:
                    ray.get(done)
                except RayTaskError as error:
                    # The task's traceback is in the error; what it raised is what a caller can act on.
                    raise error.cause from error
                watcher.job_done()

    def run_trials(self, solver: Solver, study: Store, data_root: DataRoot, watcher: Watcher) -> None:
        """Run trials through Tune until the solver gives no more.

        Raises:
            ResourcesError: no node can hold one.
            NodeError: a node has other code, or does not see the store or the data.
            StoreError: the study cannot be read or written.
        """
        at_once = self._start(watcher)
        at_once = min(at_once, self._resources.max_concurrent_trials or at_once)
        waiting = Waiting("trials", self._resources, self._startable, watcher)
        run_with_tune(solver, study, data_root, watcher, self._resources, at_once, waiting, self._question)

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._is_ours:
            ray.shutdown()
            self._is_ours = False
        self._at_once = None
        if self._question is not None and self._needs is not None:
            self._question = None
            self._needs.study.delete_folder(FOLDER)

    def _start(self, watcher: Watcher) -> int:
        """Be on a cluster that can hold a trial; gives how many it holds at once."""
        if self._at_once is not None:
            return self._at_once
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        # Tune warns that results it was told not to write cannot be read.
        logging.getLogger("ray.tune").setLevel(logging.ERROR)
        address = self._address or os.environ.get("RAY_ADDRESS") or "local"
        if not ray.is_initialized():
            context = join(address)
            self._is_ours = True
            if context.dashboard_url:
                watcher.note(f"Ray's dashboard: http://{context.dashboard_url}{_how_to_log_in()}")
        self._startable = [] if address == "local" else startable_nodes()
        at_once = trials_at_once(live_nodes(), self._startable, self._resources)
        if self._needs is not None and address != "local":
            self._question = pose(self._needs)
            check_nodes(self._question, self._needs.study, self._resources, watcher)
        self._at_once = at_once
        return at_once


def _call(question: str | None, job: Job) -> None:
    if question is not None and (refused := refusal(question)) is not None:
        raise NodeError(here(refused))
    job()


def _how_to_log_in() -> str:
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()
    return f" (its token is in {token})" if token.is_file() else ""
