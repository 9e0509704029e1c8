"""Short schedules: the ladder of steps that is searched, the cheapest that is good enough, and what training costs. No torch.

The rule is the same for whatever networks learn from. The first rung from below is taken whose mean accuracy reaches the target;
rungs above it are not asked, and that the smallest of five noisy means was looked for is corrected nowhere, on no side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of the recipe's steps. Its schedule is stretched or shrunk with them."""
TRAINING_PASSES = 3
"""Forward passes that one step costs per image: one forward, and two backward (gradients of activations and of weights).
Source: Kaplan et al., "Scaling Laws for Neural Language Models", 2020, section 2.1."""


def ladder(steps: int) -> tuple[int, ...]:
    """The numbers of steps that are tried, in rising order, each once.

    Raises:
        ValueError: the recipe has no step.
    """
    if steps < 1:
        raise ValueError(f"given {steps} steps; a recipe has at least 1")
    return tuple(sorted({max(1, round(share * steps)) for share in SHARES}))


def cheapest(accuracy_fractions: Sequence[float], target: float) -> int | None:
    """Index of the first mean accuracy that reaches the target, from the shortest schedule on; None if none does."""
    return next((index for index, accuracy in enumerate(accuracy_fractions) if accuracy >= target), None)


def training_macs(forward_macs: int, images_seen: float) -> int:
    """Multiply-adds of training, forward and backward.

    Args:
        forward_macs: of one image's forward pass.
        images_seen: images that pass through the network in training.
    """
    return round(TRAINING_PASSES * forward_macs * images_seen)


def trainings_until_paid(cost: float, full: float, of_set: float) -> int | None:
    """Trainings on a set after which it has saved what it cost; None if it saves nothing.

    Args:
        cost: of making the set.
        full: of one training on the full data.
        of_set: of one training on the set; all in the same unit.
    """
    saved = full - of_set
    return math.ceil(cost / saved) if saved > 0 else None
