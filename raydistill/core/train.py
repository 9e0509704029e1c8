"""Supervised training by a recipe in optimiser steps; the same for full data, synthetic sets and feature networks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from raydistill.core.augment import Draw, augment_each, draw_one_operation
from raydistill.core.augment import augment as augment_groups
from raydistill.core.choices import parse_operations
from raydistill.core.networks import Network
from raydistill.core.recipes import Recipe
from raydistill.core.sgd import SGD
from raydistill.errors import DivergedError


class Augment(Protocol):
    """An augmentation of training batches."""

    def __call__(self, images: Tensor, *, generator: torch.Generator) -> Tensor:
        """Augment (B, C, H, W) images, with random numbers from a generator on the CPU."""


Tick = Callable[[], None]
"""Called now and then by work that lasts, as a sign of life; may raise to end it."""


def no_tick() -> None:
    """Tell nobody."""


def train(
    network: Network,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    generator: torch.Generator,
    *,
    mirror_keeps_class: bool,
    augment: Augment | None = None,
    tick: Tick = no_tick,
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
        tick: called after every step.
    """
    if augment is None:
        operations = parse_operations(recipe.augmentation, mirror_keeps_class=mirror_keeps_class)
        augment = partial(augment_each, operations=operations)
    targets = labels if labels.ndim == 1 else labels.softmax(dim=1)
    optimiser = SGD(network.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    network.train()
    batches = draw_batches(len(images), recipe.batch, generator)
    for step in range(recipe.steps):
        _set_rate(optimiser, recipe, step)
        chosen = next(batches).to(images.device, non_blocking=True)
        logits = network(augment(images[chosen], generator=generator))
        loss = functional.cross_entropy(logits, targets[chosen], label_smoothing=recipe.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        tick()


def train_together(
    networks: Sequence[Network],
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    generators: Sequence[torch.Generator],
    *,
    mirror_keeps_class: bool,
    tick: Tick = no_tick,
) -> None:
    """Train R initialised networks of one architecture at once, in place: each as `train` would, up to rounding.

    One step launches as many kernels as a step of one network; launches are what limits a GPU with networks this small. On a CPU
    it saves nothing; `benchmarks/results/speed.md` has the times.

    Args:
        networks: on the images' device.
        images: (N, C, H, W), standardised.
        labels: (N,) classes or (N, K) logits, whose softmax is the target.
        recipe: optimiser, schedule, steps, batch, augmentation.
        generators: one per network, on the CPU; each draws its network's batches and augmentations.
        mirror_keeps_class: whether "dsa" may flip images.
        tick: called after every step.
    """
    operations = parse_operations(recipe.augmentation, mirror_keeps_class=mirror_keeps_class)
    targets = labels if labels.ndim == 1 else labels.softmax(dim=1)
    for network in networks:
        network.train()
    parameters, buffers = stack_module_state(list(networks))
    shell = copy.deepcopy(networks[0]).to("meta")
    logits_of = vmap(lambda own, state, seen: functional_call(shell, (own, state), (seen,)))
    optimiser = SGD(parameters.values(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    batches = [draw_batches(len(images), recipe.batch, generator) for generator in generators]
    for step in range(recipe.steps):
        _set_rate(optimiser, recipe, step)
        chosen = torch.stack([next(own) for own in batches]).to(images.device, non_blocking=True)  # (R, B)
        seen = _augment_together(images[chosen], operations, generators)
        logits = logits_of(parameters, buffers, seen).flatten(0, 1)
        smoothing = recipe.label_smoothing
        total = functional.cross_entropy(logits, targets[chosen].flatten(0, 1), label_smoothing=smoothing, reduction="sum")
        loss = total / chosen.shape[1]  # the sum of the networks' mean losses
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        tick()
    with torch.no_grad():
        for place, network in enumerate(networks):
            for name, value in (*network.named_parameters(), *network.named_buffers()):
                value.copy_((parameters if name in parameters else buffers)[name][place])


@dataclass(frozen=True, kw_only=True, slots=True)
class Diverged:
    """What is said of a network whose training diverged."""

    data: str
    """What it trains on."""
    remedy: str


ON_A_SET = Diverged(data="the set", remedy="lower the learning rates")
ON_FULL_DATA = Diverged(data="the full data", remedy="name another evaluation.recipe, or a network with a norm")
FOR_FEATURES = Diverged(data="the full data for features", remedy="name a network with a norm")
FOR_A_POOL = Diverged(data="the full data for a pool", remedy="name a network with a norm, or lower method.pool_steps")


def check_finite(networks: Sequence[Network], steps: int, diverged: Diverged) -> None:
    """Refuse trained networks with a weight that is not finite: what they answer says nothing of what they trained on.

    A loss that is not finite leaves such weights, and they stay; so one look at the end is enough, and waits for a device once.

    Args:
        networks: on one device.
        steps: that they trained for.
        diverged: what is said of them.

    Raises:
        DivergedError: a weight is not finite.
    """
    weights = [parameter for network in networks for parameter in network.parameters()]
    if torch.stack([weight.isfinite().all() for weight in weights]).all().item():
        return
    value = next(weight[~weight.isfinite()][0].item() for weight in weights if not weight.isfinite().all())
    raise DivergedError(steps, value, f"a weight of a network that trains on {diverged.data}", diverged.remedy)


def _augment_together(images: Tensor, operations: tuple[str, ...], generators: Sequence[torch.Generator]) -> Tensor:
    """Augment (R, B, C, H, W) images, those of each network with its own generator, as `augment_each` would."""
    if not operations:
        return images
    draws = [draw_one_operation(operations, images.shape[1], generator) for generator in generators]
    together = Draw(
        operations=tuple(name for draw in draws for name in draw.operations),
        numbers=torch.cat([draw.numbers for draw in draws]),
    )
    augmented = augment_groups(images.flatten(0, 1).unsqueeze(1), together)
    return augmented.reshape(images.shape)


def _set_rate(optimiser: SGD, recipe: Recipe, step: int) -> None:
    rate = recipe.rate(step)
    if recipe.schedule == "drop" and rate < optimiser.lr:
        optimiser.forget()  # published code creates a new optimiser here
    optimiser.lr = rate


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
