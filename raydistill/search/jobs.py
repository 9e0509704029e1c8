"""Networks that are trained side by side, outside any trial: a study's baseline, experts, the confirmation of a candidate."""

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
    """Work for an executor, done in another process perhaps; it leaves its result in a file."""

    @property
    def name(self) -> str:
        """As the dashboard shows it."""

    def __call__(self) -> None:
        """Do it; nothing if it is done already."""


class JobRunner(Protocol):
    """The part of an executor that jobs need."""

    def run_jobs(self, jobs: Sequence[Job], watcher: Watcher) -> None:
        """Run jobs, side by side where it can; `job_done` for each. An error in one is raised."""


TrainNetwork = Callable[[TrialConfig[Any], int, Store, DataRoot], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkJob:
    """One network to train; a callable that can be sent to another process."""

    name: str
    train: TrainNetwork
    index: int
    config_json: str
    """The trial config as text: a class made for one method does not travel between processes."""
    store: Store
    """Where the network's file goes."""
    data_root: DataRoot

    def __call__(self) -> None:
        """Train the network and write its file."""
        config = read_trial_config(self.config_json, method_configs())
        self.train(config, self.index, self.store, self.data_root)


def baseline_jobs(config: TrialConfig[Any], study: Store, data_root: DataRoot) -> list[NetworkJob]:
    """One job per baseline network that is not trained."""
    count = config.evaluation.baseline_networks
    missing = [index for index in range(count) if not study.exists(f"baseline/network-{index}.json")]
    return network_jobs("baseline", train_baseline_network, missing, config, study, data_root)


def confirm_jobs(config: TrialConfig[Any], study: Store, data_root: DataRoot) -> list[NetworkJob]:
    """One job per fresh network that is not trained on a trial's set."""
    count = config.evaluation.confirm_networks
    missing = [index for index in range(count) if not study.exists(f"trials/{config.trial_id}/confirm-{index}.json")]
    return network_jobs(f"confirm {config.trial_id}", train_confirm_network, missing, config, study, data_root)


def network_jobs(
    name: str, train: TrainNetwork, indices: Sequence[int], config: TrialConfig[Any], store: Store, data_root: DataRoot
) -> list[NetworkJob]:
    """One job per network to train.

    Args:
        name: what the networks are for, as the dashboard shows it.
        train: trains one and writes its file.
        indices: of the networks.
        config: a trial that says what they are trained on, and how.
        store: where their files go.
        data_root: folder or URI of the data files.
    """
    return [network_job(f"{name} network {index}", train, index, config, store, data_root) for index in indices]


def network_job(
    name: str, train: TrainNetwork, index: int, config: TrialConfig[Any], store: Store, data_root: DataRoot
) -> NetworkJob:
    """One network to train; arguments as in `network_jobs`, the name as it stands."""
    return NetworkJob(name=name, train=train, index=index, config_json=config.canonical_json(), store=store, data_root=data_root)
