"""Short runs of every method on three classes of thirty images, on any device: a few steps of a network of width 4."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load, save
from three_classes import NETWORK, small_part
from torch import Tensor

from raydistill.core.contract import NoCheckpoint, TrainPart
from raydistill.core.expert_fields import ExpertFields, ExpertSettings
from raydistill.core.networks import build_network
from raydistill.core.synthetic import SyntheticSet
from raydistill.methods import METHODS

IPC = 2
EXPERTS: dict[str, Any] = {"experts": 2, "expert_epochs": 3}
MATCHED: dict[str, Any] = {"random_inits": 3, "batch_real": 8}
NCFM: dict[str, Any] = {**MATCHED, "frequencies": 40, "pool": 2, "pool_steps": 3}
BILEVEL: dict[str, Any] = {"random_inits": 2, "steps_per_init": 2, "model_steps": 2, "batch_real": 8}
TRAJECTORY: dict[str, Any] = {
    **EXPERTS,
    "iterations": 3,
    "student_steps": 2,
    "target_epochs": 1,
    "window_width": 2,
    "window_growth": 0,
    "gate": 1e9,
}
EXPERT = ExpertSettings(
    dataset={"name": "made up"},
    data_sha256="d" * 64,
    network=NETWORK,
    operations=("crop", "cutout"),
    epochs=2,
    lr=0.05,
    momentum=0.0,
    batch=10,
    rho=0.01,
    gap_weight=0.3,
    seed=0,
    curriculum=None,
)
SHORT: dict[str, list[dict[str, Any]]] = {
    "datadam": [MATCHED, BILEVEL],
    "dm": [MATCHED, {**MATCHED, "ema_decay": 0.5}],
    "dc": [BILEVEL, {**BILEVEL, "image_steps": 2, "ema_decay": 0.5}],
    "rat_bptt": [{"random_inits": 3, "training_steps": 4, "window": 2, "batch_real": 8}],
    "ncfm": [NCFM],
    "datm": [TRAJECTORY, {**TRAJECTORY, "gradient": "full"}, {**TRAJECTORY, "init": "noise", "gradient": "tesla"}],
    "pad": [TRAJECTORY],
    "datadam_soft": [{**EXPERTS, **MATCHED}],
    "dm_soft": [{**EXPERTS, **MATCHED}],
    "dc_soft": [{**EXPERTS, **BILEVEL}],
    "rat_bptt_soft": [{**EXPERTS, "random_inits": 3, "training_steps": 4, "window": 2, "batch_real": 8}],
    **{f"{name}_soft": [EXPERTS] for name in ("random", "k_center", "herding", "k_means", "k_means_medoids")},
    "k_means": [{}, {"space": "features"}],
}
"""Settings by method; a method that is not listed runs with its defaults."""
CASES = [(name, fields) for name in METHODS for fields in SHORT.get(name, [{}])]
NAMES = [f"{name}-{SHORT.get(name, [{}]).index(fields)}" for name, fields in CASES]


def config_of(name: str, fields: dict[str, Any]) -> Any:
    return METHODS[name].config.model_validate({"name": name, **fields})


def has_steps(name: str, fields: dict[str, Any]) -> bool:
    """Whether the method learns its images, so that it has checkpoints."""
    return METHODS[name].images_passed(config_of(name, fields), IPC, 3) > 0


class Killed(Exception):
    """The process is gone."""


class DyingCheckpoint:
    """Saves at every opportunity, as bytes, and dies after so many."""

    def __init__(self, die_after: int | None = None) -> None:
        self.data: bytes | None = None
        self.left = die_after or -1

    def load(self) -> Mapping[str, Tensor] | None:
        return None if self.data is None else load(self.data)

    def is_due(self) -> bool:
        return True

    def save(self, state: Mapping[str, Tensor]) -> None:
        self.data = save({name: value.detach().cpu().clone().contiguous() for name, value in state.items()})
        self.left -= 1
        if self.left == 0:
            raise Killed


class RandomExperts:
    """Trajectories that lead nowhere: every snapshot is drawn at random."""

    epochs = EXPERTS["expert_epochs"]

    def __init__(self, count: int = EXPERTS["experts"]) -> None:
        self.count = count

    def snapshot(self, expert: int, epoch: int) -> Tensor:
        network = build_network(NETWORK, (1, 8, 8), 3, torch.device("meta"))
        count = sum(math.prod(parameter.shape) for parameter in network.parameters())
        return 0.1 * torch.randn(count, generator=torch.Generator().manual_seed(100 * expert + epoch))


def part_on(device: torch.device) -> TrainPart:
    part = small_part()
    return TrainPart(images=part.images.to(device), labels=part.labels, classes=3, mirror_keeps_class=False)


def distil(
    name: str, fields: dict[str, Any], device: torch.device, *, seed: int = 1, saves: bool = True, **given: Any
) -> SyntheticSet:
    config = config_of(name, fields)
    arguments = {
        "report": lambda *_, **__: None,
        "checkpoint": DyingCheckpoint() if saves else NoCheckpoint(),
        "part": part_on(device),
        **given,
    }
    if isinstance(config, ExpertFields):
        arguments["experts"] = RandomExperts()
    generator = torch.Generator().manual_seed(seed)
    return METHODS[name].distill(arguments.pop("part"), NETWORK, config, IPC, generator=generator, device=device, **arguments)
