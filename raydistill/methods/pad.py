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

import torch
from torch import Tensor

from raydistill.core.contract import Checkpoint, Report, TrainPart
from raydistill.core.experts import Experts
from raydistill.core.synthetic import SyntheticSet
from raydistill.methods.configs.pad import PADConfig
from raydistill.methods.trajectory import Keep, match_trajectories
from raydistill.spaces.network import NetworkConfig


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
