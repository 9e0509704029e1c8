"""What every node must have before it works for a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raydistill.spaces.sections import DatasetConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeNeeds:
    """A store that it sees and may write, and the data of the study."""

    study: Store
    dataset: DatasetConfig
    data_sha256: str
    data_root: DataRoot


def needs_of_trial(config: TrialConfig[Any], study: Store, data_root: DataRoot) -> NodeNeeds:
    """What nodes need for work on a trial's data; `study` is where they write."""
    return NodeNeeds(study=study, dataset=config.dataset, data_sha256=config.data_sha256, data_root=data_root)
