"""Data sets, their split into train, select and confirm, and the one door to the test split.

`DATASETS` maps a name to a function that loads the published parts; everything else is shared. A new data set is one function
and one line.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import json
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from raydistill.config import DatasetConfig
from raydistill.core.mnist import load_mnist
from raydistill.core.preprocess import Standardise, fit_standardise
from raydistill.core.raw import RawDataset, RawPart
from raydistill.space_file import DataFacts
from raydistill.store import Store


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledImages:
    """Standardised images with their classes."""

    images: Tensor
    """(N, C, H, W) float32."""
    labels: Tensor
    """(N,) int64."""

    def to(self, device: torch.device) -> LabelledImages:
        """The same images on a device."""
        return LabelledImages(images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Splits:
    """What a search may see of a data set; the test split is not in it."""

    train: LabelledImages
    select: LabelledImages
    """Read by trials, to choose."""
    confirm: LabelledImages
    """Read for a named winner only."""
    preprocess: Standardise
    class_names: tuple[str, ...]
    mirror_keeps_class: bool
    """Whether a mirrored image is still of its class; false for digits."""
    train_bytes: int
    """Bytes of the train part as published: one per pixel and channel, one per label."""
    sha256: str
    """Hash of the raw train, select and confirm images, labels and their split."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def smallest_class(self) -> int:
        """Train images of the smallest class."""
        return int(torch.bincount(self.train.labels, minlength=len(self.class_names)).min())


def load_raw_digits(data_root: Path | None) -> RawDataset:
    """scikit-learn's handwritten digits: 1,797 real 8x8 images that lie inside its wheel.

    Published without splits: the seeded, stratified split is 797 train, 250 select, 300 confirm, 450 test.
    """
    del data_root  # nothing to find: the images are part of scikit-learn
    pixels, labels = load_digits(return_X_y=True)
    part = RawPart(images=pixels.reshape(-1, 1, 8, 8).astype(np.uint8), labels=labels.astype(np.int64))
    return RawDataset(
        search=part,
        load_test=None,
        sizes={"select": 250, "confirm": 300, "test": 450},
        white=16,
        class_names=tuple("0123456789"),
        mirror_keeps_class=False,
    )


DATASETS: dict[str, Callable[[Path | None], RawDataset]] = {
    "digits": load_raw_digits,
    "mnist": load_mnist,
}


@functools.lru_cache(maxsize=2)
def load_splits(config: DatasetConfig, data_root: Path | None = None) -> Splits:
    """The train, select and confirm parts of a data set, standardised by the train part; kept per process.

    Raises:
        DataError: files are missing or damaged.
    """
    raw = DATASETS[config.name](data_root)
    indices = _split(raw, config.split_seed)
    train_pixels = _pixels(raw.search.images[indices["train"]], raw.white)
    preprocess = fit_standardise(train_pixels)
    parts = {
        name: LabelledImages(
            images=preprocess.apply(_pixels(raw.search.images[indices[name]], raw.white)),
            labels=torch.from_numpy(raw.search.labels[indices[name]]),
        )
        for name in ("train", "select", "confirm")
    }
    return Splits(
        **parts,
        preprocess=preprocess,
        class_names=raw.class_names,
        mirror_keeps_class=raw.mirror_keeps_class,
        train_bytes=raw.search.images[indices["train"]].size + len(indices["train"]),
        sha256=_hash(raw, indices),
    )


def data_facts(config: DatasetConfig, data_root: Path | None = None) -> DataFacts:
    """What a search space is checked against.

    Raises:
        DataError: files are missing or damaged.
    """
    splits = load_splits(config, data_root)
    return DataFacts(smallest_class=splits.smallest_class, confirm_images=len(splits.confirm.labels), shape=splits.shape)


def count_test_images(config: DatasetConfig, data_root: Path | None = None) -> int:
    """How many images the test split has, 0 where there is none; their number alone leaves this function, so nothing is opened.

    Raises:
        DataError: files are missing or damaged.
    """
    raw = DATASETS[config.name](data_root)
    return len(raw.load_test().labels) if raw.load_test is not None else raw.sizes.get("test", 0)


def open_test(config: DatasetConfig, *, reason: str, log: Store, data_root: Path | None = None) -> LabelledImages:
    """The test split, standardised by the train part. The only door to it; the opening is logged before it opens.

    Args:
        config: the data set and its split.
        reason: why it is opened; kept in the log.
        log: where `test_openings/` gets one JSON file per opening.
        data_root: folder of the data files.

    Raises:
        ValueError: no reason is given.
        DataError: files are missing or damaged.
    """
    if not reason.strip():
        raise ValueError("the test split is opened without a reason; give one: it is kept in the log of openings")
    opened_at = datetime.now(UTC)
    entry = {
        "opened_at": opened_at.isoformat(),
        "reason": reason,
        "dataset": config.model_dump(),
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "command": sys.argv,
    }
    name = f"{opened_at:%Y%m%dT%H%M%S%f}-{config.name}.json"
    log.at("test_openings").write_json(name, entry)
    raw = DATASETS[config.name](data_root)
    if raw.load_test is not None:
        part = raw.load_test()
    else:
        chosen = _split(raw, config.split_seed)["test"]
        part = RawPart(images=raw.search.images[chosen], labels=raw.search.labels[chosen])
    preprocess = load_splits(config, data_root).preprocess
    return LabelledImages(images=preprocess.apply(_pixels(part.images, raw.white)), labels=torch.from_numpy(part.labels))


def _split(raw: RawDataset, seed: int) -> dict[str, NDArray[np.int64]]:
    """Seeded, stratified indices per part name; what no part takes is train."""
    rest = np.arange(len(raw.search.labels))
    indices = {}
    for name, size in reversed(list(raw.sizes.items())):
        rest, indices[name] = train_test_split(rest, test_size=size, stratify=raw.search.labels[rest], random_state=seed)
    indices["train"] = rest
    return {name: np.sort(chosen) for name, chosen in indices.items()}


def _pixels(images: NDArray[np.uint8], white: int) -> Tensor:
    return torch.from_numpy(images).to(torch.float32) / white


def _hash(raw: RawDataset, indices: dict[str, NDArray[np.int64]]) -> str:
    digest = hashlib.sha256()
    for name in ("train", "select", "confirm"):
        digest.update(json.dumps([name, len(indices[name])]).encode())
        digest.update(raw.search.images[indices[name]].tobytes())
        digest.update(raw.search.labels[indices[name]].tobytes())
    return digest.hexdigest()
