"""What a person writes, as frozen values: the sections of a search space.

A leaf: it imports nothing else of raydistill. One name per quantity: a field here is the key in YAML, the key in
``record.json`` and the column in a table. The network's section is in `network_config`; what is made of the sections is in
`trial_config` and `search_space`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Config(BaseModel):
    """A frozen, strict value: unknown keys are errors, text is never read as a number, numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False)


class DatasetConfig(Config):
    name: str
    """Registered data set, a key of `raydistill.data.splits.DATASETS`, or image_folder (see `ImageFolderConfig`)."""
    split_seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the stratified split into train, select, confirm (and test, where none is published)."""
    preprocess: Literal["standardise", "zca"] = "standardise"
    """Fitted on the train part: one mean and deviation per channel, or ZCA whitening (up to 64 x 64 pixels)."""


class ImageFolderConfig(DatasetConfig):
    """A folder of images in class folders: `path/{train,test}/<class>/*`, or `path/<class>/*` without a test part of its own."""

    name: Literal["image_folder"]
    path: str = Field(min_length=1)
    """The folder; a relative one is below the data root, so that a space moves from machine to machine. Shapes no trial."""
    size: int = Field(ge=1)
    """Height and width in pixels; larger images are scaled by their shorter side and cut in the middle, smaller ones refused."""
    select_fraction: float = Field(default=0.1, gt=0, le=0.3)
    """Of the images that are searched on (all, or those in train/): share of the select part."""
    confirm_fraction: float = Field(default=0.1, gt=0, le=0.3)
    """The same for the confirm part; it decides which margins can be decided."""
    test_fraction: float | None = Field(default=None, gt=0, le=0.3)
    """Share of the test part of a folder without test/; null is 0.2 there. Where test/ exists it must be null."""
    mirror_keeps_class: bool = True
    """Whether a mirrored image is still of its class; false for letters, digits, road signs."""

    @field_validator("path")
    @classmethod
    def _stays_below_the_data_root(cls, path: str) -> str:
        if ".." in PurePath(path).parts:
            raise ValueError(f"given {path!r}; a folder below the data root, or a full path, is wanted: write it without '..'")
        return path


def dataset_model(name: Any) -> type[DatasetConfig]:
    """The config class of a data set's section, by its name."""
    return ImageFolderConfig if name == "image_folder" else DatasetConfig


def dataset_config(section: Mapping[str, Any]) -> DatasetConfig:
    """A data set's section as its config."""
    return dataset_model(section.get("name")).model_validate(section)


class EvaluationConfig(Config):
    recipe: str = "default"
    """Named training recipe, a key of `raydistill.core.recipes.RECIPES`; the same for synthetic and full data."""
    networks: int = Field(default=3, ge=1)
    """Fresh networks behind one reading of one synthetic set."""
    baseline_networks: int = Field(default=10, ge=2)
    """Networks trained on the full train part, at the recipe's steps and again at twice as many."""
    confirm_networks: int = Field(default=10, ge=2)
    """Fresh networks trained on a named winner, read on the confirm images."""


class GoalConfig(Config):
    margin_fraction: float = Field(gt=0, lt=1)
    """Largest gap (full-data accuracy minus synthetic accuracy) that still counts as lossless."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """One-sided confidence of the winner's confirmation."""
    lossy_trials: int = Field(default=1, ge=1)
    """Finished trials an IPC needs before it may be called lossy; the count is printed beside the claim."""


class BudgetConfig(Config):
    trials: int = Field(ge=1)
    """Trials in all; stopped, diverged and crashed ones count."""
    hours: float | None = Field(default=None, gt=0)
    """Wall-clock hours of running trials, over all searches of the study, after which no trial is asked; those that run go on to
    their end. Baseline and confirmation are not counted. null is no limit."""
    gpu_hours: float | None = Field(default=None, gt=0)
    """GPU hours, over ended trials: seconds of distilling and evaluating times `gpus_per_trial`. Meant as `hours` is; failed
    trials count with what they took."""


class ResourcesConfig(Config):
    cpus_per_trial: int = Field(default=1, ge=1)
    """CPU cores, and torch threads, of one trial; shapes floating-point sums, so it is part of a trial."""
    gpus_per_trial: float = Field(default=0, ge=0)
    """GPUs of one trial; a fraction lets several share one, whole numbers above 1."""
    max_concurrent_trials: int | None = Field(default=None, ge=1)
    """Trials at once; null means as many as the resources hold."""

    @model_validator(mode="after")
    def _whole_gpus_above_one(self) -> ResourcesConfig:
        if self.gpus_per_trial > 1 and self.gpus_per_trial != int(self.gpus_per_trial):
            raise ValueError(f"gpus_per_trial is {self.gpus_per_trial}; above 1 only whole numbers: write a whole number")
        return self


class ImportedConfig(Config):
    """In place of a method, for a set that was published by others."""

    name: Literal["imported"]
    source: str
    """Name of the file it came from."""
    source_sha256: str
    space: str
    """What its images were in: pixels, standardised:<data set of the constants>, or zca."""


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**62) that depends on every part and on nothing else (no clock, no global state)."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2


def set_at(document: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path, making the sections on the way."""
    *sections, key = path.split(".")
    for section in sections:
        document = document.setdefault(section, {})
    document[key] = value
