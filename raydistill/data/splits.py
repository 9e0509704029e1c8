"""Data sets, their split into train, select and confirm, and `open_test`, the only function that returns test images."""

from __future__ import annotations

import functools
import getpass
import hashlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raydistill.data.byte_images import byte_images
from raydistill.data.datasets import load_raw
from raydistill.data.division import divide, refuse_missing_class
from raydistill.data.own.report import TwinCounts
from raydistill.data.own.twins import counted, joined, thumbnails, twins_by_part
from raydistill.data.preprocess import Preprocess, Standardise, fit
from raydistill.data.raw import RawDataset, RawPart
from raydistill.errors import DataError
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.sections import DatasetConfig, ImageFolderConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledImages:
    """Preprocessed images with their classes."""

    images: Tensor
    """(N, C, H, W) float32; images of large data sets are `ByteImages`."""
    labels: Tensor
    """(N,) int64."""

    def to(self, device: torch.device) -> LabelledImages:
        """The same images on a device."""
        return LabelledImages(images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Splits:
    """The images of a data set that a search may use; the test split is not among them."""

    train: LabelledImages
    select: LabelledImages
    """Images on which trials are evaluated and compared."""
    confirm: LabelledImages
    """Images on which only candidates for the winner are evaluated."""
    preprocess: Preprocess
    class_names: tuple[str, ...]
    mirror_keeps_class: bool
    """Whether a mirrored image still belongs to its class; false for digits."""
    train_bytes: int
    """Bytes of the train split as published: one per pixel and channel, one per label."""
    sha256: str
    """Hash of the raw train, select and confirm images, labels and their split."""
    drawn_unlike: tuple[str, ...] = ()
    """Why train and select images were not drawn alike, one by one at random; empty where they were."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def smallest_class_name(self) -> str:
        """Name of the class with the fewest train images."""
        return self.class_names[int(torch.bincount(self.train.labels, minlength=len(self.class_names)).argmin())]

    @property
    def smallest_class(self) -> int:
        """Train images of the smallest class."""
        return int(torch.bincount(self.train.labels, minlength=len(self.class_names)).min())


LARGEST_FLOATS_BYTES = 2**28
"""Standardised images that would need more memory as floats are stored as bytes: CIFAR and MHIST, but not MNIST (0.18 GiB).

Whitened images stay floats: each of their pixels hangs on all others.
"""


_own_in_memory: set[ImageFolderConfig] = set()
"""Own images of which the two caches below may hold splits or twins."""


def look_again() -> None:
    """Forget all splits if own images are among them, which may have changed since they were read."""
    if _own_in_memory:
        load_splits.cache_clear()
        train_twins.cache_clear()
        _own_in_memory.clear()


@functools.lru_cache(maxsize=2)
def load_splits(config: DatasetConfig, data_root: DataRoot = None) -> Splits:
    """The train, select and confirm splits of a data set, preprocessed (fitted on the train split); cached per process.

    Raises:
        DataError: files are missing or damaged, or a split has no image of some class.
    """
    if isinstance(config, ImageFolderConfig):
        _own_in_memory.add(config)
    raw = load_raw(config, data_root)
    raw_parts, dropped = _raw_parts(raw, config, data_root)
    preprocess = fit(config.preprocess, raw_parts["train"].images, raw.white)
    parts = {name: _preprocessed(raw, part, preprocess) for name, part in raw_parts.items()}
    return Splits(
        **parts,
        preprocess=preprocess,
        class_names=raw.class_names,
        mirror_keeps_class=raw.mirror_keeps_class,
        train_bytes=raw_parts["train"].images.size + len(raw_parts["train"].labels),
        sha256=_hash(raw_parts),
        drawn_unlike=raw.drawn_unlike(has_dropped=dropped > 0),
    )


def hash_of_splits(config: DatasetConfig, data_root: DataRoot = None) -> str:
    """`sha256` of the splits, for which no image is preprocessed and none stays in memory.

    Raises:
        DataError: as for `load_splits`.
    """
    return _hash(_raw_parts(load_raw(config, data_root), config, data_root)[0])


def _raw_parts(raw: RawDataset, config: DatasetConfig, data_root: DataRoot) -> tuple[dict[str, RawPart], int]:
    """The train, select and confirm images as published, and how many train images were dropped because another part has them."""
    indices, dropped = divide(raw, config), 0
    if isinstance(config, ImageFolderConfig) and config.duplicates == "drop":
        leaks = train_twins(config, data_root).leaks
        indices["train"], dropped = np.delete(indices["train"], leaks), len(leaks)
    parts = {
        name: RawPart(images=raw.search.images[indices[name]], labels=raw.search.labels[indices[name]])
        for name in ("train", "select", "confirm")
    }
    for name, part in parts.items():
        refuse_missing_class(name, part, raw.class_names, config)
    return parts, dropped


def data_facts(config: DatasetConfig, data_root: DataRoot = None) -> DataFacts:
    """The sizes of a data set that a search space is checked against.

    Raises:
        DataError: files are missing or damaged.
    """
    splits = load_splits(config, data_root)
    train, select, confirm = (
        torch.bincount(part.labels, minlength=len(splits.class_names)).tolist()
        for part in (splits.train, splits.select, splits.confirm)
    )
    return DataFacts(
        smallest_class=splits.smallest_class,
        confirm_images=len(splits.confirm.labels),
        shape=splits.shape,
        train_counts=dict(zip(splits.class_names, train, strict=True)),
        select_counts=tuple(select),
        confirm_counts=tuple(confirm),
    )


def count_test_images(config: DatasetConfig, data_root: DataRoot = None) -> tuple[int, ...]:
    """Images of each class in the test split, 0 if there is none. Only numbers are returned, so it does not count as an opening.

    Raises:
        DataError: files are missing or damaged.
    """
    raw = load_raw(config, data_root)
    if raw.load_test is not None:
        labels = raw.load_test().labels
    else:
        labels = raw.search.labels[divide(raw, config).get("test", np.array([], dtype=np.int64))]
    return tuple(np.bincount(labels, minlength=len(raw.class_names)).tolist())


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainTwins:
    """Which train images are also in another part, and how many twins there are in all."""

    leaks: NDArray[np.int64]
    """Places in the train part, before any is dropped, of images with a twin in the select, confirm or test part."""
    counts: TwinCounts
    """Of the parts as a search uses them: without `leaks` where `duplicates: drop` says so."""


@functools.lru_cache(maxsize=2)
def train_twins(config: ImageFolderConfig, data_root: DataRoot = None) -> TrainTwins:
    """Twins between the parts of a folder. Test images are compared with the others, but none is returned.

    Only counts and places of train images leave this function. A train image that is dropped because it lies in the test part as
    well tells nothing about how any network does there, so this does not count as an opening.

    Raises:
        DataError: files are missing or damaged, or the images cannot be divided.
    """
    _own_in_memory.add(config)
    raw = load_raw(config, data_root)
    indices = divide(raw, config)
    images = {name: raw.search.images[chosen] for name, chosen in indices.items()}
    if raw.load_test is not None:
        images["test"] = raw.load_test().images
    names: list[str] = [name for name in ("train", "select", "confirm", "test") if name in images]
    part_of = np.repeat(np.arange(len(names)), [len(images[name]) for name in names])
    seen = joined([thumbnails(images[name]) for name in names])
    found = twins_by_part(seen, names, part_of)
    leaks = np.any([found.any[name] for name in names if name != "train"], axis=0) & (part_of == names.index("train"))
    if config.duplicates == "keep":
        return TrainTwins(leaks=_in_train(leaks, part_of, names), counts=counted(found, names, part_of))
    kept = ~leaks
    left = twins_by_part(seen.at(kept), names, part_of[kept])
    return TrainTwins(
        leaks=_in_train(leaks, part_of, names), counts=counted(left, names, part_of[kept], dropped=int(leaks.sum()))
    )


def _in_train(chosen: NDArray[np.bool_], part_of: NDArray[np.int64], names: list[str]) -> NDArray[np.int64]:
    return np.flatnonzero(chosen[part_of == names.index("train")])


def open_test(config: DatasetConfig, *, reason: str, log: Store, data_root: DataRoot = None) -> LabelledImages:
    """The test split, preprocessed as fitted on the train split. Only this function returns test images; each call is logged.

    Args:
        config: the data set and its split.
        reason: why the test split is opened; stored in the log.
        log: store in which `test_openings/` gets one JSON file per opening, with the names of those that lie there (`after`):
            their order is known where the clocks of machines differ.
        data_root: folder or URI of the data files.

    Raises:
        ValueError: the reason is blank.
        DataError: files are missing or damaged.
    """
    if not reason.strip():
        raise ValueError("the reason for opening the test split is blank; give one: it is stored in the log of openings")
    opened_at = datetime.now(UTC)
    entry = {
        "opened_at": opened_at.isoformat(),
        "reason": reason,
        "dataset": config.model_dump(),
        "user": _user(),
        "host": socket.gethostname(),
        "command": sys.argv,
        "after": log.files("test_openings"),
    }
    name = f"{opened_at:%Y%m%dT%H%M%S%f}-{config.name}.json"
    log.at("test_openings").write_json(name, entry)
    raw = load_raw(config, data_root)
    if raw.load_test is not None:
        part = raw.load_test()
    else:
        chosen = divide(raw, config)["test"]
        part = RawPart(images=raw.search.images[chosen], labels=raw.search.labels[chosen])
    preprocess = load_splits(config, data_root).preprocess
    return _preprocessed(raw, part, preprocess)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in a container; which one depends on the Python
        return f"uid {os.getuid()}"


def _preprocessed(raw: RawDataset, part: RawPart, preprocess: Preprocess) -> LabelledImages:
    # A map of cached images is read-only, and a tensor must not be.
    images = part.images if part.images.flags.writeable else np.array(part.images)
    stored, labels = torch.from_numpy(images), torch.from_numpy(part.labels)
    if isinstance(preprocess, Standardise) and raw.search.images.size * 4 > LARGEST_FLOATS_BYTES:
        return LabelledImages(images=byte_images(stored, raw.white, preprocess), labels=labels)
    return LabelledImages(images=preprocess.apply(stored.to(torch.float32) / raw.white), labels=labels)


def _hash(parts: Mapping[str, RawPart]) -> str:
    digest = hashlib.sha256()
    for name, part in parts.items():
        digest.update(json.dumps([name, len(part.labels)]).encode())
        digest.update(np.ascontiguousarray(part.images).data)
        digest.update(np.ascontiguousarray(part.labels).data)
    return digest.hexdigest()


def splits_of(config: TrialConfig[Any], data_root: DataRoot) -> Splits:
    """The splits of the data set in a trial's config.

    Raises:
        DataError: the data differs from the data for which the config was made.
    """
    splits = load_splits(config.dataset, data_root)
    if splits.sha256 != config.data_sha256:
        raise DataError(
            f"data set {config.dataset.name} has hash {splits.sha256[:12]}, but the trial was made for "
            f"{config.data_sha256[:12]}: restore the original data, or start a new study"
        )
    return splits
