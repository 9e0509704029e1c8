"""Evaluation: new networks by seed, correctness per image, and a learned learning rate that replaces the recipe's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from raydistill.core.evaluate import evaluate_set, network_seeds, train_and_read
from raydistill.core.recipes import RECIPES, EpochRecipe
from raydistill.core.selection import ClassBatches
from raydistill.core.synthetic import SyntheticSet, hard_labels
from raydistill.core.train import ON_A_SET
from raydistill.data.splits import Splits, load_splits
from raydistill.errors import DivergedError
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import DatasetConfig

CPU = torch.device("cpu")
NETWORK = ConvNetConfig(name="convnet", depth=2, width=4)
RECIPE = replace(RECIPES["plain"], steps=20)


@pytest.fixture
def splits() -> Splits:
    return load_splits(DatasetConfig(name="digits"))


@pytest.fixture
def real_set(splits: Splits) -> SyntheticSet:
    """Three real images per class."""
    chosen = ClassBatches(splits.train.labels, 10).draw(3, torch.Generator().manual_seed(0)).flatten()
    return SyntheticSet(images=splits.train.images[chosen], labels=hard_labels(10, 3), ipc=3)


def test_rows_are_networks_and_columns_are_images(splits: Splits, real_set: SyntheticSet) -> None:
    correct = evaluate_set(real_set, splits, splits.select, NETWORK, RECIPE, [1, 2, 3], CPU, diverged=None)
    assert correct.shape == (3, 250)
    assert correct.dtype == np.bool_


def test_a_row_depends_on_its_own_seed_alone(splits: Splits, real_set: SyntheticSet) -> None:
    together = evaluate_set(real_set, splits, splits.select, NETWORK, RECIPE, [1, 2], CPU, diverged=None)
    alone = evaluate_set(real_set, splits, splits.select, NETWORK, RECIPE, [2], CPU, diverged=None)
    assert np.array_equal(together[1:], alone)
    assert not np.array_equal(together[0], together[1])


def test_one_training_is_read_on_several_parts(splits: Splits, real_set: SyntheticSet) -> None:
    images, labels = real_set.images, real_set.labels
    parts = [splits.select, splits.confirm]
    select, confirm = train_and_read(images, labels, splits, parts, NETWORK, RECIPE, 1, CPU, diverged=None)
    assert (len(select), len(confirm)) == (250, 300)
    (again,) = train_and_read(images, labels, splits, [splits.confirm], NETWORK, RECIPE, 1, CPU, diverged=None)
    assert np.array_equal(confirm, again)


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_network_that_diverged_on_a_set_is_an_error_where_that_is_asked(
    splits: Splits, real_set: SyntheticSet, at_once: int
) -> None:
    """A learned rate of 1e30 leaves no weight finite. Networks alone and together are looked at."""
    runaway = replace(real_set, learned_lr=1e30)
    given = (splits, splits.select, NETWORK, RECIPE, [1, 2], CPU)
    with pytest.raises(DivergedError, match=r"a weight of a network that trains on the set is nan at step 20; lower the"):
        evaluate_set(runaway, *given, at_once=at_once, diverged=ON_A_SET)
    assert (evaluate_set(runaway, *given, at_once=at_once, diverged=None).mean(axis=1) < 0.2).all()


def test_a_recipe_in_epochs_counts_them_over_the_set(splits: Splits, real_set: SyntheticSet) -> None:
    """30 images in batches of 16 are two an epoch: ten steps in five epochs."""
    recipe = EpochRecipe(name="short", epochs=5, full_rate_epochs=3, batch=16, augmentation="none")
    in_steps = recipe.for_set(30)
    assert in_steps.steps == 10
    found, expected = (
        evaluate_set(real_set, splits, splits.select, NETWORK, r, [1], CPU, diverged=None) for r in (recipe, in_steps)
    )
    assert np.array_equal(found, expected)


def test_a_learned_rate_takes_the_place_of_the_recipes(splits: Splits, real_set: SyntheticSet) -> None:
    with_rate = replace(real_set, learned_lr=0.5)
    as_recipe = evaluate_set(real_set, splits, splits.select, NETWORK, replace(RECIPE, lr=0.5), [1], CPU, diverged=None)
    as_written = evaluate_set(real_set, splits, splits.select, NETWORK, RECIPE, [1], CPU, diverged=None)
    found = evaluate_set(with_rate, splits, splits.select, NETWORK, RECIPE, [1], CPU, diverged=None)
    assert np.array_equal(found, as_recipe)
    assert not np.array_equal(found, as_written)


def test_a_learned_rate_of_zero_teaches_nothing(splits: Splits, real_set: SyntheticSet) -> None:
    """Whatever the steps, the network stays as it started."""
    stuck = replace(real_set, learned_lr=0.0)
    short, long = (
        evaluate_set(stuck, splits, splits.select, NETWORK, replace(RECIPE, steps=steps), [1], CPU, diverged=None)
        for steps in (1, 20)
    )
    assert np.array_equal(short, long)


def test_soft_labels_are_taken(splits: Splits, real_set: SyntheticSet) -> None:
    """Logits that are sure of the class before it: a network that learns them is right on fewer images than by chance."""
    wrong = replace(real_set, labels=20 * torch.nn.functional.one_hot((real_set.labels + 1) % 10, 10).float())
    right = replace(real_set, labels=20 * torch.nn.functional.one_hot(real_set.labels, 10).float())
    recipe = replace(RECIPE, steps=150)
    fractions = [evaluate_set(s, splits, splits.select, NETWORK, recipe, [1], CPU, diverged=None).mean() for s in (wrong, right)]
    assert fractions[0] < 0.1
    assert fractions[1] > 0.5


def test_the_same_purpose_and_data_give_the_same_seeds() -> None:
    assert network_seeds("trial", "a", 3) == network_seeds("trial", "a", 3)


def test_more_networks_keep_the_seeds_of_fewer() -> None:
    assert network_seeds("trial", "a", 5)[:3] == network_seeds("trial", "a", 3)


def test_purposes_and_data_have_seeds_of_their_own() -> None:
    """Confirming a winner with the networks that chose it would prove nothing."""
    seeds = [*network_seeds("trial", "a", 10), *network_seeds("confirm", "a", 10), *network_seeds("trial", "b", 10)]
    assert len(set(seeds)) == 30


def test_networks_that_train_together_answer_as_alone(splits: Splits, real_set: SyntheticSet) -> None:
    """Rounding may turn an answer near the border; 20 steps leave few images there."""
    alone, together = (
        evaluate_set(real_set, splits, splits.select, NETWORK, RECIPE, [1, 2, 3], CPU, at_once=count, diverged=None)
        for count in (1, 2)
    )
    assert together.shape == alone.shape
    assert (together != alone).mean() < 0.01


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_an_evaluation_ends_after_the_first_network_that_is_enough(splits: Splits, real_set: SyntheticSet, at_once: int) -> None:
    asked: list[int] = []

    def is_enough(correct: np.ndarray) -> bool:
        asked.append(len(correct))
        return len(correct) == 3

    arguments = (real_set, splits, splits.select, NETWORK, replace(RECIPE, steps=2), [1, 2, 3, 4, 5], CPU)
    assert len(evaluate_set(*arguments, at_once=at_once, diverged=None, is_enough=is_enough)) == 3
    assert asked == [1, 2, 3]
