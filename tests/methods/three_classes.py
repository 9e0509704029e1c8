"""Thirty small images of three classes, and a method run on them with its losses noted: shared by the methods' own tests."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from raydistill.core.contract import NoCheckpoint, TrainPart
from raydistill.core.synthetic import SyntheticSet
from raydistill.methods import METHODS
from raydistill.spaces.network import ConvNetConfig, NetworkConfig
from raydistill.spaces.sections import Config

NETWORK = ConvNetConfig(name="convnet", depth=2, width=4)
ON_ANY_CPU = 1e-6
"""Relative tolerance of golden float64 losses: the sums of other kernels and thread counts moved none by more than 1e-15."""


def small_part() -> TrainPart:
    labels = torch.arange(3).repeat(10)
    images = torch.randn(30, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + labels.view(-1, 1, 1, 1)
    return TrainPart(images=images, labels=labels, classes=3, mirror_keeps_class=False)


class Kept:
    """A checkpoint with a state, or with none; it is never due."""

    def __init__(self, state: Mapping[str, Tensor] | None) -> None:
        self.state = state

    def load(self) -> Mapping[str, Tensor] | None:
        return self.state

    def is_due(self) -> bool:
        return False

    def save(self, state: Mapping[str, Tensor]) -> None:
        raise AssertionError


def distil_noted(config: Config, network: NetworkConfig = NETWORK) -> tuple[SyntheticSet, list[float]]:
    """The set of two images per class, and the loss of every step."""
    losses: list[float] = []

    def report(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet) -> None:
        if loss is not None:
            losses.append(loss.item())

    synthetic = METHODS[config.name].distill(  # type: ignore[attr-defined]
        small_part(),
        network,
        config,
        2,
        generator=torch.Generator().manual_seed(7),
        device=torch.device("cpu"),
        report=report,
        checkpoint=NoCheckpoint(),
    )
    return synthetic, losses
