"""Evaluates a set: new networks are trained on it, and their accuracy is measured on images that the set was not made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raydistill.core.networks import Network, build_network, initialise
from raydistill.core.recipes import EpochRecipe, Recipe
from raydistill.core.synthetic import SyntheticSet
from raydistill.core.train import Augment, Diverged, Tick, check_finite, is_correct, no_tick, train, train_together
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
    tick: Tick = no_tick,
) -> Network:
    """Initialise and train a network; arguments as in `train_and_read`, `augment` and `tick` as in `train`.

    The generator draws the initialisation first, so the same seed gives the same initial network for any training data.
    """
    generator = torch.Generator().manual_seed(seed)
    fresh = build_network(network, splits.shape, len(splits.class_names), device)
    initialise(fresh, generator)
    inputs = (images.to(device), labels.to(device))
    train(fresh, *inputs, recipe, generator, mirror_keeps_class=splits.mirror_keeps_class, augment=augment, tick=tick)
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
    *,
    diverged: Diverged | None,
    tick: Tick = no_tick,
) -> list[NDArray[np.bool_]]:
    """Train one new network and evaluate it on several splits.

    Args:
        images: (N, C, H, W) preprocessed training images.
        labels: (N,) classes or (N, K) logits.
        splits: the data set, for the image shape, the classes and whether images may be mirrored.
        reads: splits to evaluate on.
        network: architecture.
        recipe: training recipe.
        seed: seed of the initialisation, the batches and the augmentation.
        device: device to train on.
        diverged: what to say of a network with a weight that is not finite; None reads it as it is, which is about chance:
            each caller says why it may.
        tick: called after every step of the training.

    Returns:
        One (n,) boolean array per split: which of its images the network classifies correctly.

    Raises:
        DivergedError: the network has a weight that is not finite, and `diverged` is given.
    """
    fresh = train_fresh(images, labels, splits, network, recipe, seed, device, tick=tick)
    if diverged is not None:
        check_finite([fresh], recipe.steps, diverged)
    return [is_correct(fresh, part.images.to(device), part.labels.to(device)).numpy() for part in reads]


def train_and_read_each(
    images: Tensor,
    labels: Tensor,
    splits: Splits,
    reads: Sequence[LabelledImages],
    network: NetworkConfig,
    recipe: Recipe,
    seeds: Sequence[int],
    device: torch.device,
    *,
    diverged: Diverged | None,
    tick: Tick = no_tick,
) -> list[list[NDArray[np.bool_]]]:
    """Train new networks together, one per seed, and evaluate each on several splits.

    Arguments as in `train_and_read`. Returns what `train_and_read` does, for each seed; a single network trains as it does there.

    Raises:
        DivergedError: a network has a weight that is not finite, and `diverged` is given.
    """
    if len(seeds) == 1:
        return [train_and_read(images, labels, splits, reads, network, recipe, seeds[0], device, diverged=diverged, tick=tick)]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    fresh = [build_network(network, splits.shape, len(splits.class_names), device) for _ in seeds]
    for one, generator in zip(fresh, generators, strict=True):
        initialise(one, generator)
    keeps_class = splits.mirror_keeps_class
    inputs = (images.to(device), labels.to(device))
    train_together(fresh, *inputs, recipe, generators, mirror_keeps_class=keeps_class, tick=tick)
    if diverged is not None:
        check_finite(fresh, recipe.steps, diverged)
    return [[is_correct(one, part.images.to(device), part.labels.to(device)).numpy() for part in reads] for one in fresh]


def evaluate_set(
    synthetic: SyntheticSet,
    splits: Splits,
    part: LabelledImages,
    network: NetworkConfig,
    recipe: Recipe | EpochRecipe,
    seeds: Sequence[int],
    device: torch.device,
    *,
    at_once: int = 1,
    diverged: Diverged | None,
    is_enough: Callable[[NDArray[np.bool_]], bool] = lambda correct: False,
    tick: Tick = no_tick,
) -> NDArray[np.bool_]:
    """(R, n) booleans: which of the n images of `part` each of R new networks classifies correctly after training on the set.

    Networks are trained on the decoded images. The epochs of an `EpochRecipe` are counted over the stored ones, so that sets of
    equal bytes train for equally many steps, whatever their factor. A learned learning rate of the set replaces the recipe's.

    Args:
        synthetic: the set.
        splits: the data set.
        part: images to evaluate on.
        network: architecture.
        recipe: training recipe.
        seeds: one per network.
        device: device to train on.
        at_once: networks that train together.
        diverged: as in `train_and_read`.
        is_enough: asked after each network, with the answers so far; True ends the evaluation there.
        tick: called after every step of a training.

    Raises:
        DivergedError: a network has a weight that is not finite, and `diverged` is given.
    """
    in_steps = with_learned_rate(recipe.for_set(len(synthetic.images)), synthetic)
    seen = synthetic.decoded()
    rows: list[NDArray[np.bool_]] = []
    for first in range(0, len(seeds), at_once):
        group = seeds[first : first + at_once]
        of_group = train_and_read_each(
            seen.images, seen.labels, splits, [part], network, in_steps, group, device, diverged=diverged, tick=tick
        )
        for (row,) in of_group:
            rows.append(row)
            if is_enough(np.array(rows)):
                return np.array(rows)
    return np.array(rows)


def network_seeds(purpose: str, data_sha256: str, count: int) -> list[int]:
    """Seeds of `count` evaluation networks; equal purpose and data give equal seeds, so all sets meet the same networks."""
    return [derive_seed("network", purpose, data_sha256, index) for index in range(count)]


def with_learned_rate(recipe: Recipe, synthetic: SyntheticSet) -> Recipe:
    """The recipe with the set's learned learning rate, if the set has one."""
    return recipe if synthetic.learned_lr is None else replace(recipe, lr=synthetic.learned_lr)
