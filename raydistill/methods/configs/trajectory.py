"""Settings of trajectory matching, shared by DATM and PAD; the loop is in `methods/trajectory.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from raydistill.core.choices import GradientKind, Start
from raydistill.core.expert_fields import ExpertFields
from raydistill.methods.configs.fields import (
    Count,
    CountOrNone,
    LearningRate,
    LearningRateOrOff,
    Momentum,
)
from raydistill.methods.configs.first import Fields, Given
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.sections import Config

ABLATIONS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    "learned labels": lambda config: {"lr_labels": 0.0},
    "learned rate": lambda config: {"lr_lr": 0.0},
    "window growth": lambda config: {"window_growth": 0},
}
"""What `raydistill ablate` turns off in trajectory matching, everything else as it was found.

Without learned labels the experts' labels stay as they are. Augmentation shapes the experts too, so it is no term here. Soft
labels are not a field of the method: `raydistill ablate` also evaluates the whole method's sets with hard labels. The control
`random_soft` shows what soft labels are worth without a method.
"""


class TrajectoryConfig(ExpertFields):
    """Settings of trajectory matching; a default is DATM's for CIFAR-10 at IPC 10 unless it says otherwise."""

    iterations: Count = 10_000
    """10,000 in DATM and PAD."""
    student_steps: Count = 80
    """N; 20 to 100 in the published settings, against some 400 steps of the expert in M epochs. With 10 against 390 the student
    hardly moved on MNIST (loss 0.94), and nothing was learned."""
    target_epochs: Count = 2
    """M; 2, or 3 for CIFAR-100 at IPC 1."""
    window_start: CountOrNone = 0
    """T-; late (40) for large IPC: what experts learn there is what many images can teach."""
    window_width: Count = 10
    """T - T-."""
    window_growth: CountOrNone = 10
    """T+ - T; 0 where the published setting has no sequential generation."""
    growth_iterations: Count = 1000
    """E."""
    batch_synthetic: Count = 100
    """Synthetic images of a student step; the whole set where that is smaller."""
    lr_images: LearningRate = 100.0
    """50 to 10,000 in the published settings."""
    lr_labels: LearningRateOrOff = 2.0
    """2 to 10; 0 keeps the experts' labels as they are."""
    lr_lr: LearningRateOrOff = 1e-5
    """Learning rate of the student's rate; 0 keeps it."""
    lr_student: LearningRate = 0.01
    """alpha_s at the start; 0.01 everywhere, the experts' own rate."""
    momentum_images: Momentum = 0.5
    """0.5 in code, for the images and for the rate."""
    momentum_labels: Momentum = 0.9
    """0.9 in code and in PAD's table."""
    gate: float = Field(default=1.0, gt=0)
    """1; 1.1 for CIFAR-10 at IPC 1."""
    init: Literal["correct"] | Start = "correct"
    """Images that an expert gets right, random real images, standard normal noise (with labels of random real images), k-center
    images, or k-means in each class; see `core.choices.Start`."""
    gradient: GradientKind = "recompute"
    """`recompute` is exact in little memory; `full` is exact too; `tesla`, as published, is not. See `core/unroll.py`."""

    def epochs_read(self) -> range:
        """Start epochs and their targets."""
        return range(self.window_start, self.window_start + self.window_width + self.window_growth + self.target_epochs)

    def against(self, facts: DataFacts, network: Config) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what the experts or the network cannot serve."""
        yield from super().against(facts, network)
        last = self.epochs_read()[-1]
        if last > self.expert_epochs:
            yield (
                "expert_epochs",
                f"given {self.expert_epochs}; the window reads up to epoch {last} (window_start + window_width + window_growth "
                "- 1 + target_epochs): raise it, or take an earlier window",
            )


def images_passed(config: TrajectoryConfig, ipc: int, classes: int) -> int:
    """Images that pass through a network in one distillation, twice because steps are differentiated; see `methods.Method`."""
    return 2 * config.iterations * config.student_steps * min(config.batch_synthetic, classes * ipc)


def first_fields(given: Given) -> Fields:
    """For a first search; see `methods.Method`."""
    return {
        "iterations": {"low": 500, "high": 5000, "log": True} if given.is_on_gpu else {"low": 30, "high": 150},
        "student_steps": 40 if given.is_on_gpu else 15,
        "window_start": {"low": 0, "high": 10},
        "window_width": 8,
        "window_growth": {"low": 0, "high": 8},
        "growth_iterations": 500 if given.is_on_gpu else 50,
        "lr_images": {"low": 3.0, "high": 300.0, "log": True},
        "lr_labels": {"low": 0.3, "high": 30.0, "log": True},
        "lr_lr": {"low": 0.00001, "high": 0.001, "log": True},
        "lr_student": 0.05 if not given.is_on_gpu else 0.01,
        "init": "real",
    }
