"""The interface of distillation methods: their training data, progress reports, checkpoints, and the check for a finite loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from raydistill.core.synthetic import SyntheticSet
from raydistill.core.train import Tick, no_tick
from raydistill.data.splits import Splits
from raydistill.errors import DivergedError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainPart:
    """Real training images, the only data that a method receives."""

    images: Tensor
    """(N, C, H, W) float32, standardised, on the method's device."""
    labels: Tensor
    """(N,) int64, on the CPU."""
    classes: int
    mirror_keeps_class: bool
    tick: Tick = no_tick
    """Called after every step of a network that a method trains on these images before its own first step."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width


def train_part(splits: Splits, device: torch.device, tick: Tick = no_tick) -> TrainPart:
    """The train split of a data set, as methods receive it; see `TrainPart` for `tick`."""
    return TrainPart(
        images=splits.train.images.to(device),
        labels=splits.train.labels,
        classes=len(splits.class_names),
        mirror_keeps_class=splits.mirror_keeps_class,
        tick=tick,
    )


class Report(Protocol):
    """Function that a method calls before the first step (step 0, with the initial set) and after every step."""

    def __call__(self, step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        """Report one step.

        Args:
            step: number of steps done.
            steps: total number of steps.
            loss: a scalar that may still be on a GPU (reading it waits for the GPU); None before the first step.
            synthetic: the current set.
            is_accepted: whether the step changed the set; some methods reject steps.
        """


class Checkpoint(Protocol):
    """Where a method saves its state, so that a killed trial can continue."""

    def load(self) -> Mapping[str, Tensor] | None:
        """The last saved state, on the CPU, or None."""

    def is_due(self) -> bool:
        """Whether it is time to save."""

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Save a state: images, labels, optimiser and generator states, the step."""


class NoCheckpoint:
    """Saves nothing: for a distillation that starts from the beginning after a kill."""

    def load(self) -> None:
        """Return None, because nothing is saved."""

    def is_due(self) -> bool:
        """Return False: it is never time to save."""
        return False

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Must not be called, because `is_due` is always False.

        Raises:
            AssertionError: always.
        """
        raise AssertionError("a checkpoint that is never due was saved")


class LossWatch:
    """Collects losses without waiting for the device, and raises if one of them is not finite."""

    def __init__(self, every: int = 25) -> None:
        self._every = every
        self._losses: list[Tensor] = []
        self._first_step = 1

    def add(self, step: int, loss: Tensor) -> None:
        """Note the loss of a step, and check the noted losses every `every` steps.

        Raises:
            DivergedError: a loss since the last check is not finite.
        """
        if not self._losses:
            self._first_step = step
        self._losses.append(loss.detach())
        if len(self._losses) >= self._every:
            self.check()

    def check(self) -> None:
        """Check the losses noted since the last check.

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
