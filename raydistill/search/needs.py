"""The requirements that every node must meet before it works for a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raydistill.spaces.sections import DatasetConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class NeededData:
    """A data set, with the hash of its splits at the driver."""

    dataset: DatasetConfig
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeNeeds:
    """A study's folder that the node can read and write, and the study's data."""

    study: Store
    data: tuple[NeededData, ...]
    data_root: DataRoot
    uses_splits: bool = True
    """Whether the work uses the splits of the data, which a process that has checked them then keeps in memory."""


def needs_of_trial(config: TrialConfig[Any], study: Store, data_root: DataRoot) -> NodeNeeds:
    """The requirements for work on a trial's data; `study` is the folder that nodes write to."""
    data = NeededData(dataset=config.dataset, sha256=config.data_sha256)
    return NodeNeeds(study=study, data=(data,), data_root=data_root)
