"""Jobs that train networks in parallel, outside of trials: the baseline, the experts, the confirmation of a candidate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from raydistill.methods import method_configs
from raydistill.search.watcher import Watcher
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store
from raydistill.trial.baseline import train_baseline_network
from raydistill.trial.confirm import train_confirm_network


class Job(Protocol):
    """A piece of work that an executor runs, possibly in another process; it writes its result to a file."""

    @property
    def name(self) -> str:
        """Name of the job on the dashboard."""

    def __call__(self) -> None:
        """Run the job; does nothing if its result exists."""


class JobRunner(Protocol):
    """The part of an executor that runs jobs."""

    def run_jobs(self, jobs: Sequence[Job], watcher: Watcher) -> None:
        """Run jobs, in parallel if possible, and call `watcher.job_done` after each. An error in a job is raised."""


TrainNetwork = Callable[[TrialConfig[Any], int, Store, DataRoot], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkJob:
    """Trains one network; can be pickled for another process."""

    name: str
    train: TrainNetwork
    index: int
    config_json: str
    """The trial config as text, because the config's class is made at run time and cannot be pickled."""
    store: Store
    """Store of the network's file."""
    data_root: DataRoot

    def __call__(self) -> None:
        """Train the network and write its file."""
        config = read_trial_config(self.config_json, method_configs())
        self.train(config, self.index, self.store, self.data_root)


def baseline_jobs(config: TrialConfig[Any], study: Store, data_root: DataRoot) -> list[NetworkJob]:
    """One job per baseline network that is not trained yet."""
    count = config.evaluation.baseline_networks
    missing = [index for index in range(count) if not study.exists(f"baseline/network-{index}.json")]
    return network_jobs("baseline", train_baseline_network, missing, config, study, data_root)


def confirm_jobs(config: TrialConfig[Any], study: Store, data_root: DataRoot) -> list[NetworkJob]:
    """One job per confirm network that is not trained on the trial's set yet."""
    count = config.evaluation.confirm_networks
    missing = [index for index in range(count) if not study.exists(f"trials/{config.trial_id}/confirm-{index}.json")]
    return network_jobs(f"confirm {config.trial_id}", train_confirm_network, missing, config, study, data_root)


def network_jobs(
    name: str, train: TrainNetwork, indices: Sequence[int], config: TrialConfig[Any], store: Store, data_root: DataRoot
) -> list[NetworkJob]:
    """One job per network to train.

    Args:
        name: purpose of the networks, for the dashboard.
        train: trains one network and writes its file.
        indices: numbers of the networks.
        config: a trial config with the data, the network and the recipe.
        store: store of the networks' files.
        data_root: folder or URI of the data files.
    """
    return [
        NetworkJob(
            name=f"{name} network {index}",
            train=train,
            index=index,
            config_json=config.canonical_json(),
            store=store,
            data_root=data_root,
        )
        for index in indices
    ]


def run_missing(name: str, jobs: Sequence[Job], runner: JobRunner, watcher: Watcher) -> None:
    """Run the missing jobs of a stage; without missing jobs the stage is not reported."""
    if jobs:
        run_stage(name, len(jobs), jobs, runner, watcher)


def run_stage(name: str, total: int, jobs: Sequence[Job], runner: JobRunner, watcher: Watcher) -> None:
    """Report a stage and run its jobs.

    Args:
        name: name of the stage.
        total: number of jobs of the stage, including those done before.
        jobs: the jobs that are not done yet.
        runner: runs the jobs.
        watcher: receives progress.
    """
    watcher.stage(name, total)
    for _ in range(total - len(jobs)):
        watcher.job_done()
    if jobs:
        runner.run_jobs(jobs, watcher)
