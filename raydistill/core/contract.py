"""What every distillation method is given and may raise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from raydistill.core.synthetic import SyntheticSet
from raydistill.data.splits import Splits
from raydistill.errors import DivergedError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainPart:
    """Real training images, the only data a method sees."""

    images: Tensor
    """(N, C, H, W) float32, standardised, on the method's device."""
    labels: Tensor
    """(N,) int64, on the CPU."""
    classes: int
    mirror_keeps_class: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width


def train_part(splits: Splits, device: torch.device) -> TrainPart:
    """What a method may see of a data set."""
    return TrainPart(
        images=splits.train.images.to(device),
        labels=splits.train.labels,
        classes=len(splits.class_names),
        mirror_keeps_class=splits.mirror_keeps_class,
    )


class Report(Protocol):
    """Told after every step, with the number of steps done; steps rise, starting from 0 for the start set."""

    def __call__(self, step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        """Take note.

        Args:
            step: steps done.
            steps: steps in all.
            loss: a scalar that may still be on a GPU: reading it waits for the GPU; None before the first step.
            synthetic: the set as it stands.
            is_accepted: whether the step changed the set; a method with a gate drops some.
        """


class Checkpoint(Protocol):
    """Where a method keeps its state, so that a killed trial continues."""

    def load(self) -> Mapping[str, Tensor] | None:
        """The state last saved, on the CPU, or None."""

    def is_due(self) -> bool:
        """Whether it is time to save."""

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Keep a state: images, labels, optimiser and generator states, the step."""


class NoCheckpoint:
    """Keeps no state: for a distillation that starts again after a kill."""

    def load(self) -> None:
        """Nothing was saved."""

    def is_due(self) -> bool:
        """It is never time to save."""
        return False

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Never called.

        Raises:
            AssertionError: it was.
        """
        raise AssertionError("a checkpoint that is never due was saved")


class LossWatch:
    """Collects losses without waiting for the device, and raises if one of them was not finite."""

    def __init__(self, every: int = 25) -> None:
        self._every = every
        self._losses: list[Tensor] = []
        self._first_step = 1

    def add(self, step: int, loss: Tensor) -> None:
        """Note the loss of a step; every so many steps, check.

        Raises:
            DivergedError: a loss since the last check is not finite.
        """
        if not self._losses:
            self._first_step = step
        self._losses.append(loss.detach())
        if len(self._losses) >= self._every:
            self.check()

    def check(self) -> None:
        """Check what was noted since the last check.

        Raises:
            DivergedError: a loss is not finite.
        """
        if not self._losses:
            return
        values = torch.stack(self._losses).tolist()
        self._losses.clear()
        for offset, value in enumerate(values):
            if not math.isfinite(value):
                raise DivergedError(self._first_step + offset, value)
