"""Where the network of a matching update comes from: a fresh one each time, or a pool of partly trained ones.

A pool holds pairs: a network's initial weights theta_0, and its weights theta_T after training on the train part. For an update
one pair is drawn, and s evenly from a range:

    theta = (1 - s) theta_0 + s theta_T.

Images can be held to be right for the pair's trained network as well: the cross-entropy of their labels under theta_T, with a
weight beta (calibration). The pool is made from one draw of the distillation's generator and lies in its checkpoint.

Symbols: P parameters, M pairs; s is DANCE's 1 - lambda.

Source: Zhang et al., "DANCE: Dual-View Distribution Alignment for Dataset Condensation", IJCAI 2024: networks between initial and
trained weights, and the calibration by trained ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from raydistill.core.contract import Checkpoint, TrainPart
from raydistill.core.networks import Network, build_network, initialise
from raydistill.core.recipes import IN_STEPS
from raydistill.core.train import FOR_A_POOL, check_finite, train
from raydistill.core.unroll import flatten, logits_by_parameters
from raydistill.spaces.network import NetworkConfig


class Networks(Protocol):
    """Gives each update its network."""

    def draw(self, model: Network, generator: torch.Generator) -> None:
        """Set a model's parameters to those of the next network."""

    def calibration(self, images: Tensor, labels: Tensor) -> Tensor:
        """The cross-entropy of images under the trained network of the last draw, a scalar; 0 without one."""

    def state(self) -> Mapping[str, Tensor]:
        """What a checkpoint keeps."""


class PoolSettings(Protocol):
    """The fields of a method's config that shape a pool."""

    @property
    def pool(self) -> int:
        """M; 0 is fresh networks."""

    @property
    def pool_steps(self) -> int:
        """Optimiser steps of each trained network."""

    @property
    def trained_share(self) -> tuple[float, float]:
        """Lowest and highest s."""


class FreshNetworks:
    """A new initialisation for every draw."""

    def draw(self, model: Network, generator: torch.Generator) -> None:
        """Initialise the model."""
        initialise(model, generator)

    def calibration(self, images: Tensor, labels: Tensor) -> Tensor:
        """0: no network is trained."""
        del labels
        return images.new_zeros(())

    def state(self) -> Mapping[str, Tensor]:
        """Nothing: the generator's state is enough."""
        return {}


class NetworkPool:
    """Pairs of initial and trained weights; each draw takes one pair."""

    def __init__(self, weights: Tensor, share: tuple[float, float], blank: Network, pair: int = 0) -> None:
        """A pool that exists.

        Args:
            weights: (M, 2, P) initial and trained weights of each pair.
            share: lowest and highest s.
            blank: a network of the architecture, on any device.
            pair: that of the last draw.
        """
        self.weights = weights
        self._share = share
        self._logits = logits_by_parameters(blank)
        self._pair = pair

    def draw(self, model: Network, generator: torch.Generator) -> None:
        """Set the model to weights between those of a random pair."""
        self._pair = int(torch.randint(len(self.weights), (), generator=generator))
        low, high = self._share
        share = low + (high - low) * float(torch.rand((), generator=generator))
        start, trained = self.weights[self._pair]
        set_parameters(model, torch.lerp(start, trained, share))

    def calibration(self, images: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy under the trained weights of the last pair."""
        return functional.cross_entropy(self._logits(self.weights[self._pair, 1], images), labels)

    def state(self) -> Mapping[str, Tensor]:
        """The weights, and the pair of the last draw."""
        return {"pool": self.weights, "pool.pair": torch.tensor(self._pair)}


def networks_of(
    train_part: TrainPart,
    network: NetworkConfig,
    settings: PoolSettings,
    *,
    generator: torch.Generator,
    checkpoint: Checkpoint,
) -> Networks:
    """Fresh networks, or a pool: from the checkpoint where it has one, otherwise trained now.

    Args:
        train_part: the real images.
        network: architecture.
        settings: of the pool; without pairs the networks are fresh.
        generator: on the CPU; gives the pool's seeds in one draw.
        checkpoint: of the distillation.
    """
    pairs, steps, share = settings.pool, settings.pool_steps, settings.trained_share
    if not pairs:
        return FreshNetworks()
    device = train_part.images.device
    blank = build_network(network, train_part.shape, train_part.classes, device).train()
    blank.requires_grad_(False)
    seeds = torch.randint(2**62, (pairs,), generator=generator).tolist()
    saved = checkpoint.load()
    if saved is not None:
        return NetworkPool(saved["pool"].to(device), share, blank, int(saved["pool.pair"]))
    weights = torch.stack([train_pair(train_part, network, steps, torch.Generator().manual_seed(seed)) for seed in seeds])
    return NetworkPool(weights, share, blank)


def train_pair(part: TrainPart, network: NetworkConfig, steps: int, generator: torch.Generator) -> Tensor:
    """(2, P) a network's weights as it begins, and after some steps of the default recipe on the train part.

    Raises:
        DivergedError: a weight of it is not finite then.
    """
    built = build_network(network, part.shape, part.classes, part.images.device)
    initialise(built, generator)
    start = flatten(built)
    recipe = next(recipe for recipe in IN_STEPS if recipe.name == "default")
    labels = part.labels.to(part.images.device)
    given = (part.images, labels, replace(recipe, steps=steps), generator)
    train(built, *given, mirror_keeps_class=part.mirror_keeps_class, tick=part.tick)
    check_finite([built], steps, FOR_A_POOL)
    return torch.stack([start, flatten(built)])


@torch.no_grad()
def set_parameters(model: Network, flat: Tensor) -> None:
    """Set a model's parameters to (P,) values in the order of `unroll.flatten`."""
    parameters = list(model.parameters())
    for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        parameter.copy_(part.view_as(parameter))
