"""Starts or joins a Ray cluster and runs a search on it."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError, RayTaskError

from raydistill.errors import ClusterError, ClusterLostError, JobLostError, NodeError
from raydistill.search.jobs import Job, SharingJob
from raydistill.search.needs import NodeNeeds
from raydistill.search.on_ray.access import SUBMIT, join, kill_orphans, leave
from raydistill.search.on_ray.capacity import NodeShape, live_nodes, startable_nodes, trials_at_once
from raydistill.search.on_ray.lifeline import Lifeline, lifeline_of, look_at_starting
from raydistill.search.on_ray.probe import check_nodes, here, pose, refusal, take_back
from raydistill.search.on_ray.starting import without_last_lines_of_raylet
from raydistill.search.on_ray.tune_run import run_with_tune
from raydistill.search.on_ray.waiting import Waiting
from raydistill.search.on_ray.watchdog import JobLimit
from raydistill.search.watcher import Watcher
from raydistill.spaces.sections import ResourcesConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store

if TYPE_CHECKING:
    from raydistill.search.solver import Solver

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # On Ctrl-C Tune's own handler would end its loop as if all trials were done.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The records replace Tune's result logs.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # The watcher reports a lost process in one line.
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # The newer output prints its own table at every verbosity.
    "RAY_AIR_NEW_OUTPUT": "0",
}
"""Environment variables for Ray; values that the user has set are kept."""

RUN_AGAIN = 3
"""How often a job whose process was lost is run again, as Ray does by itself; a job that raised an error is not run again."""
LOOK_SECONDS = 5.0
"""Interval at which the executor checks whether jobs wait for nodes."""


class RayExecutor:
    """Runs jobs and trials on Ray; starts or joins the cluster at its first use."""

    def __init__(self, address: str | None, resources: ResourcesConfig, job_hours: float | None = None) -> None:
        """Prepare.

        Args:
            address: of a running cluster; None means RAY_ADDRESS (set in a submitted job), or a new cluster on this machine.
            resources: resources of one trial, and the number of trials at the same time.
            job_hours: how long a job may take; None means no limit.
        """
        self._address = address
        self._resources = resources
        self._job_hours = job_hours
        self._is_ours = False
        self._at_once: int | None = None
        self._needs: NodeNeeds | None = None
        self._question: str | None = None
        self._startable: list[NodeShape] = []
        self._is_own = False
        """Whether the cluster was started here."""
        self._is_lost = False

    def require(self, needs: NodeNeeds) -> None:
        """Have every node checked before its first work, unless the cluster is started here."""
        self._needs = needs

    def at_once(self, watcher: Watcher) -> int:
        """Number of jobs for which the cluster has room; starts or joins it."""
        return self._start(watcher)

    def run_jobs(self, jobs: Sequence[Job], watcher: Watcher) -> None:
        """Run jobs in parallel, as tasks with the resources of a trial.

        Raises:
            ClusterError: there is no cluster, or it refuses the token.
            ResourcesError: no node has the resources for a job.
            NodeError: a node has another version of the code, or cannot read the store or the data.
            ClusterLostError: Ray ended while the jobs ran.
            JobLostError: the process of a job was lost again and again.
            TimeLimitError: a job takes longer than `job_hours`.
            Exception: the error that a job raised.
        """
        self._start(watcher)
        with self._held() as lifeline:
            self._run_jobs(jobs, watcher, lifeline)

    def _run_jobs(self, jobs: Sequence[Job], watcher: Watcher, lifeline: Lifeline) -> None:
        cpus, gpus = self._resources.cpus_per_trial, self._resources.gpus_per_trial
        # Not run again by Ray, which would do so without an end with a task that its memory monitor kills.
        task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0, num_returns="streaming")(_call)

        sent = _sent_once(jobs)

        def submit(number: int) -> Any:
            return task.options(name=jobs[number].name).remote(self._question, *sent[number])

        # By their numbers, because two jobs may have one name.
        number_of = {submit(number): number for number in range(len(jobs))}
        losses: Counter[int] = Counter()
        waiting = Waiting("networks", self._resources, self._startable, watcher)
        limit = JobLimit(self._job_hours)
        while number_of:
            told: list[Any] = ray.wait(list(number_of), timeout=LOOK_SECONDS, fetch_local=False)[0]
            lifeline.check()
            for stream in told:
                number = number_of[stream]
                job = jobs[number]
                try:
                    ray.get(next(stream))
                except StopIteration:
                    for _ in range(job.networks):
                        watcher.job_done()
                except RayTaskError as error:
                    # Raise the job's own error, which callers handle; the task's traceback stays attached as its cause.
                    raise error.cause from error
                except RayError as error:
                    lifeline.look_until_certain()  # with Ray itself its jobs are lost, too
                    losses[number] += 1
                    _check_losses(job.name, losses[number], error)
                    watcher.note(f"{job.name} is run again, because its process was lost: {_first_sentence(error)}")
                    number_of[submit(number)] = number
                else:
                    limit.began(number, job.name)
                    continue
                del number_of[stream]
                limit.ended(number)
            waiting.look(0 if limit.running else len(number_of))
            if not told:  # otherwise there may be more to hear, of a job that ended long ago
                limit.check()

    def run_trials(self, solver: Solver, study: Store, data_root: DataRoot, watcher: Watcher) -> None:
        """Run trials through Tune until the solver proposes no more.

        Raises:
            ResourcesError: no node has the resources for a trial.
            NodeError: a node has another version of the code, or cannot read the store or the data.
            StoreError: the study cannot be read or written.
            ClusterLostError: Ray ended while the trials ran.
        """
        at_once = self._start(watcher)
        at_once = min(at_once, self._resources.max_concurrent_trials or at_once)
        waiting = Waiting("trials", self._resources, self._startable, watcher)
        with self._held() as lifeline:
            run_with_tune(solver, study, data_root, watcher, self._resources, at_once, waiting, self._question, lifeline)

    def close(self) -> None:
        """Leave the cluster; a cluster that was started here is shut down."""
        if self._is_ours:
            if self._is_lost and self._is_own:
                kill_orphans()
            leave(is_own=self._is_own, is_lost=self._is_lost)
            self._is_ours = False
        self._at_once = None
        if self._question is not None and self._needs is not None:
            question, self._question = self._question, None
            take_back(question, self._needs.study)

    @contextmanager
    def _held(self) -> Iterator[Lifeline]:
        """A lifeline to Ray while the block runs."""
        lifeline = lifeline_of(is_own=self._is_own)
        try:
            with without_last_lines_of_raylet(), lifeline.held():
                yield lifeline
        finally:
            self._is_lost = lifeline.lost is not None

    def _start(self, watcher: Watcher) -> int:
        """Start or join a cluster; returns the number of trials that it can run at the same time."""
        if self._at_once is not None:
            return self._at_once
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        # Tune warns about missing results, although writing them is disabled.
        logging.getLogger("ray.tune").setLevel(logging.ERROR)
        if not ray.is_initialized():
            address = self._address or _address_of_environment() or "local"
            self._is_ours = True  # also of a cluster that was told to end while it started
            self._is_own = address == "local"
            try:
                with Lifeline(look_at_starting, 0.0).held() if self._is_own else nullcontext():
                    context = join(address)
            except ClusterLostError:
                kill_orphans()
                raise
            if context.dashboard_url:
                watcher.note(f"Ray's dashboard: http://{context.dashboard_url}{_how_to_log_in()}")
        # A program may have joined a cluster before it called this, so no address says nothing of where that is.
        is_local = self._is_ours and self._is_own
        self._startable = [] if is_local else startable_nodes()
        at_once = trials_at_once(live_nodes(), self._startable, self._resources)
        if self._needs is not None and not is_local:
            self._question = pose(self._needs)
            check_nodes(self._question, self._needs.study, self._resources, watcher)
        self._at_once = at_once
        return at_once


def _address_of_environment() -> str | None:
    """RAY_ADDRESS; None where it is not set.

    Raises:
        ClusterError: it is the address of a dashboard, as `ray job` takes it, or of Ray's client.
    """
    address = os.environ.get("RAY_ADDRESS")
    if address and "://" in address:
        raise ClusterError(
            f"RAY_ADDRESS is {address}; a search takes host:port, or auto on a node of the cluster: unset it, or give --address; "
            f"{SUBMIT}"
        )
    return address


def _sent_once(jobs: Sequence[Job]) -> list[tuple[Job, Any]]:
    """Each job without the part that it shares, and a reference to that part: Ray would store it anew with each job."""
    stored: dict[int, Any] = {}
    sent: list[tuple[Job, Any]] = []
    for job in jobs:
        if not isinstance(job, SharingJob) or job.shared is None:
            sent.append((job, None))
            continue
        part = job.shared
        if id(part) not in stored:
            stored[id(part)] = ray.put(part)
        sent.append((job.sharing(None), stored[id(part)]))
    return sent


def _call(question: str | None, job: Job, part: Any) -> Iterator[None]:
    """Run a job with the part that it shares; what it yields before tells the search that the job waits for a node no more."""
    yield
    if question is not None and (refused := refusal(question)) is not None:
        raise NodeError(here(refused))
    if part is not None and isinstance(job, SharingJob):
        job = job.sharing(part)
    job()


def _check_losses(name: str, losses: int, error: RayError) -> None:
    if losses > RUN_AGAIN:
        raise JobLostError(
            f"{name} has failed: its process was lost {losses} times, most often because the memory of its node ran out "
            f"(Ray: {_first_sentence(error)}); have fewer run at once, so that each has more memory (--local: one; ray start "
            "--num-cpus: fewer on a node; a larger resources.gpus_per_trial: fewer on a GPU), or take nodes with more"
        ) from error


def _first_sentence(error: RayError) -> str:
    return str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".") or type(error).__name__


def _how_to_log_in() -> str:
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()
    return f" (its token is in {token})" if token.is_file() else ""
