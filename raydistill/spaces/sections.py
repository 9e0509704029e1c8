"""The sections of a search space, as frozen values.

Every quantity has one name: a field here is the key in YAML, the key in ``record.json`` and the column in a table. The
network's section is in `network`; `trial` and `space` hold the configs that consist of these sections. Imports nothing else of
raydistill.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from raydistill.spaces.paths import is_writable, shown

Level = Annotated[int, Field(ge=0, le=255)]
"""Brightness of one channel of 8 bits."""


class Config(BaseModel):
    """A frozen, strict value: unknown keys are errors, text is not converted to numbers, numbers must be finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False)


class GrownConfig(Config):
    """A config with fields of later versions, which its JSON leaves out at their defaults: so older trials keep their ids."""

    LATER: ClassVar[tuple[str, ...]] = ()
    """Those fields."""

    @model_serializer(mode="wrap")
    def _without_defaults_of_later_versions(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        for name, default in defaults_left_out(type(self)).items():
            if getattr(self, name) == default:
                fields.pop(name, None)
        return fields


def defaults_left_out(model: type[Config]) -> dict[str, Any]:
    """The fields that a config's JSON leaves out at their defaults, with these."""
    later = model.LATER if issubclass(model, GrownConfig) else ()
    return {name: model.model_fields[name].default for name in later}


def with_left_out(model: type[Config], document: Mapping[str, Any]) -> dict[str, Any]:
    """A config's JSON with the fields that it leaves out, as JSON would have them."""
    left_out = {name: list(value) if isinstance(value, tuple) else value for name, value in defaults_left_out(model).items()}
    return {**left_out, **document}


class DatasetConfig(Config):
    name: str
    """Name of the data set: a key of `raydistill.data.datasets.DATASETS`, or image_folder (see `ImageFolderConfig`)."""
    split_seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the stratified split into train, select and confirm (and test, if the data set publishes no test split)."""
    preprocess: Literal["standardise", "zca"] = "standardise"
    """Fitted on the train split: one mean and standard deviation per channel, or ZCA whitening (up to 64 x 64 pixels)."""


class ImageFolderConfig(GrownConfig, DatasetConfig):
    """The user's own images: folders of classes, a table of paths and labels, an npz file, a Hugging Face folder, or tars."""

    LATER: ClassVar[tuple[str, ...]] = (
        *("fit", "channels", "background", "value_range", "on_bad", "duplicates"),
        *("classes", "group_pattern", "path_column", "label_column", "split_column", "group_column"),
    )
    name: Literal["image_folder"]
    path: str = Field(min_length=1)
    """The folder or file; a relative path is beside the space's file or below the data root, so that a space works on every
    machine. Not part of the trial's id."""
    size: int = Field(ge=1)
    """Height and width in pixels; larger images are scaled down as `fit` says, smaller ones are refused."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """How an image that is not square becomes so: cut to its middle square, filled up with `background` (black without one), or
    stretched."""
    channels: Literal[1, 3] | None = None
    """1 makes every image grey, 3 makes every one colour; null keeps what the images have, which must all be alike."""
    background: tuple[Level, Level, Level] | None = Field(default=None, strict=False)
    """Red, green and blue (0 to 255) behind transparent images and around padded ones; null refuses images that need it."""
    value_range: tuple[float, float] | None = Field(default=None, strict=False)
    """Values that become black and white in images of more than 8 bits; values outside are cut off. null takes 0 to 65535 for 16
    bits and 0 to 1 for floats in these bounds, and refuses others."""
    on_bad: Literal["stop", "skip"] = "stop"
    """What an image that cannot be used does: it stops everything, or is left out and listed in the study's `data.json`."""
    duplicates: Literal["keep", "drop"] = "keep"
    """drop removes from the train part every image that also lies in the select, confirm or test part."""
    select_fraction: float = Field(default=0.1, gt=0, le=0.3)
    """Fraction of the images (of those in train/, if it exists) in the select split; not used where the data has validation
    images of its own, which then are the select split."""
    confirm_fraction: float = Field(default=0.1, gt=0, le=0.3)
    """The same for the confirm split; with more confirm images a smaller margin can be decided."""
    test_fraction: float | None = Field(default=None, gt=0, le=0.3)
    """Fraction of the images in the test split of data without a test part; null means 0.2. With a test part it must be null."""
    mirror_keeps_class: bool = True
    """Whether a mirrored image still belongs to its class; false for letters, digits and road signs."""
    classes: tuple[str, ...] | None = Field(default=None, strict=False, min_length=2)
    """All classes, in the order of their numbers; null means by name, or by number where labels outside folders are numbers."""
    group_pattern: str | None = None
    """Regular expression, searched in each image's name; what its first group matches names the patient or video, whose images
    all stay in one split. For example `/(patient[0-9]+)_`."""
    path_column: str = Field(default="path", min_length=1)
    """Column of a table with the image's path, relative to the table; of a Hugging Face folder, its column of images."""
    label_column: str = Field(default="label", min_length=1)
    """Column with the class; in tars without .cls files, the key in the .json file."""
    split_column: str = Field(default="split", min_length=1)
    """Column that says train, val or test; optional."""
    group_column: str = Field(default="group", min_length=1)
    """Column that names the patient or video, whose images all stay in one split; optional."""

    @field_validator("path")
    @classmethod
    def _can_be_a_path(cls, path: str) -> str:
        if not is_writable(path):
            raise ValueError(f"given {shown(path)}; expected a path: write it without NUL, and as text")
        return path

    @field_validator("group_pattern")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groups
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"given {shown(pattern)!r}; expected a regular expression ({error}): correct it") from error
        if groups == 0:
            raise ValueError(f"given {pattern!r}; expected brackets around what names the group: write '/(patient[0-9]+)_'")
        return pattern

    @field_validator("value_range")
    @classmethod
    def _begins_below_its_end(cls, given: tuple[float, float] | None) -> tuple[float, float] | None:
        if given is not None and given[0] >= given[1]:
            raise ValueError(f"given {list(given)}; the first must be below the second: write [black, white], such as [0, 4095]")
        return given

    @field_validator("path")
    @classmethod
    def _stays_below_the_data_root(cls, path: str) -> str:
        if ".." in PurePath(path).parts:
            raise ValueError(f"given {path!r}; expected a folder below the data root, or an absolute path: write it without '..'")
        return path


def dataset_model(name: Any) -> type[DatasetConfig]:
    """The config class for the section of the data set of this name."""
    return ImageFolderConfig if name == "image_folder" else DatasetConfig


def dataset_config(section: Mapping[str, Any]) -> DatasetConfig:
    """A data set's section as its config."""
    return dataset_model(section.get("name")).model_validate(section)


class EvaluationConfig(GrownConfig):
    LATER: ClassVar[tuple[str, ...]] = ("least_networks", "networks_at_once")
    recipe: str = "default"
    """Name of the training recipe, a key of `raydistill.core.recipes.RECIPES`; the same for synthetic and full data."""
    networks: int = Field(default=3, ge=1)
    """Networks, newly initialised, that are trained on a synthetic set when its distillation ends."""
    least_networks: int | None = Field(default=None, ge=2)
    """A trial ends after this many networks, or more, as soon as its gap is clear of the margin on either side; null trains all
    `networks`, as does a number above them. The bounds allow for the number of looks; see `look_confidence`."""
    networks_at_once: int = Field(default=1, ge=1)
    """Networks that train together in one process, also the baseline's and a confirmation's: faster on a GPU, where memory grows
    with it, not on a CPU."""
    baseline_networks: int = Field(default=10, ge=2)
    """Networks trained on the full train split: each with the recipe's steps, and again with twice as many."""
    confirm_networks: int = Field(default=10, ge=2)
    """Networks with new seeds, trained on a candidate's set and evaluated on the confirm images."""

    def look_confidence(self, confidence: float) -> float:
        """One-sided confidence of each look at a trial's gap, so that all looks together hold with `confidence`.

        A trial looks after each network from `least_networks` on, and each look has an equal part of the error probability
        (Bonferroni). So a bound at the look where the trial ends errs with at most the whole of it, whatever made it end there.
        Without `least_networks` there is one look.
        """
        looks = 1 if self.least_networks is None else max(1, self.networks - self.least_networks + 1)
        return 1 - (1 - confidence) / looks


SHARES: Mapping[str, float] = {"distilled": 0.5, "control": 0.25, "lossy": 0.25}
"""Parts of the error probability that the claims of a race take."""


class GoalConfig(GrownConfig):
    LATER: ClassVar[tuple[str, ...]] = ("metric",)
    margin_fraction: float = Field(gt=0, lt=1)
    """Largest gap (full-data accuracy minus synthetic accuracy) that still counts as lossless."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """One-sided confidence of the bounds of the gap."""
    lossy_trials: int = Field(default=1, ge=1)
    """Finished trials that an IPC needs before it may be called lossy; the report prints their number."""
    metric: Literal["accuracy", "balanced_accuracy"] = "accuracy"
    """What gap and margin are of: the fraction of images that are classified correctly, or the mean over classes of that fraction
    within each class, in which a rare class counts as much as a frequent one."""

    def share_of(self, claim: Literal["distilled", "control", "lossy"]) -> float:
        """One-sided confidence of the bounds behind one of the three claims of a race, which share 1 - `confidence`.

        The smallest lossless distilled set has half of the error probability; the smallest lossless control and the statement
        that every control is lossy have a quarter each. See `docs/statistics.md`.
        """
        return 1 - SHARES[claim] * (1 - self.confidence)


class BudgetConfig(Config):
    trials: int = Field(ge=1)
    """Total number of trials; stopped, diverged and crashed trials count."""
    hours: float | None = Field(default=None, gt=0)
    """Wall-clock hours in which trials run, summed over all searches of the study, after which no new trial starts; running
    trials finish. Baseline and confirmation do not count. null means no limit."""
    gpu_hours: float | None = Field(default=None, gt=0)
    """GPU hours of ended trials (seconds of distilling and evaluating times `gpus_per_trial`), after which no new trial starts.
    Failed trials count with the time that they used. null means no limit."""
    trial_hours: float | None = Field(default=None, gt=0)
    """Hours that one trial may take, over all its processes; then it ends as `timed_out`. On Ray also the hours in which networks
    beside the trials (baseline, experts, confirmation) must end, or the search ends. null means no limit."""
    silence_minutes: float | None = Field(default=60, gt=0)
    """Minutes without a step or a reading after which a trial is ended as `timed_out`, because it hangs. On Ray only: in one
    process nobody can end it. null means no limit."""


class SearchConfig(Config):
    sampler: Literal["law", "tpe", "gp", "random"] = "law"
    """What chooses the next trial: the law of the gap, or Optuna's tree-structured Parzen estimator, Gaussian process or random
    sampler. In a race the Gaussian process learns arm and IPC alone, and draws the arms' settings at random."""


class ResourcesConfig(Config):
    cpus_per_trial: int = Field(default=1, ge=1)
    """CPU cores and torch threads of one trial; changes the order of floating-point sums, so it is part of the trial's id."""
    gpus_per_trial: float = Field(default=0, ge=0, json_schema_extra={"maximum": 1})
    """The share of a GPU that one trial has, at most 1: a trial computes on one GPU, and below 1 several trials share it."""
    max_concurrent_trials: int | None = Field(default=None, ge=1)
    """Trials that run at the same time; null means as many as the resources allow."""

    @model_validator(mode="after")
    def _at_most_one_gpu(self) -> ResourcesConfig:
        if self.gpus_per_trial > 1:
            raise ValueError(f"gpus_per_trial is {self.gpus_per_trial:g}; a trial computes on one GPU: write 1 or less")
        return self


class ImportedConfig(Config):
    """Replaces the method's config for an imported set."""

    name: Literal["imported"]
    source: str
    """Name of the imported file."""
    source_sha256: str
    entry: int | None = None
    """Which set of the file, counted from 1; null where the file holds one, and in sets imported by older versions."""
    space: str
    """Value space of the imported images: pixels, standardised:<data set whose constants were used>, or zca."""
    labels_are: Literal["probabilities", "logits"] | None = None
    """What the soft labels of the file were taken for; null for classes, and in sets imported by older versions."""


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**62) that depends on every part and on nothing else, such as a clock or global state."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2


def set_at(document: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path, creating missing sections."""
    *sections, key = path.split(".")
    for section in sections:
        document = document.setdefault(section, {})
    document[key] = value
