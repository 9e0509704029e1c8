"""What `raydistill bench steps` times: cases, the random data they run on, and the useful work of a step.

Symbols: K classes, b real images per class, IPC synthetic images per class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from raydistill.core.contract import TrainPart
from raydistill.core.cost import forward_macs
from raydistill.methods import METHODS
from raydistill.spaces.network import ConvNetConfig, Shape

CLASSES = 10
IMAGES_PER_CLASS = 1000
"""Real images of each class in the random data; 31 MB at 28 x 28."""
MNIST: Shape = (1, 28, 28)


class Spent(NamedTuple):
    """Seconds of one turn."""

    cpu_seconds: float
    """Of the process, all its threads together."""
    wall_seconds: float


Turn = Callable[[], Spent]
"""Runs the image updates of one turn, and says what they took."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepCase:
    """One setting whose steps are timed."""

    name: str
    shape: Shape
    network: ConvNetConfig
    method: Any
    """The method's config, with the lengths of one turn."""
    ipc: int
    updates: int
    """Image updates of one turn."""


def _turns(updates: int) -> Mapping[str, tuple[int, Mapping[str, Any]]]:
    """For each method the updates of a turn and the fields that differ from its defaults: published sizes at IPC 10."""
    return {
        "datadam": (updates, {"batch_real": 64, "random_inits": updates, "attention_power": 1.0}),  # 1 as in the published code
        "dm": (updates, {"batch_real": 64, "random_inits": updates}),
        # Of the published pattern at IPC 10 (10 updates, 50 model steps between two) the first two updates.
        "dc": (2, {"batch_real": 64, "random_inits": 1, "steps_per_init": 2, "model_steps": 50}),
        "datm": (
            1,
            {
                "iterations": 1,
                "student_steps": 20,
                "window_width": 1,
                "window_growth": 0,
                "target_epochs": 1,
                "experts": 1,
                "expert_epochs": 1,
                "init": "real",
                "lr_images": 1e-3,  # small, so that random experts do not drive the images away
                "gate": 1e9,  # above every loss, so that every iteration does its updates
            },
        ),
    }


def _cases() -> Mapping[str, StepCase]:
    places: tuple[tuple[str, Shape, int, int, int], ...] = (
        ("digits", (1, 8, 8), 2, 32, 4),
        ("mnist", MNIST, 3, 16, 4),
        ("mnist", MNIST, 3, 128, 1),
    )
    cases = {}
    for data, shape, depth, width, most in places:
        for name, (updates, fields) in _turns(most).items():
            cases[f"{name}-{data}-{width}"] = StepCase(
                name=f"{name}-{data}-{width}",
                shape=shape,
                network=ConvNetConfig(name="convnet", depth=depth, width=width),
                method=METHODS[name].config.model_validate({"name": name, **fields}),
                ipc=10,
                updates=updates,
            )
    return cases


CASES = _cases()
"""By name, METHOD-DATA-WIDTH: IPC 10, 64 real images per class, augmentation `dsa`."""


def random_part(case: StepCase) -> TrainPart:
    """Random images of the case's shape: what a step costs does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(CLASSES * IMAGES_PER_CLASS, *case.shape, generator=generator)
    labels = torch.arange(CLASSES).repeat_interleave(IMAGES_PER_CLASS)
    return TrainPart(images=images, labels=labels, classes=CLASSES, mirror_keeps_class=False)


def useful_macs(case: StepCase) -> float:
    """Multiply-accumulates that one image update needs, whatever computes it: of convolutions and the classifier.

    In forward passes of one image: a gradient for images costs one more, a gradient for weights another. Where the gradient for
    weights is differentiated in turn, each of the three is passed back: to images alone that costs four more (DC), to images and
    weights six more (DATM).
    """
    method, synthetic = case.method, CLASSES * case.ipc
    if method.name == "datm":
        passes = 9 * method.student_steps * min(method.batch_synthetic, synthetic)
    elif method.name == "dc":
        between = (case.updates - 1) * method.model_steps * min(method.batch_model, synthetic) / case.updates
        passes = 3 * CLASSES * method.batch_real + 7 * synthetic + 3 * between
    else:
        passes = CLASSES * method.batch_real + 2 * synthetic
    return float(forward_macs(case.network, case.shape, CLASSES) * passes)
