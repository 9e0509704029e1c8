"""Settings of PAD; the method is in `methods/pad.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, model_validator

from raydistill.core.expert_fields import ONLY_CHOICES, Curriculum, Share
from raydistill.methods.configs import trajectory
from raydistill.methods.configs.first import Fields, Given, experts, values_alone
from raydistill.methods.configs.trajectory import TrajectoryConfig
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.sections import Config

ABLATIONS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    **trajectory.ABLATIONS,
    "FIEX": lambda config: {"filter_data": False},
    "FIEM": lambda config: {"shallow_fraction": 0.0},
}
"""What `raydistill ablate` turns off: each filter by itself, and the terms of trajectory matching."""


class PADConfig(TrajectoryConfig):
    """Settings of PAD; a default is the paper's for CIFAR-10 at IPC 10."""

    name: Literal["pad"]
    shallow_fraction: float = Field(default=0.25, ge=0, lt=1)
    """alpha; 0 at IPC 1, 0.25 at 10 and 50, 0.5 to 0.75 above, in the paper's table."""
    leave_out: Literal["depth", "loss"] = "depth"
    """Which parameters it leaves out: the shallowest, or (the ablation) those where the student is nearest to the target."""
    filter_data: bool = Field(default=True, json_schema_extra=ONLY_CHOICES)
    """Whether experts see the filtered data of the fields below."""
    expert_initial_fraction: float = Field(default=0.75, gt=0, le=1, json_schema_extra=ONLY_CHOICES)
    """IR; 0.75 everywhere."""
    expert_all_from_epoch: int = Field(default=20, ge=0, json_schema_extra=ONLY_CHOICES)
    """AEE, at most R1; 20 for CIFAR-10, 40 for CIFAR-100 and Tiny ImageNet."""
    expert_drop_epochs: tuple[NonNegativeInt, NonNegativeInt] = Field(
        default=(40, 60), strict=False, json_schema_extra=ONLY_CHOICES
    )
    """R1, R2; 40 and 60 in the published commands."""
    expert_drop_fractions: tuple[Share, Share] = Field(default=(0.1, 0.2), strict=False, json_schema_extra=ONLY_CHOICES)
    """r1, r2; 0.1 and 0.2 in the published commands."""
    score_networks: int = Field(default=10, ge=1, json_schema_extra=ONLY_CHOICES)
    """Networks behind a difficulty score; 10 in EL2N's paper."""
    score_epochs: int = Field(default=20, ge=1, json_schema_extra=ONLY_CHOICES)
    """Epochs of each before it scores; 20 in EL2N's paper."""

    @model_validator(mode="after")
    def _has_a_curriculum(self) -> PADConfig:
        self.curriculum()
        return self

    def curriculum(self) -> Curriculum | None:
        """FIEX, or None where it is off."""
        if not self.filter_data:
            return None
        return Curriculum(
            initial_fraction=self.expert_initial_fraction,
            all_from_epoch=self.expert_all_from_epoch,
            drop_epochs=self.expert_drop_epochs,
            drop_fractions=self.expert_drop_fractions,
            score_networks=self.score_networks,
            score_epochs=self.score_epochs,
        )

    def against(self, facts: DataFacts, network: Config) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what the data set, the experts or the network cannot serve."""
        yield from super().against(facts, network)
        curriculum = self.curriculum()
        if curriculum is not None and (early := curriculum.drops_too_early()) is not None:
            yield "expert_all_from_epoch", early
        if curriculum is not None and facts.smallest_class < (needed := curriculum.smallest_class()):
            yield (
                "filter_data",
                f"the scheduler's shares need {needed} images of each class, and the smallest has {facts.smallest_class}: raise "
                "expert_initial_fraction, lower expert_drop_fractions, or write filter_data: false",
            )


def first_fields(given: Given) -> Fields:
    """For a first search: those of trajectory matching, and the filters, of which that of the data is off for small classes."""
    fields = {
        **trajectory.first_fields(given),
        "shallow_fraction": {"low": 0.0, "high": 0.5},
        # The published 20, 40 and 60 of 100 epochs, at 40.
        "expert_all_from_epoch": 8,
        "expert_drop_epochs": [16, 24],
        "score_networks": 3,
        "score_epochs": 8,
    }
    config = PADConfig.model_validate({"name": "pad", **values_alone({**experts(given), **fields})})
    facts = DataFacts(smallest_class=given.smallest_class, confirm_images=1)
    unserved = {field for field, _ in config.against(facts, given.network)}
    return {**fields, "filter_data": False} if "filter_data" in unserved else fields
