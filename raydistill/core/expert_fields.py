"""Settings of experts: the fields of every method that needs them, and what names a set of them in the store. No torch."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, field_validator, model_validator
from pydantic.config import JsonDict

from raydistill.core.choices import parse_operations
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.sections import Config

ONLY_CHOICES: JsonDict = {"only_choices": True}
"""Marks a field that takes no range: every value needs its own experts, so a range would need too many."""


Share = Annotated[float, Field(ge=0, lt=1)]


class Curriculum(Config):
    """The images that an expert is trained on in each epoch (PAD's FIEX), as fractions of each class, ordered easy to hard."""

    initial_fraction: float = Field(gt=0, le=1)
    """IR: fraction of easiest images used in epoch 0."""
    all_from_epoch: int = Field(ge=0)
    """AEE: the fraction grows linearly to 1 until this epoch; at most R1."""
    drop_epochs: tuple[NonNegativeInt, NonNegativeInt] = Field(strict=False)
    """R1, R2: after these epochs the easiest images are removed."""
    drop_fractions: tuple[Share, Share] = Field(strict=False)
    """r1, r2: fraction of easiest images removed after R1, and in total after R2."""
    score_networks: int = Field(ge=1)
    """Networks whose EL2N scores are averaged."""
    score_epochs: int = Field(ge=1)
    """Epochs that each of these networks is trained before it computes scores."""

    @model_validator(mode="after")
    def _drops_more_and_more(self) -> Curriculum:
        for name, (first, second) in (("epochs", self.drop_epochs), ("fractions", self.drop_fractions)):
            if first > second:
                raise ValueError(
                    f"drop_{name} are {first} and {second} (PAD: expert_drop_{name}); the second must not be smaller: swap them"
                )
        return self

    def drops_too_early(self) -> str | None:
        """What is wrong where easy images are dropped before all were added, or None.

        No validator asks, because records of older versions may hold such a curriculum.
        """
        first = self.drop_epochs[0]
        if self.all_from_epoch <= first:
            return None
        return (
            f"it is {self.all_from_epoch}, but after epoch {first} easy images are dropped, before all were added: write {first} "
            "or less, or later drop_epochs"
        )

    def span(self, epoch: int) -> tuple[float, float]:
        """The range of images of a class used in an epoch, as two fractions: 0 is the easiest image, 1 the hardest.

        Source: PAD, section 3.2 (data scheduler); the two steps of the removal are those of its published commands.
        """
        if epoch > self.drop_epochs[1]:
            return self.drop_fractions[1], 1.0
        if epoch > self.drop_epochs[0]:
            return self.drop_fractions[0], 1.0
        if epoch > self.all_from_epoch or self.all_from_epoch == 0:
            return 0.0, 1.0
        return 0.0, min(1.0, self.initial_fraction + (1 - self.initial_fraction) * epoch / self.all_from_epoch)

    def smallest_class(self) -> int:
        """Number of images that a class needs so that every epoch uses at least one of them."""
        shares = [self.initial_fraction, *(1 - dropped for dropped in self.drop_fractions)]
        return math.ceil(1 / min(shares) - 1e-9)


class ExpertFields(Config):
    """Settings of the experts, in the section of every method that needs them. "All" below means MTT, DATM and PAD."""

    experts: int = Field(default=100, ge=1, json_schema_extra=ONLY_CHOICES)
    """Expert networks; 100 in MTT, DATM and PAD."""
    expert_epochs: int = Field(default=100, ge=1, json_schema_extra=ONLY_CHOICES)
    """Epochs of each expert; 100 in DATM and PAD, 50 in MTT."""
    expert_lr: float = Field(default=0.01, gt=0, json_schema_extra=ONLY_CHOICES)
    """Constant learning rate; 0.01 in all."""
    expert_momentum: float = Field(default=0.0, ge=0, lt=1, json_schema_extra=ONLY_CHOICES)
    """0 in all: the student takes plain SGD steps, which can follow a trajectory of plain SGD."""
    expert_batch: int = Field(default=256, ge=1, json_schema_extra=ONLY_CHOICES)
    """Images per step; 256 in all."""
    expert_rho: float = Field(default=0.01, ge=0, json_schema_extra=ONLY_CHOICES)
    """GSAM's radius; 0.01 in DATM's and PAD's commands (2.0 is their scripts' default); 0 is plain SGD, as in MTT."""
    expert_gap_weight: float = Field(default=0.3, ge=0, json_schema_extra=ONLY_CHOICES)
    """GSAM's alpha, the weight of the surrogate gap; 0.3 in DATM's and PAD's commands; unused if expert_rho is 0."""
    expert_seed: int = Field(default=0, ge=0, json_schema_extra=ONLY_CHOICES)
    """Seed of all experts; independent of the study's seed, so that studies can share experts."""
    augmentation: str = Field(default="dsa", json_schema_extra=ONLY_CHOICES)
    """For experts and students: "dsa" (without flip if mirroring changes the class), "none", or names joined by _."""

    @field_validator("augmentation")
    @classmethod
    def _names_operations(cls, value: str) -> str:
        parse_operations(value, mirror_keeps_class=True)
        return value

    def epochs_read(self) -> range:
        """Epochs whose snapshots the method may read, apart from the last epoch, whose snapshot is always saved."""
        return range(0)

    def curriculum(self) -> Curriculum | None:
        """The images of each epoch; None trains on all images in every epoch."""
        return None

    def against(self, facts: DataFacts, network: Config) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for every value that does not fit the data set or the network."""
        del facts
        if getattr(network, "norm", None) == "batch":
            yield "name", "experts save parameters, but not the running statistics of batch norm: write another network.norm"


class ExpertSettings(Config):
    """Everything that an expert's trajectory depends on. Its hash names the set of experts in the store."""

    dataset: dict[str, Any]
    """The data set's section without the path of its files; includes the split and the preprocessing."""
    data_sha256: str
    network: NetworkConfig
    operations: tuple[str, ...] = Field(strict=False)
    """Augmentation, as returned by `choices.parse_operations`."""
    epochs: int
    lr: float
    momentum: float
    batch: int
    rho: float
    gap_weight: float
    seed: int
    curriculum: Curriculum | None

    @property
    def key(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON of all fields."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
