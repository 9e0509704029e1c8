"""What a person writes, as frozen values: one trial, and the space a search draws trials from.

A leaf: it imports nothing else of raydistill. One name per quantity: a field here is the key in YAML, the key in
``record.json`` and the column in a table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Config(BaseModel):
    """A frozen, strict value: unknown keys are errors, text is never read as a number, numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False)


MethodT = TypeVar("MethodT", bound=Config)


class DatasetConfig(Config):
    name: str
    """Registered data set, a key of `raydistill.core.data.DATASETS`."""
    split_seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the stratified split into train, select, confirm (and test, where none is published)."""


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

    def deepest(self, shape: tuple[int, int, int]) -> int:
        """Largest depth that (C, H, W) images allow: each block's pooling halves a map of at least 2 x 2.

        With one channel the first convolution pads by 3 instead of 1, which adds 4 pixels.
        """
        channels, height, width = shape
        return (min(height, width) + (4 if channels == 1 else 0)).bit_length() - 1


class MLPConfig(Config):
    name: Literal["mlp"]
    width: int = Field(default=128, ge=1)
    """Units in each of the two hidden layers."""


NetworkConfig = Annotated[ConvNetConfig | MLPConfig, Field(discriminator="name")]


class EvaluationConfig(Config):
    recipe: str = "default"
    """Named training recipe, a key of `raydistill.core.train.RECIPES`; the same for synthetic and full data."""
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


class TrialConfig(Config, Generic[MethodT]):
    """Everything that shapes one trial's result. Its hash is the trial's name."""

    seed: int = Field(ge=0)
    """Derived from the study's seed and the ask number."""
    ask_number: int = Field(default=0, ge=0)
    """Place of this trial in the order in which the solver asked."""
    dataset: DatasetConfig
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
        """First 12 hex digits of the SHA-256 of the canonical JSON of all fields."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()[:12]

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
