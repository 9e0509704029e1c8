"""The requirements that every node must meet before it works for a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raydistill.spaces.sections import DatasetConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeNeeds:
    """A study's folder that the node can read and write, and the study's data."""

    study: Store
    dataset: DatasetConfig
    data_sha256: str
    data_root: DataRoot


def needs_of_trial(config: TrialConfig[Any], study: Store, data_root: DataRoot) -> NodeNeeds:
    """The requirements for work on a trial's data; `study` is the folder that nodes write to."""
    return NodeNeeds(study=study, dataset=config.dataset, data_sha256=config.data_sha256, data_root=data_root)
