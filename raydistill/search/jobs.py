"""Jobs that train networks in parallel, outside of trials: the baseline, the experts, the confirmation of a candidate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from raydistill.methods import method_configs
from raydistill.search.watcher import Watcher
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.storage.baseline import network_file
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store
from raydistill.trial.baseline import train_baseline_networks
from raydistill.trial.confirm import missing_readings, train_confirm_networks
from raydistill.trial.draws import make_draw, missing_draws


class Job(Protocol):
    """A piece of work that an executor runs, possibly in another process; it writes its result to a file."""

    @property
    def name(self) -> str:
        """Name of the job on the dashboard."""

    @property
    def networks(self) -> int:
        """By how many of its stage's networks progress counts it."""

    def __call__(self) -> None:
        """Run the job; does nothing if its result exists."""


@runtime_checkable
class SharingJob(Job, Protocol):
    """A job with a large part that it shares with others, as the test images; other processes get that part once for all jobs."""

    @property
    def shared(self) -> Any:
        """The part; None if there is none."""

    def sharing(self, part: Any) -> Job:
        """The same job with that part in place of its own; None takes it out."""


class JobRunner(Protocol):
    """The part of an executor that runs jobs."""

    def run_jobs(self, jobs: Sequence[Job], watcher: Watcher) -> None:
        """Run jobs, in parallel if possible, and call `watcher.job_done` for each network of one. An error in a job is raised."""


TrainNetwork = Callable[[TrialConfig[Any], int, Store, DataRoot], None]
TrainNetworks = Callable[[TrialConfig[Any], Sequence[int], Store, DataRoot], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkJob:
    """Trains one network; can be pickled for another process."""

    networks: ClassVar[int] = 1
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


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupJob:
    """Trains several networks together; can be pickled for another process."""

    name: str
    train: TrainNetworks
    indices: tuple[int, ...]
    config_json: str
    """As in `NetworkJob`."""
    store: Store
    data_root: DataRoot

    @property
    def networks(self) -> int:
        """Number of networks in the group."""
        return len(self.indices)

    def __call__(self) -> None:
        """Train the networks and write their files."""
        config = read_trial_config(self.config_json, method_configs())
        self.train(config, self.indices, self.store, self.data_root)


def baseline_jobs(config: TrialConfig[Any], study: Store, data_root: DataRoot) -> list[GroupJob]:
    """The baseline networks that are not trained yet, as many in a job as train together."""
    count = config.evaluation.baseline_networks
    missing = [index for index in range(count) if not study.exists(network_file(index))]
    return group_jobs("baseline", train_baseline_networks, missing, config, study, data_root)


def confirm_jobs(config: TrialConfig[Any], study: Store, data_root: DataRoot) -> list[GroupJob]:
    """The confirm networks that are not trained on the trial's set yet, as many in a job as train together."""
    missing = missing_readings(config, study, range(config.evaluation.confirm_networks))
    return group_jobs(f"confirm {config.trial_id}", train_confirm_networks, missing, config, study, data_root)


def group_jobs(
    name: str, train: TrainNetworks, indices: Sequence[int], config: TrialConfig[Any], store: Store, data_root: DataRoot
) -> list[GroupJob]:
    """One job per `evaluation.networks_at_once` networks; arguments as in `network_jobs`."""
    size = config.evaluation.networks_at_once
    groups = [tuple(indices[first : first + size]) for first in range(0, len(indices), size)]
    return [
        GroupJob(
            name=f"{name} network{'' if len(group) == 1 else 's'} {', '.join(map(str, group))}",
            train=train,
            indices=group,
            config_json=config.canonical_json(),
            store=store,
            data_root=data_root,
        )
        for group in groups
    ]


def draw_jobs(config: TrialConfig[Any], study: Store, data_root: DataRoot) -> list[NetworkJob]:
    """One job per draw of a control that is not made yet."""
    return network_jobs(config.arm_and_size, make_draw, missing_draws(config, study), config, study, data_root)


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
    return [network_job(f"{name} network {index}", train, index, config, store, data_root) for index in indices]


def network_job(
    name: str, train: TrainNetwork, index: int, config: TrialConfig[Any], store: Store, data_root: DataRoot
) -> NetworkJob:
    """One network to train; arguments as in `network_jobs`, the name as it stands."""
    return NetworkJob(name=name, train=train, index=index, config_json=config.canonical_json(), store=store, data_root=data_root)
