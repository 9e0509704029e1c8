"""The unit of work: one network, trained on one source and read once. Its record is a file, named by what it depends on.

So a killed run goes on with what is missing, protocols and options share what they have in common, and another version of the
code begins anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from raydistill.core.cost import Stopwatch
from raydistill.core.evaluate import train_fresh
from raydistill.core.metrics import accuracy_of, counted_classes
from raydistill.core.recipes import RECIPES, Recipe
from raydistill.core.train import is_correct
from raydistill.data.splits import LabelledImages
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.sections import Config
from raydistill.storage.record import versions
from raydistill.storage.versioned import read_stored, write_stored
from raydistill.uses.classes import narrowed, only
from raydistill.uses.sources import Source, learned_from
from raydistill.uses.subject import Place


class Unit(Config):
    """Everything that a network's accuracy depends on."""

    source: Source
    network: NetworkConfig
    recipe: str
    """Name of the recipe."""
    steps: int
    """Optimiser steps."""
    seed: int
    classes: tuple[int, ...] | None = Field(default=None, strict=False)
    """The classes that it learns and is read on; null for all."""
    split: str
    metric: Literal["accuracy", "balanced_accuracy"]
    data_sha256: str
    device: Literal["cpu", "cuda"]
    threads: int
    code_sha256: str

    @property
    def file(self) -> str:
        """Path of its record, in the folder of the records."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return f"units/{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"

    def recipe_in_steps(self, learned_lr: float | None) -> Recipe:
        """The recipe with this unit's steps and, if the source has one, its learned learning rate."""
        # An epoch recipe's other fields do not depend on the number of images.
        named = replace(RECIPES[self.recipe].for_set(1), steps=self.steps)
        return named if learned_lr is None else replace(named, lr=learned_lr)


class UnitRecord(Config):
    """A unit that is done. Written to `units/<hash>.json`."""

    record_version: Literal[1] = 1
    unit: Unit
    accuracy_fraction: float
    seconds: float
    """Of training."""
    device: str
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class UnitJob:
    """Trains the network of a unit and writes its record; can be pickled for another process."""

    networks: ClassVar[int] = 1
    unit_json: str
    place: Place
    test: LabelledImages | None
    """The test images; None reads on the select images."""

    @property
    def unit(self) -> Unit:
        """What it does."""
        return Unit.model_validate_json(self.unit_json)

    @property
    def name(self) -> str:
        """Name of the job on the dashboard."""
        unit = self.unit
        return f"{unit.network.name} on {unit.source.name}"

    @property
    def shared(self) -> LabelledImages | None:
        """The test images, which all jobs of a stage share."""
        return self.test

    def sharing(self, part: LabelledImages | None) -> UnitJob:
        """The job with these test images."""
        return replace(self, test=part)

    def __call__(self) -> None:
        """Train, read and write; nothing if the record is there."""
        unit, folder = self.unit, self.place.folder
        if folder.exists(unit.file):
            return
        write_stored(folder, unit.file, train_unit(unit, self.place, self.test))


def train_unit(unit: Unit, place: Place, test: LabelledImages | None) -> UnitRecord:
    """Train the network of a unit and read it."""
    own, _, splits, device = place.open()
    part = test or splits.select
    images, labels, classes, learned_lr = learned_from(unit.source, place, own, splits)
    if unit.classes is not None:
        images, labels = only(images, labels, classes, unit.classes)
        read_images, read_labels = only(part.images, part.labels, part.labels, unit.classes)
        part = LabelledImages(images=read_images, labels=read_labels)
        splits = narrowed(splits, unit.classes)
    watch = Stopwatch()
    with watch.measure("train"):
        network = train_fresh(images, labels, splits, unit.network, unit.recipe_in_steps(learned_lr), unit.seed, device)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    correct = is_correct(network, part.images.to(device), part.labels.to(device)).numpy()
    counted = counted_classes(unit.metric, part.labels.numpy())
    return UnitRecord(
        unit=unit,
        accuracy_fraction=float(accuracy_of(np.array([correct]), counted)[0]),
        seconds=watch.seconds["train"],
        device=device.type if device.type == "cpu" else torch.cuda.get_device_name(),
        versions=versions(),
    )


def read_unit(unit: Unit, place: Place) -> UnitRecord | None:
    """The record of a unit; None if it is not done.

    Raises:
        StoreError: the record is damaged.
    """
    remedy = "delete it and run the same command again, which trains that network again"
    return read_stored(place.folder, unit.file, UnitRecord, remedy)
