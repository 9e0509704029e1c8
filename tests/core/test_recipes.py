"""Recipes: published recipes converted to steps, and the schedules by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raydistill.core.choices import DSA, parse_operations
from raydistill.core.recipes import ALL_SIX, EPOCH_RECIPES, RECIPES, EpochRecipe, Recipe


def test_recipes_go_by_their_names() -> None:
    assert all(name == recipe.name for name, recipe in RECIPES.items())
    assert {name for name, recipe in RECIPES.items() if isinstance(recipe, EpochRecipe)} == EPOCH_RECIPES


@pytest.mark.parametrize(
    ("name", "images", "steps"),
    [
        ("dsa_dm", 100, 1001),
        ("dsa_dm", 500, 2002),
        ("dc", 100, 301),
        ("datadam", 100, 3602),
        ("datadam", 500, 14_408),
        ("datm", 500, 4004),
        ("datm", 10_000, 79_079),
        ("dc_bench", 500, 602),
        ("dc_bench_dsa", 500, 2002),
        ("report_as_run", 100, 51),
        ("report_as_run", 1000, 204),
        ("report_table_5", 100, 51),
        ("report_as_specified", 100, 50),
        ("report_as_specified", 60_000, 11_750),
    ],
)
def test_epochs_become_the_published_number_of_steps(name: str, images: int, steps: int) -> None:
    """1801 epochs of ceil(100 / 64) = 2 batches are 3602; 1001 of ceil(10,000 / 128) = 79 are 79,079; 51 of 4 are 204."""
    assert RECIPES[name].for_set(images).steps == steps


@pytest.mark.parametrize(
    ("name", "images", "last_at_full_rate"),
    [("dsa_dm", 100, 501), ("dsa_dm", 500, 1003), ("datadam", 100, 1803), ("report_as_run", 100, 26)],
)
def test_the_rate_drops_after_the_epoch_of_the_published_index(name: str, images: int, last_at_full_rate: int) -> None:
    """Index 1000 // 2 + 1 = 501 is the 502nd epoch: with one batch an epoch step 501 is the last, with two 1003.

    DataDAM: index 901, 902 epochs of two batches. The report: index 26.
    """
    recipe = RECIPES[name].for_set(images)
    assert recipe.rate(last_at_full_rate) == 0.01
    assert recipe.rate(last_at_full_rate + 1) == pytest.approx(0.001)


def test_published_recipes_share_their_optimiser_but_for_the_weight_decay_of_the_report_as_specified() -> None:
    for name in EPOCH_RECIPES:
        recipe = RECIPES[name].for_set(100)
        decay = 0.0 if name == "report_as_specified" else 5e-4
        assert (recipe.lr, recipe.momentum, recipe.weight_decay) == (0.01, 0.9, decay)


def test_the_report_as_specified_falls_along_a_cosine() -> None:
    """0.01 * (1 + cos(pi / 2)) / 2 = 0.005 half-way."""
    recipe = RECIPES["report_as_specified"].for_set(100)
    assert (recipe.rate(0), recipe.rate(25)) == (0.01, pytest.approx(0.005))


@pytest.mark.parametrize("name", ["default", "long", "plain"])
def test_a_recipe_in_steps_is_the_same_for_every_set(name: str) -> None:
    assert RECIPES[name].for_set(1) is RECIPES[name].for_set(10**6)


def test_the_numbers_of_the_projects_own_recipes_stand() -> None:
    """Existing records refer to these names, so their numbers must not change."""
    own = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "schedule": "cosine", "batch": 64}
    for name, steps, augmentation in (
        ("default", 1000, "dsa"),
        ("long", 2000, "dsa"),
        ("plain", 500, "none"),
        ("affine", 1000, "affine"),
    ):
        assert RECIPES[name] == Recipe(name=name, steps=steps, augmentation=augmentation, **own)  # type: ignore[arg-type]


def test_all_six_operations_are_those_of_dsa() -> None:
    assert sorted(parse_operations(ALL_SIX, mirror_keeps_class=False)) == sorted(DSA)


def test_recipes_describe_themselves() -> None:
    assert str(RECIPES["dsa_dm"]) == "dsa_dm: 1001 epochs of batches of 256, augmentation dsa"
    assert str(RECIPES["dsa_dm"].for_set(100)) == (
        "dsa_dm: SGD, lr 0.01 (x 0.1 after 0.501 of the steps), momentum 0.9, weight decay 0.0005, "
        "1001 steps of 256 images, augmentation dsa"
    )


def test_a_drop_stays_at_its_place_when_the_steps_are_doubled() -> None:
    """27 of 51 steps, 54 of 102."""
    doubled = RECIPES["report_as_run"].for_set(100).doubled()
    assert (doubled.steps, doubled.rate(53), doubled.rate(54)) == (102, 0.01, pytest.approx(0.001))


def test_half_of_the_steps_is_where_a_drop_is_by_default() -> None:
    recipe = replace(RECIPES["plain"].for_set(1), schedule="drop", lr=1.0, steps=4)
    assert [recipe.rate(step) for step in range(4)] == pytest.approx([1.0, 1.0, 0.1, 0.1])


def test_a_triangle_rises_for_a_fifth_of_the_steps_and_falls_to_the_end() -> None:
    """Ten steps: two rise, 1/2 and 2/2; then (10 - step) / 8, so 8/8 at step 2 and 1/8 at step 9."""
    recipe = replace(RECIPES["plain"].for_set(1), schedule="triangle", lr=1.0, steps=10)
    expected = [1 / 2, 1.0, *((10 - step) / 8 for step in range(2, 10))]
    assert [recipe.rate(step) for step in range(10)] == pytest.approx(expected)


def test_a_recipe_with_smoothing_and_a_triangle_says_so() -> None:
    recipe = replace(RECIPES["plain"].for_set(1), schedule="triangle", label_smoothing=0.1)
    assert str(recipe) == (
        "plain: SGD, lr 0.05 (triangle), momentum 0.9, weight decay 0.0005, label smoothing 0.1, 500 steps of 64 images, "
        "augmentation none"
    )
