"""The full-data baseline of a study as its files hold it; `trial/baseline.py` trains the networks and writes them."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from raydistill.errors import StoreError
from raydistill.spaces.data_facts import effective_images
from raydistill.spaces.sections import Config, GrownConfig
from raydistill.storage.record import unpack_bits, unpack_labels
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_needed, read_stored

BASELINE_FILE = "baseline/baseline.json"
BUILD_AGAIN = "delete it and baseline/baseline.json, and run the search again, which trains the network again"
"""Remedy for a damaged file of a network, as part of an error message."""


class BaselineReading(Config):
    """One network trained on the full train split."""

    seed: int
    steps: int
    select_correct: str
    """Which select images the network classifies correctly, as packed bits in hex (`pack_bits`)."""
    confirm_correct: str
    """The same for the confirm images."""
    seconds: float
    data_sha256: str | None = None
    """Hash of the data; null in files of older versions, as is `code_sha256`."""
    code_sha256: str | None = None


class NetworkReadings(Config):
    """A network's file, `baseline/network-<index>.json`. Older versions wrote the list alone, without a seal."""

    readings: tuple[BaselineReading, BaselineReading] = Field(strict=False)
    """With the recipe's steps, and with twice as many."""


READINGS = TypeAdapter(tuple[BaselineReading, BaselineReading])


class Baseline(GrownConfig):
    """The networks with the better of the two step counts, by mean accuracy on the select images: `baseline/baseline.json`."""

    LATER: ClassVar[tuple[str, ...]] = ("select_labels", "confirm_labels", "chance_fraction")
    record_version: Literal[1] = 1
    recipe: str
    """The recipe as text."""
    steps: int
    """Optimiser steps of the networks in `readings`."""
    doubled_moves_by: float
    """Mean accuracy with doubled steps minus that with the recipe's steps, as a fraction."""
    is_admissible: bool
    """Whether doubling changes the accuracy by less than a quarter of the margin, and it is above chance by more than the
    margin."""
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """Accuracy on the select images, one per network; balanced accuracy where that is the goal's metric."""
    readings: tuple[BaselineReading, ...] = Field(strict=False)
    select_images: int
    confirm_images: int
    train_images: int
    train_bytes: int
    """Bytes of the train split as published: one per pixel and channel, one per label."""
    train_macs: int
    """Multiply-accumulates (forward) of training one network on the full data with the recipe."""
    epoch_macs: int
    """Multiply-accumulates (forward) of one pass over the train split."""
    code_sha256: str
    select_labels: str | None = None
    """Class of each select image as two bytes in hex, where the goal is of balanced accuracy; left out otherwise."""
    confirm_labels: str | None = None
    """The same for the confirm images."""
    chance_fraction: float | None = None
    """Accuracy of one answer for every select image (`core.metrics.chance_of`); left out in files of older versions."""

    @property
    def select_classes(self) -> NDArray[np.int64] | None:
        """(n,) class of each select image, for balanced accuracy; None for accuracy."""
        return unpack_labels(self.select_labels)

    @property
    def confirm_classes(self) -> NDArray[np.int64] | None:
        """(n,) the same for the confirm images."""
        return unpack_labels(self.confirm_labels)

    @property
    def effective_images(self) -> tuple[int, int]:
        """Select and confirm images; of balanced accuracy, as many in equal classes as vary as much (`effective_images`)."""
        select, confirm = self.class_counts
        if not select or not confirm:
            return self.select_images, self.confirm_images
        return effective_images(select), effective_images(confirm)

    @property
    def class_counts(self) -> tuple[list[int], list[int]]:
        """Select and confirm images of each class, for balanced accuracy; empty for accuracy."""
        select, confirm = self.select_classes, self.confirm_classes
        if select is None or confirm is None:
            return [], []
        return np.bincount(select).tolist(), np.bincount(confirm).tolist()

    @property
    def accuracy_fraction(self) -> float:
        """Mean over the networks, on the select images."""
        return float(np.mean(self.accuracy_fractions))

    @property
    def select_correct(self) -> NDArray[np.bool_]:
        """(F, n) which select images each network classifies correctly."""
        return unpack_bits([r.select_correct for r in self.readings], self.select_images)

    @property
    def confirm_correct(self) -> NDArray[np.bool_]:
        """(F, n) the same for the confirm images."""
        return unpack_bits([r.confirm_correct for r in self.readings], self.confirm_images)


def network_file(index: int) -> str:
    """Path of a baseline network's file, in the study."""
    return f"baseline/network-{index}.json"


def network_index(name: str) -> int | None:
    """Number of the network whose file in `baseline/` is called so; None for another file, as an editor leaves them."""
    found = re.fullmatch(r"network-(0|[1-9][0-9]*)\.json", name)
    return None if found is None else int(found[1])


def read_network(study: Store, index: int) -> tuple[BaselineReading, BaselineReading]:
    """The readings of a baseline network with both step counts.

    Raises:
        FileNotFoundError: the network is not trained.
        StoreError: its file is damaged.
    """
    name = network_file(index)
    data = study.read(name)
    if not data.lstrip().startswith(b"["):
        return read_needed(study, name, NetworkReadings, f"restore it, or {BUILD_AGAIN}").readings
    try:
        return READINGS.validate_json(data)
    except ValidationError as error:
        raise StoreError(f"{study.path(name)} is damaged ({error.errors()[0]['msg']}); restore it, or {BUILD_AGAIN}") from error


def read_networks(study: Store) -> list[BaselineReading]:
    """All readings of the baseline networks that are trained so far.

    Raises:
        StoreError: a file is damaged.
    """
    indexes = [index for name in study.files("baseline") if (index := network_index(name)) is not None]
    return [reading for index in indexes for reading in read_network(study, index)]


def read_baseline(study: Store) -> Baseline | None:
    """The study's baseline, or None if it is not built.

    Raises:
        StoreError: the file is damaged.
    """
    remedy = "run the search again, which builds it again from the files of its networks"
    baseline = read_stored(study, BASELINE_FILE, Baseline, remedy)
    if baseline is not None and (contradiction := _contradiction(baseline)):
        raise StoreError(f"{study.path(BASELINE_FILE)} contradicts itself ({contradiction}); {remedy}")
    return baseline


def _contradiction(baseline: Baseline) -> str | None:
    """What in a baseline does not agree with the images that its networks classify correctly."""
    if not baseline.readings:
        return None
    try:
        correct, classes = baseline.select_correct, baseline.select_classes
        parts = [slice(None)] if classes is None else [classes == one for one in np.unique(classes)]
        again = np.mean([correct[:, part].mean(axis=1) for part in parts], axis=0).tolist()
        unpack_bits([reading.confirm_correct for reading in baseline.readings], baseline.confirm_images)
    except ValueError as error:
        return str(error)
    said = list(baseline.accuracy_fractions)
    if len(said) != len(again) or not np.allclose(said, again, rtol=0, atol=1e-12):
        return f"accuracy_fractions are {said}, the images that its networks classify correctly give {again}"
    return None
