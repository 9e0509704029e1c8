"""Supervised training by a recipe in optimiser steps; the same for full data, synthetic sets and feature networks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from raydistill.core.augment import augment_each
from raydistill.core.choices import parse_operations
from raydistill.core.networks import Network
from raydistill.core.recipes import Recipe


class Augment(Protocol):
    """An augmentation of training batches."""

    def __call__(self, images: Tensor, *, generator: torch.Generator) -> Tensor:
        """Augment (B, C, H, W) images, with random numbers from a generator on the CPU."""


def train(
    network: Network,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    generator: torch.Generator,
    *,
    mirror_keeps_class: bool,
    augment: Augment | None = None,
) -> None:
    """Train an initialised network in place.

    Args:
        network: on the images' device.
        images: (N, C, H, W), standardised.
        labels: (N,) classes or (N, K) logits, whose softmax is the target.
        recipe: optimiser, schedule, steps, batch.
        generator: on the CPU; draws batches and augmentations.
        mirror_keeps_class: whether "dsa" may flip images.
        augment: replaces the recipe's augmentation; None uses the recipe's.
    """
    if augment is None:
        operations = parse_operations(recipe.augmentation, mirror_keeps_class=mirror_keeps_class)
        augment = partial(augment_each, operations=operations)
    targets = labels if labels.ndim == 1 else labels.softmax(dim=1)
    optimiser = torch.optim.SGD(network.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    network.train()
    batches = draw_batches(len(images), recipe.batch, generator)
    for step in range(recipe.steps):
        rate = recipe.rate(step)
        if recipe.schedule == "drop" and rate < optimiser.param_groups[0]["lr"]:
            optimiser.state.clear()  # published code creates a new optimiser here
        for group in optimiser.param_groups:
            group["lr"] = rate
        chosen = next(batches).to(images.device, non_blocking=True)
        loss = functional.cross_entropy(network(augment(images[chosen], generator=generator)), targets[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def draw_batches(images: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless batches of indices: passes over all images in random order, without the incomplete last batch of a pass.

    With fewer images than a batch, each batch contains all images.
    """
    batch = min(batch, images)
    while True:
        order = torch.randperm(images, generator=generator)
        yield from order[: images // batch * batch].split(batch)


def images_at_once(images: Tensor) -> int:
    """Images in one forward pass: 1,000 for up to 32 x 32 pixels; for larger images fewer, with the same total of pixels."""
    height, width = images.shape[-2:]
    return max(1, min(1000, 1000 * 32 * 32 // (height * width)))


@torch.no_grad()
def is_correct(network: Network, images: Tensor, labels: Tensor, chunk: int | None = None) -> Tensor:
    """(N,) booleans on the CPU: which images the network classifies correctly; the network is set to evaluation mode."""
    network.eval()
    chunk = chunk or images_at_once(images)
    return torch.cat([network(x).argmax(dim=1) == y for x, y in zip(images.split(chunk), labels.split(chunk), strict=True)]).cpu()
