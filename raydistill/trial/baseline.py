"""The full-data baseline of a study: the accuracy of networks trained on the full data, from which the gap is measured.

It is built once and stored with the study. Each network is a job of its own, so networks train in parallel, and a killed search
does not repeat finished ones. A network is trained with the recipe's steps and again with twice as many: the better step count
becomes the baseline. A recipe that changes much by doubling is not admissible, because an undertrained baseline makes every set
look lossless.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from raydistill.core.cost import Stopwatch, forward_macs
from raydistill.core.evaluate import network_seeds, train_and_read
from raydistill.core.lossless import is_admissible
from raydistill.core.process import prepare_process
from raydistill.core.recipes import recipe_of
from raydistill.data.splits import splits_of
from raydistill.errors import StoreError
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import code_sha256, pack_bits, unpack_bits
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored

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


BOTH_READINGS = TypeAdapter(tuple[BaselineReading, BaselineReading])
"""Content of a network's file: its reading with the recipe's steps, and with twice as many."""


class Baseline(Config):
    """The networks with the better of the two step counts, by mean accuracy on the select images: `baseline/baseline.json`."""

    record_version: Literal[1] = 1
    recipe: str
    """The recipe as text."""
    steps: int
    """Optimiser steps of the networks in `readings`."""
    doubled_moves_by: float
    """Mean accuracy with doubled steps minus that with the recipe's steps, as a fraction."""
    is_admissible: bool
    """Whether doubling changes the accuracy by less than a quarter of the margin."""
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """Accuracy on the select images, one per network."""
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


def train_baseline_network(config: TrialConfig[Any], index: int, study: Store, data_root: DataRoot = None) -> None:
    """Train one baseline network with both step counts and write `baseline/network-<index>.json`; nothing if it exists."""
    name = network_file(index)
    if study.exists(name):
        return
    splits = splits_of(config, data_root)
    device = prepare_process(config)
    seed = network_seeds("baseline", splits.sha256, index + 1)[index]
    recipe = recipe_of(config, splits)
    readings = []
    for steps_recipe in (recipe, recipe.doubled()):
        watch = Stopwatch()
        with watch.measure("train"):
            select, confirm = train_and_read(
                splits.train.images,
                splits.train.labels,
                splits,
                [splits.select, splits.confirm],
                config.network,
                steps_recipe,
                seed,
                device,
            )
        reading = BaselineReading(
            seed=seed,
            steps=steps_recipe.steps,
            select_correct=pack_bits(select[None])[0],
            confirm_correct=pack_bits(confirm[None])[0],
            seconds=watch.seconds["train"],
            data_sha256=splits.sha256,
            code_sha256=code_sha256(),
        )
        readings.append(reading.model_dump())
    study.write_json(name, readings)


def network_file(index: int) -> str:
    """Path of a baseline network's file, in the study."""
    return f"baseline/network-{index}.json"


def read_network(study: Store, index: int) -> tuple[BaselineReading, BaselineReading]:
    """The readings of a baseline network with both step counts.

    Raises:
        FileNotFoundError: the network is not trained.
        StoreError: its file is damaged.
    """
    name = network_file(index)
    data = study.read(name)
    try:
        return BOTH_READINGS.validate_json(data)
    except ValidationError as error:
        raise StoreError(f"{study.path(name)} is damaged ({error.errors()[0]['msg']}); restore it, or {BUILD_AGAIN}") from error


def read_networks(study: Store) -> list[BaselineReading]:
    """All readings of the baseline networks that are trained so far.

    Raises:
        StoreError: a file is damaged.
    """
    names = [name for name in study.files("baseline") if name.startswith("network-")]
    indexes = [int(name.removeprefix("network-").removesuffix(".json")) for name in names]
    return [reading for index in indexes for reading in read_network(study, index)]


def finish_baseline(config: TrialConfig[Any], study: Store, data_root: DataRoot = None) -> Baseline:
    """Combine the networks and write `baseline/baseline.json`."""
    splits = splits_of(config, data_root)
    recipe = recipe_of(config, splits)
    by_steps: dict[int, list[BaselineReading]] = {recipe.steps: [], 2 * recipe.steps: []}
    for index in range(config.evaluation.baseline_networks):
        for reading in read_network(study, index):
            by_steps[reading.steps].append(reading)
    accuracies = {
        steps: unpack_bits([r.select_correct for r in readings], len(splits.select.labels)).mean(axis=1)
        for steps, readings in by_steps.items()
    }
    moves_by = float(accuracies[2 * recipe.steps].mean() - accuracies[recipe.steps].mean())
    steps = 2 * recipe.steps if moves_by > 0 else recipe.steps
    images = len(splits.train.labels)
    macs = forward_macs(config.network, splits.shape, len(splits.class_names))
    baseline = Baseline(
        recipe=str(recipe),
        steps=steps,
        doubled_moves_by=moves_by,
        is_admissible=is_admissible(abs(moves_by), config.goal.margin_fraction),
        accuracy_fractions=tuple(accuracies[steps].tolist()),
        readings=tuple(by_steps[steps]),
        select_images=len(splits.select.labels),
        confirm_images=len(splits.confirm.labels),
        train_images=images,
        train_bytes=splits.train_bytes,
        train_macs=macs * recipe.images_seen(images),
        epoch_macs=macs * images,
        code_sha256=code_sha256(),
    )
    study.write("baseline/baseline.json", baseline.model_dump_json(indent=2) + "\n")
    return baseline


def read_baseline(study: Store) -> Baseline | None:
    """The study's baseline, or None if it is not built.

    Raises:
        StoreError: the file is damaged.
    """
    return read_stored(study, "baseline/baseline.json", Baseline, "delete it, and the search builds it again")
