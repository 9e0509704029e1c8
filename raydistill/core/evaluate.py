"""What a set is worth: fresh networks trained on it, read on images that it was not made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raydistill.core.networks import Network, build_network, initialise
from raydistill.core.recipes import EpochRecipe, Recipe
from raydistill.core.synthetic import SyntheticSet
from raydistill.core.train import Augment, is_correct, train
from raydistill.data.splits import LabelledImages, Splits
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.sections import derive_seed


def train_fresh(
    images: Tensor,
    labels: Tensor,
    splits: Splits,
    network: NetworkConfig,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    *,
    augment: Augment | None = None,
) -> Network:
    """A network, initialised and trained; arguments as in `train_and_read`, `augment` as in `train`.

    The initialisation is the first that the seed decides, so the same seed starts the same network whatever it learns from.
    """
    generator = torch.Generator().manual_seed(seed)
    fresh = build_network(network, splits.shape, len(splits.class_names), device)
    initialise(fresh, generator)
    keeps_class = splits.mirror_keeps_class
    train(fresh, images.to(device), labels.to(device), recipe, generator, mirror_keeps_class=keeps_class, augment=augment)
    return fresh


def train_and_read(
    images: Tensor,
    labels: Tensor,
    splits: Splits,
    reads: Sequence[LabelledImages],
    network: NetworkConfig,
    recipe: Recipe,
    seed: int,
    device: torch.device,
) -> list[NDArray[np.bool_]]:
    """Train one fresh network and read it on several parts.

    Args:
        images: (N, C, H, W), standardised; what the network learns from.
        labels: (N,) classes or (N, K) logits.
        splits: the data set, for its shape, its classes and whether it may be mirrored.
        reads: parts to read accuracy on.
        network: architecture.
        recipe: how it is trained.
        seed: shapes the initialisation, the batches and the augmentation.
        device: where it trains.

    Returns:
        One (n,) boolean array per part: which of its images the network gets right.
    """
    fresh = train_fresh(images, labels, splits, network, recipe, seed, device)
    return [is_correct(fresh, part.images.to(device), part.labels.to(device)).numpy() for part in reads]


def evaluate_set(
    synthetic: SyntheticSet,
    splits: Splits,
    part: LabelledImages,
    network: NetworkConfig,
    recipe: Recipe | EpochRecipe,
    seeds: Sequence[int],
    device: torch.device,
) -> NDArray[np.bool_]:
    """(R, n) booleans: which of a part's n images each of R fresh networks gets right after training on the set.

    A recipe in epochs counts them over the set. A learned rate, where the set has one, takes the place of the recipe's.
    """
    in_steps = with_learned_rate(recipe.for_set(len(synthetic.images)), synthetic)
    rows = [
        train_and_read(synthetic.images, synthetic.labels, splits, [part], network, in_steps, seed, device)[0] for seed in seeds
    ]
    return np.array(rows)


def network_seeds(purpose: str, data_sha256: str, count: int) -> list[int]:
    """Seeds of `count` evaluation networks; the same purpose and data give the same ones, so sets are compared on equal terms."""
    return [derive_seed("network", purpose, data_sha256, index) for index in range(count)]


def with_learned_rate(recipe: Recipe, synthetic: SyntheticSet) -> Recipe:
    """The recipe at the set's own learning rate, where it has one."""
    return recipe if synthetic.learned_lr is None else replace(recipe, lr=synthetic.learned_lr)
