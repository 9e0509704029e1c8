"""Ladders of steps, the cheapest schedule, and when a set has paid for itself."""

from __future__ import annotations

import pytest

from raydistill.uses.schedules import cheapest, ladder, training_macs, trainings_until_paid


def test_the_ladder_doubles_up_to_the_recipes_steps() -> None:
    assert ladder(1600) == (100, 200, 400, 800, 1600)


def test_a_short_recipe_has_fewer_rungs_of_at_least_one_step() -> None:
    """1/16, 1/8 and 1/4 of 4 steps are 0.25, 0.5 and 1: one step each."""
    assert ladder(4) == (1, 2, 4)
    assert ladder(1) == (1,)


def test_a_recipe_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="given 0 steps; a recipe has at least 1"):
        ladder(0)


def test_the_first_rung_that_reaches_the_target_is_taken() -> None:
    """The third reaches 0.9 exactly; that the fourth falls below it again changes nothing."""
    assert cheapest([0.5, 0.89, 0.9, 0.88, 0.95], 0.9) == 2


def test_no_rung_is_taken_where_none_reaches_the_target() -> None:
    assert cheapest([0.5, 0.6], 0.9) is None


def test_a_step_costs_three_forward_passes_of_its_images() -> None:
    """1000 multiply-adds forward, 250 steps of 64 images: 3 x 1000 x 16,000."""
    assert training_macs(1000, 250 * 64) == 48_000_000


@pytest.mark.parametrize(
    ("cost", "full", "of_set", "trainings"),
    [
        (100.0, 10.0, 2.0, 13),  # 100 / 8 = 12.5
        (96.0, 10.0, 2.0, 12),
        (0.0, 10.0, 2.0, 0),
        (100.0, 10.0, 10.0, None),
        (100.0, 10.0, 12.0, None),
    ],
)
def test_a_set_is_paid_for_when_its_savings_reach_its_cost(
    cost: float, full: float, of_set: float, trainings: int | None
) -> None:
    assert trainings_until_paid(cost, full, of_set) == trainings
