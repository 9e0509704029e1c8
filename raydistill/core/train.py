"""One supervised recipe for full data, features and evaluation, at equal optimiser steps.

Equal *steps*, not epochs: IPC 10 at batch 64 has two batches an epoch, so equal epochs would leave a small set untrained and call
the difference a loss of information.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from raydistill.core.augment import augment_each, parse_operations
from raydistill.core.networks import Network


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a network is trained: SGD with momentum on cross-entropy."""

    name: str
    lr: float
    momentum: float
    weight_decay: float
    schedule: Literal["cosine", "half_drop"]
    """cosine: from lr to 0; half_drop: x 0.1 after half of the steps, the field's habit."""
    steps: int
    batch: int
    augmentation: str
    """As `augment.parse_operations` reads it; drawn anew each step, numbers per image."""

    def __str__(self) -> str:
        return (
            f"{self.name}: SGD, lr {self.lr:g} ({self.schedule}), momentum {self.momentum:g}, "
            f"weight decay {self.weight_decay:g}, {self.steps} steps of {self.batch} images, augmentation {self.augmentation}"
        )

    def doubled(self) -> Recipe:
        """The same recipe with twice the steps, to see whether it trains to the end."""
        return replace(self, name=f"{self.name}, doubled", steps=2 * self.steps)

    def images_seen(self, images: int) -> int:
        """Images that go through the network in one training on a set of so many."""
        return self.steps * min(self.batch, images)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        # The rate and the schedule: on digits, a ConvNet-2 of width 32 ends at 98.5 % in 400 steps with 0.05 and cosine, and
        # needs 800 steps with the field's 0.01. A thousand steps: with augmentation 400 to 800 steps still gain 1.6 points there.
        Recipe(
            name="default", lr=0.05, momentum=0.9, weight_decay=5e-4, schedule="cosine", steps=1000, batch=64, augmentation="dsa"
        ),
        # MNIST's full data gains 0.3 points from 1000 to 2000 steps, so a margin of 1.5 points needs the longer one.
        Recipe(
            name="long", lr=0.05, momentum=0.9, weight_decay=5e-4, schedule="cosine", steps=2000, batch=64, augmentation="dsa"
        ),
        # Without augmentation small sets depend on their images alone; half the steps are enough then.
        Recipe(
            name="plain", lr=0.05, momentum=0.9, weight_decay=5e-4, schedule="cosine", steps=500, batch=64, augmentation="none"
        ),
    )
}


def train(
    network: Network, images: Tensor, labels: Tensor, recipe: Recipe, generator: torch.Generator, *, mirror_keeps_class: bool
) -> None:
    """Train an initialised network in place.

    Args:
        network: on the images' device.
        images: (N, C, H, W), standardised.
        labels: (N,) classes or (N, K) logits, whose softmax is the target.
        recipe: optimiser, schedule, steps, batch.
        generator: on the CPU; draws batches and augmentations.
        mirror_keeps_class: whether "dsa" may flip.
    """
    operations = parse_operations(recipe.augmentation, mirror_keeps_class=mirror_keeps_class)
    targets = labels if labels.ndim == 1 else labels.softmax(dim=1)
    optimiser = torch.optim.SGD(network.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    network.train()
    batches = draw_batches(len(images), recipe.batch, generator)
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * _schedule(recipe.schedule, step / recipe.steps)
        chosen = next(batches).to(images.device, non_blocking=True)
        loss = functional.cross_entropy(network(augment_each(images[chosen], operations, generator)), targets[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def draw_batches(images: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless batches of indices: passes over all images in random order, the short last batch of a pass left out.

    With fewer images than a batch, each batch is all of them.
    """
    batch = min(batch, images)
    while True:
        order = torch.randperm(images, generator=generator)
        yield from order[: images // batch * batch].split(batch)


def images_at_once(images: Tensor) -> int:
    """Images in one forward pass: 1,000 up to 32 x 32 pixels, of larger ones as many as have the same number of pixels."""
    height, width = images.shape[-2:]
    return max(1, min(1000, 1000 * 32 * 32 // (height * width)))


@torch.no_grad()
def is_correct(network: Network, images: Tensor, labels: Tensor, chunk: int | None = None) -> Tensor:
    """(N,) booleans on the CPU: which images the network classifies as labelled; batch norm in evaluation mode."""
    network.eval()
    chunk = chunk or images_at_once(images)
    return torch.cat([network(x).argmax(dim=1) == y for x, y in zip(images.split(chunk), labels.split(chunk), strict=True)]).cpu()


def _schedule(kind: str, progress: float) -> float:
    if kind == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1.0 if progress < 0.5 else 0.1
