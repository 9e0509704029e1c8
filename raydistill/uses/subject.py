"""The set that is judged, with its data and the folder that holds the records; and the same as a job finds it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from raydistill.catalogue import find_file
from raydistill.core.process import set_up_process
from raydistill.core.synthetic import SyntheticSet, sha256
from raydistill.data.splits import Splits
from raydistill.sets.place import study_around
from raydistill.sets.set_file import read_set_with_data
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.layout import SET_FILE
from raydistill.storage.store import Store
from raydistill.uses.values import uses_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What a job needs to find its work; can be pickled for another process."""

    path: str
    """Of the set."""
    folder: Store
    """Of the records."""
    experts: Store
    """The store whose experts label controls."""
    data_root: DataRoot
    device: Literal["cpu", "cuda"]

    def open(self) -> tuple[SyntheticSet, TrialConfig[Any], Splits, torch.device]:
        """The set, its config and data, and the device; sets up this process.

        Raises:
            InputError: the set is missing or damaged.
            DataError: the data is missing, or not the data that the set was made from.
            DeviceError: the device is not available.
        """
        synthetic, config, splits = read_set_with_data(self.path, self.data_root)
        return synthetic, config, splits, set_up_process(config.cpus_per_trial, self.device)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Subject:
    """A set, as a protocol sees it."""

    set_sha256: str
    """Hash of its file."""
    synthetic: SyntheticSet
    config: TrialConfig[Any]
    splits: Splits
    place: Place

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.splits.class_names)


def read_subject(path: str, data_root: DataRoot, into: str | None, device: Literal["cpu", "cuda"]) -> Subject:
    """The set at a path.

    Args:
        path: an `images.safetensors`, or the folder that holds it.
        data_root: folder or URI of the data files.
        into: folder of the records; None is `uses/<hash of the set>` in the set's study, `uses` beside a set outside one.
        device: where networks are trained.

    Raises:
        InputError: there is no such set, or it is damaged.
        DataError: the data is missing, or not the data that the set was made from.
    """
    synthetic, config, splits = read_set_with_data(path, data_root)
    folder, name = find_file(path, SET_FILE)
    own, study = folder.absolute, study_around(path)
    set_sha256 = sha256(own.read(name))
    if into is not None:
        records = Store(into).absolute
    else:
        records = own.at("uses") if study is None else uses_folder(study, set_sha256)
    experts = records if study is None else study.parent
    place = Place(path=own.path(name), folder=records, experts=experts, data_root=data_root, device=device)
    return Subject(set_sha256=set_sha256, synthetic=synthetic, config=config, splits=splits, place=place)
