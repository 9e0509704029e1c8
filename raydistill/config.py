"""What a person writes, as frozen values: one trial, and the space a search draws trials from.

A leaf: it imports nothing else of raydistill. One name per quantity: a field here is the key in YAML, the key in
``record.json`` and the column in a table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Config(BaseModel):
    """A frozen, strict value: unknown keys are errors, text is never read as a number, numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False)


MethodT = TypeVar("MethodT", bound=Config)


class DatasetConfig(Config):
    name: str
    """Registered data set, a key of `raydistill.core.data.DATASETS`, or image_folder (see `ImageFolderConfig`)."""
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


Shape = tuple[int, int, int]
"""(C, H, W) of one image."""


class ConvNetConfig(Config):
    name: Literal["convnet"]
    depth: int = Field(default=3, ge=1, le=8)
    """Blocks of convolution, norm, ReLU, average pool; the D of ConvNet-D."""
    width: int = Field(default=128, ge=1)
    """Channels of every block."""
    norm: Literal["instance", "batch", "layer", "group", "none"] = "instance"
    """DataDAM's paper says instance, its code runs batch; instance has no running state, so it is the default."""

    @model_validator(mode="after")
    def _groups_are_whole(self) -> ConvNetConfig:
        if self.norm == "group" and self.width % 4:
            raise ValueError(f"width is {self.width}; norm group has 4 groups of equal width: write a multiple of 4")
        return self

    @property
    def spatial_blocks(self) -> int:
        """Maps that `features` gives; what attention matching can compare."""
        return self.depth

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield (field, message) where the images are too small for the depth."""
        if self.depth > (deepest := self.deepest(shape)):
            yield "depth", f"given {self.depth}; images of {shape[1]} x {shape[2]} pixels allow {deepest}: give at most that"

    def deepest(self, shape: Shape) -> int:
        """Largest depth that (C, H, W) images allow: each block's pooling halves a map of at least 2 x 2.

        With one channel the first convolution pads by 3 instead of 1, which adds 4 pixels.
        """
        channels, height, width = shape
        return (min(height, width) + (4 if channels == 1 else 0)).bit_length() - 1


class MLPConfig(Config):
    name: Literal["mlp"]
    width: int = Field(default=128, ge=1)
    """Units in each of the two hidden layers."""
    spatial_blocks: ClassVar[int] = 0

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield nothing: images of every size will do."""
        yield from ()


class LeNetConfig(Config):
    name: Literal["lenet"]
    spatial_blocks: ClassVar[int] = 2

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield a message where nothing would be left of an image."""
        yield from _too_small(self.name, shape, 12 if shape[0] == 1 else 16)


class AlexNetConfig(Config):
    name: Literal["alexnet"]
    spatial_blocks: ClassVar[int] = 5

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield a message where nothing would be left of an image."""
        yield from _too_small(self.name, shape, 4 if shape[0] == 1 else 8)


class VGG11Config(Config):
    name: Literal["vgg11"]
    norm: Literal["instance", "batch"] = "instance"
    """The field's "VGG11" and "VGG11BN"."""
    spatial_blocks: ClassVar[int] = 8

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield a message where nothing would be left of an image."""
        yield from _too_small(self.name, shape, 28 if shape[0] == 1 else 32)


class ResNet18Config(Config):
    name: Literal["resnet18"]
    norm: Literal["instance", "batch"] = "instance"
    """The field's "ResNet18" and "ResNet18BN"."""
    spatial_blocks: ClassVar[int] = 4

    def against(self, shape: Shape) -> Iterator[tuple[str, str]]:
        """Yield a message where the last maps have one pixel, which instance norm turns to 0 whatever it is."""
        if self.norm == "instance":
            yield from _too_small("resnet18 with instance norm", shape, 9, ", or norm: batch")


NetworkConfig = Annotated[
    ConvNetConfig | MLPConfig | LeNetConfig | AlexNetConfig | VGG11Config | ResNet18Config, Field(discriminator="name")
]
NETWORKS: dict[str, type[Config]] = {
    get_args(option.model_fields["name"].annotation)[0]: option for option in get_args(get_args(NetworkConfig)[0])
}
"""Config class by network name."""


def _too_small(who: str, shape: Shape, side: int, other: str = "") -> Iterator[tuple[str, str]]:
    if min(shape[1:]) < side:
        given = f"{who} with {shape[0]}-channel images of {shape[1]} x {shape[2]} pixels"
        yield "name", f"{given}; it needs {side} x {side}: take another network{other}"


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


class TrialConfig(Config, Generic[MethodT]):
    """Everything that shapes one trial's result. Its hash is the trial's name."""

    seed: int = Field(ge=0)
    """Derived from the study's seed and the ask number."""
    ask_number: int = Field(default=0, ge=0)
    """Place of this trial in the order in which the solver asked."""
    dataset: Annotated[ImageFolderConfig | DatasetConfig, Field(union_mode="left_to_right")]
    data_sha256: str
    """Hash of the images, labels and split that the trial reads."""
    network: NetworkConfig
    method: MethodT
    ipc: int = Field(ge=1)
    """Images per class."""
    evaluation: EvaluationConfig
    goal: GoalConfig
    cpus_per_trial: int = Field(default=1, ge=1)
    """CPU cores and torch threads."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the trial computes: cuda when the space gives it a share of a GPU."""

    @property
    def trial_id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON of all fields but the folder that the data lies in.

        What is in that folder counts by its hash; where it lies on one machine does not, so that a study moves with its data.
        """
        fields = self.model_dump(mode="json")
        fields["dataset"].pop("path", None)
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]

    def canonical_json(self) -> str:
        """The config as JSON with sorted keys: the same config gives the same text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    def __reduce__(self) -> tuple[Any, ...]:
        # A parametrised generic has no importable name, so what travels to another process is the method's type and the JSON.
        return _trial_from_json, (type(self.method), self.canonical_json())


def _trial_from_json(method: type[Config], data: str) -> TrialConfig[Any]:
    return TrialConfig[method].model_validate_json(data)  # type: ignore[valid-type]


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """An interval of numbers that the solver chooses from."""

    low: float
    high: float
    log: bool
    whole: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """A list of values that the solver chooses from."""

    values: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace:
    """A checked search space: a trial's fixed values, its ranges by dotted path, and what the search is after."""

    study: str
    seed: int
    template: Mapping[str, Any]
    """Nested values of one trial; a range's place holds its lower end or first choice."""
    ranges: Mapping[str, Range | Choices]
    method_config: type[Config]
    goal: GoalConfig
    budget: BudgetConfig
    resources: ResourcesConfig
    document: Mapping[str, Any]
    """The YAML document as given, after overrides."""

    def trial(self, *, ask_number: int, values: Mapping[str, Any], data_sha256: str) -> TrialConfig[Any]:
        """The config of one trial.

        Args:
            ask_number: place in the order of asks.
            values: chosen value by dotted path, one per range.
            data_sha256: hash of the split data.

        Raises:
            ValueError: `values` does not name exactly the ranges.
        """
        if set(values) != set(self.ranges):
            raise ValueError(f"values for {sorted(values)}; the space has ranges for {sorted(self.ranges)}: give exactly those")
        chosen = json.loads(json.dumps(dict(self.template)))
        for path, value in values.items():
            set_at(chosen, path, value)
        return TrialConfig[self.method_config].model_validate(  # type: ignore[name-defined]
            {
                **chosen,
                "seed": derive_seed(self.seed, "ask", ask_number),
                "ask_number": ask_number,
                "data_sha256": data_sha256,
                "goal": self.goal.model_dump(),
                "cpus_per_trial": self.resources.cpus_per_trial,
                "device": "cuda" if self.resources.gpus_per_trial > 0 else "cpu",
            }
        )

    def to_yaml(self) -> str:
        """The space as a YAML document, keys in the order given."""
        return yaml.safe_dump(dict(self.document), sort_keys=False)


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
