"""PAD: DATM with experts that see filtered data (FIEX) and a loss that leaves shallow parameters out (FIEM).

Reference: Li, Guo, Zhao, Zhang, Cheng, Khaki, Zhang, Sajedi, Plataniotis, Wang, You, "Prioritize Alignment in Dataset
Distillation", 2024. Symbols, numbered steps and code of the loop: `trajectory.py`.

| symbol   | code and YAML key         | meaning                                                                       |
|----------|---------------------------|-------------------------------------------------------------------------------|
| alpha    | `shallow_fraction`        | share of the flat parameter vector, from its shallow end, that the loss leaves out |
| IR       | `expert_initial_fraction` | easiest share of each class that experts see in epoch 0                       |
| AEE      | `expert_all_from_epoch`   | epoch from which they see all                                                 |
| R1, R2   | `expert_drop_epochs`      | epochs after which the easiest images go                                      |
| r1, r2   | `expert_drop_fractions`   | easiest share gone after R1 and after R2                                      |
| chi      | `core.experts.difficulty` | EL2N score; higher is harder                                                  |

FIEX changes the experts and FIEM step 3 of the loop, in numerator and denominator. `filter_data: false` turns the first off,
`shallow_fraction: 0` the second; without both this is DATM.

Deviations: scores are computed here, for any data set, where the published code ships index files (its names say GraNd, the paper
says EL2N); shares of a class stand where it has counts. By depth is the paper's method; by loss, which its last published code
runs, is its ablation. The published code added 0.01 to its accuracies until November 2024; this code adds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import Field, NonNegativeInt, model_validator
from torch import Tensor

from raydistill.core.contract import Checkpoint, Report, TrainPart
from raydistill.core.experts import ONLY_CHOICES, Curriculum, Experts, Share
from raydistill.core.synthetic import SyntheticSet
from raydistill.methods import trajectory
from raydistill.methods.trajectory import Keep, TrajectoryConfig, match_trajectories
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.sections import Config

ABLATIONS = {
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
    """AEE; 20 for CIFAR-10, 40 for CIFAR-100 and Tiny ImageNet."""
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
        if curriculum is not None and facts.smallest_class < (needed := curriculum.smallest_class()):
            yield (
                "filter_data",
                f"the scheduler's shares need {needed} images of each class, and the smallest has {facts.smallest_class}: raise "
                "expert_initial_fraction, lower expert_drop_fractions, or write filter_data: false",
            )


def distill(
    train: TrainPart,
    network: NetworkConfig,
    config: PADConfig,
    ipc: int,
    *,
    generator: torch.Generator,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint,
    experts: Experts,
) -> SyntheticSet:
    """The synthetic set; arguments as in `trajectory.match_trajectories`."""
    return match_trajectories(
        train,
        network,
        config,
        ipc,
        generator=generator,
        device=device,
        report=report,
        checkpoint=checkpoint,
        experts=experts,
        keep=parameters_kept(config),
    )


def parameters_kept(config: PADConfig) -> Keep | None:
    """FIEM: squared errors (P,) to the mask of the parameters that the loss reads; None where all are.

    Source: PAD, section 3.3: the first floor(alpha * P) entries, shallow to deep, are left out; by loss, its ablation, as many
    entries with the smallest errors.
    """
    if config.shallow_fraction == 0:
        return None

    def keep(errors: Tensor) -> Tensor:
        left_out = math.floor(config.shallow_fraction * len(errors))
        mask = torch.ones_like(errors)
        mask[slice(left_out) if config.leave_out == "depth" else errors.argsort(stable=True)[:left_out]] = 0
        return mask

    return keep
