"""The full-data baseline of a study: what 'as well as the full data' means, built once and kept with the study.

Each network is a job of its own, so that jobs run side by side and a killed search trains none twice. A network is trained at the
recipe's steps and again at twice as many: the gap is taken to the better of the two, and a recipe that gains from doubling is not
admissible, because an undertrained baseline makes every set lossless.
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
"""What to do about a damaged or missing file of a network."""


class BaselineReading(Config):
    """One network trained on the full train part."""

    seed: int
    steps: int
    select_correct: str
    """Which select images it gets right, packed bits in hex."""
    confirm_correct: str
    seconds: float
    data_sha256: str | None = None
    """Of the data that it was trained and read on; null in files from before this was written, and so below."""
    code_sha256: str | None = None


BOTH_READINGS = TypeAdapter(tuple[BaselineReading, BaselineReading])
"""What a network's file holds: at the recipe's steps, and at twice as many."""


class Baseline(Config):
    """The better of the two step counts, judged by mean accuracy on the select images. Written to `baseline/baseline.json`."""

    record_version: Literal[1] = 1
    recipe: str
    """The recipe in words."""
    steps: int
    """Optimiser steps of the networks below."""
    doubled_moves_by: float
    """Mean accuracy at doubled steps minus that at the recipe's steps, as a fraction."""
    is_admissible: bool
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """On the select images, one per network."""
    readings: tuple[BaselineReading, ...] = Field(strict=False)
    select_images: int
    confirm_images: int
    train_images: int
    train_bytes: int
    """Train part as published: a byte per pixel and channel, one per label."""
    train_macs: int
    """Multiply-accumulates (forward) to train one network on the full data once by the recipe."""
    epoch_macs: int
    """Multiply-accumulates (forward) of one pass over the train part."""
    code_sha256: str

    @property
    def accuracy_fraction(self) -> float:
        """Mean over the networks, on the select images."""
        return float(np.mean(self.accuracy_fractions))

    @property
    def select_correct(self) -> NDArray[np.bool_]:
        """(F, n) which select images each network gets right."""
        return unpack_bits([r.select_correct for r in self.readings], self.select_images)

    @property
    def confirm_correct(self) -> NDArray[np.bool_]:
        """(F, n) the same for the confirm images."""
        return unpack_bits([r.confirm_correct for r in self.readings], self.confirm_images)


def train_baseline_network(config: TrialConfig[Any], index: int, study: Store, data_root: DataRoot = None) -> None:
    """Train one baseline network at both step counts and write `baseline/network-<index>.json`; nothing if that is there."""
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
    """Where a baseline network's readings go."""
    return f"baseline/network-{index}.json"


def read_network(study: Store, index: int) -> tuple[BaselineReading, BaselineReading]:
    """A baseline network at both step counts.

    Raises:
        FileNotFoundError: it is not trained.
        StoreError: its file is damaged.
    """
    name = network_file(index)
    data = study.read(name)
    try:
        return BOTH_READINGS.validate_json(data)
    except ValidationError as error:
        raise StoreError(f"{study.path(name)} is damaged ({error.errors()[0]['msg']}); restore it, or {BUILD_AGAIN}") from error


def read_networks(study: Store) -> list[BaselineReading]:
    """All readings of the baseline networks that a study has, of an unfinished baseline too.

    Raises:
        StoreError: a file is damaged.
    """
    names = [name for name in study.files("baseline") if name.startswith("network-")]
    indexes = [int(name.removeprefix("network-").removesuffix(".json")) for name in names]
    return [reading for index in indexes for reading in read_network(study, index)]


def finish_baseline(config: TrialConfig[Any], study: Store, data_root: DataRoot = None) -> Baseline:
    """Put the networks together and write `baseline/baseline.json`."""
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
    return read_stored(study, "baseline/baseline.json", Baseline, "delete it to have it built again")
