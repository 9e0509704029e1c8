"""Networks that are trained side by side, outside any trial: a study's baseline and the confirmation of a candidate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from raydistill.baseline import train_baseline_network
from raydistill.config import TrialConfig
from raydistill.confirm import train_confirm_network
from raydistill.methods import method_configs
from raydistill.space_file import read_trial_config
from raydistill.store import Store


class Job(Protocol):
    """Work for an executor, done in another process perhaps; it leaves its result in a file."""

    @property
    def name(self) -> str:
        """As the dashboard shows it."""

    def __call__(self) -> None:
        """Do it; nothing if it is done already."""


TrainNetwork = Callable[[TrialConfig[Any], int, Store, Path | None], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkJob:
    """One network to train; a callable that can be sent to another process."""

    name: str
    output: str
    """The file in the study that it writes; when it is there, the job is done."""
    train: TrainNetwork
    index: int
    config_json: str
    """The trial config as text: a class made for one method does not travel between processes."""
    study: Store
    data_root: Path | None

    def __call__(self) -> None:
        """Train the network and write its file."""
        config = read_trial_config(self.config_json, method_configs())
        self.train(config, self.index, self.study, self.data_root)


def baseline_jobs(config: TrialConfig[Any], study: Store, data_root: Path | None) -> list[NetworkJob]:
    """One job per baseline network that is not trained."""
    count = config.evaluation.baseline_networks
    return _missing("baseline", "baseline/network", train_baseline_network, count, config, study, data_root)


def confirm_jobs(config: TrialConfig[Any], study: Store, data_root: Path | None) -> list[NetworkJob]:
    """One job per fresh network that is not trained on a trial's set."""
    output = f"trials/{config.trial_id}/confirm"
    count = config.evaluation.confirm_networks
    return _missing(f"confirm {config.trial_id}", output, train_confirm_network, count, config, study, data_root)


def _missing(
    name: str, output: str, train: TrainNetwork, count: int, config: TrialConfig[Any], study: Store, data_root: Path | None
) -> list[NetworkJob]:
    jobs = [
        NetworkJob(
            name=f"{name} network {index}",
            output=f"{output}-{index}.json",
            train=train,
            index=index,
            config_json=config.canonical_json(),
            study=study,
            data_root=data_root,
        )
        for index in range(count)
    ]
    return [job for job in jobs if not study.exists(job.output)]
