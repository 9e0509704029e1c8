"""The law of the gap, fitted to readings of known laws."""

from __future__ import annotations

import numpy as np
import pytest

from raydistill.search.law import EXPONENT_WEIGHTS, LawModel
from raydistill.search.seen import Columns, Seen


def seen(number: int, ipc: int, gap: float | None, place: tuple[float, ...] = (), is_finished: bool = True) -> Seen:
    return Seen(number=number, place=place, ipc=ipc, gap=gap, is_finished=is_finished)


def law_of(rows: list[Seen], ordered: list[bool] | None = None) -> LawModel:
    return LawModel(Columns.of(rows), ordered=ordered or [], margin=0.02, anchor=10)


def test_without_readings_the_model_is_what_is_believed_beforehand() -> None:
    """A floor of 0.3 margins, 0.006, give or take half a margin."""
    model = law_of([seen(0, 10, None)])
    assert model.weights == pytest.approx(EXPONENT_WEIGHTS)
    assert model.floor() == (pytest.approx(0.006), pytest.approx(0.01))


def test_a_square_root_law_is_found() -> None:
    """gap = 0.004 + 0.04 / sqrt(k): 0.024 at 4 and 0.006 at 400."""
    model = law_of([seen(i, k, 0.004 + 0.04 / k**0.5) for i, k in enumerate((4, 9, 25, 64, 100, 400) * 3)])
    floor, deviation = model.floor()
    assert model.likeliest.exponent == 0.5
    assert floor == pytest.approx(0.004, abs=0.001)
    assert 0 < deviation < 0.002


def test_another_exponent_is_distinguished() -> None:
    model = law_of([seen(i, k, 0.004 + 0.1 / k) for i, k in enumerate((4, 9, 25, 64, 100, 400) * 3)])
    assert model.likeliest.exponent == 1.0


def test_the_best_place_is_found() -> None:
    """b is least at 0.3 in the first number, and at the second option of a choice of two."""
    draw = np.random.default_rng(0)
    rows = []
    for number in range(30):
        x, option = draw.uniform(), int(draw.integers(2))
        b = 0.05 * (1 + 4 * (x - 0.3) ** 2 + 0.3 * (1 - option))
        rows.append(seen(number, 16, 0.002 + b / 4, (x, 1.0 - option, float(option))))
    model = law_of(rows, [True, False, False])
    grid = np.array([(x, 1 - o, o) for x in np.linspace(0, 1, 41) for o in (0, 1)])
    best = grid[np.argmin(model.b(model.likeliest.mean, grid))]
    assert best[0] == pytest.approx(0.3, abs=0.06)
    assert best[2] == 1


def test_a_stopped_trial_says_less_than_a_finished_one() -> None:
    finished, stopped = (law_of([seen(0, 10, 0.05, is_finished=f)]).floor()[1] for f in (True, False))
    assert finished < stopped


def test_cold_draws_are_the_mean() -> None:
    model = law_of([seen(0, 10, 0.05)])
    law, coefficients = model.draw(np.random.default_rng(0), heat=0.0)
    assert coefficients == pytest.approx(law.mean)


def of_arm(own: list[Seen], others: list[Seen]) -> LawModel:
    return LawModel(Columns.of(own), ordered=[], margin=0.02, anchor=10, others=[Columns.of(others)])


def other_arm(floor: float, b: float) -> list[Seen]:
    return [seen(i, k, floor + b / k**0.5, (0.2, 0.9)) for i, k in enumerate((4, 9, 25, 64, 100, 400) * 4)]


def expected(model: LawModel, ipc: int) -> float:
    law = model.likeliest
    return float(0.02 * (law.mean[0] + law.mean[1] * (10 / ipc) ** law.exponent))


def test_an_arm_without_trials_begins_at_the_law_of_the_others() -> None:
    """0.004 + 0.1 / sqrt(25) = 0.024, whatever the places of the others."""
    assert expected(of_arm([], other_arm(0.004, 0.1)), 25) == pytest.approx(0.024, rel=0.15)


def test_an_arm_without_trials_is_less_certain_than_the_others() -> None:
    told = other_arm(0.004, 0.1)
    own = law_of([seen(s.number, s.ipc, s.gap) for s in told])
    assert of_arm([], told).floor()[1] > 2 * own.floor()[1]


def test_an_arm_with_trials_stands_on_its_own() -> None:
    """Its own law is 0.002 + 0.03 / sqrt(k), 0.008 at 25; the others' would be 0.044."""
    own = [seen(i, k, 0.002 + 0.03 / k**0.5) for i, k in enumerate((4, 9, 25, 64) * 4)]
    assert expected(of_arm(own, other_arm(0.004, 0.2)), 25) == pytest.approx(0.008, rel=0.1)


def test_others_without_a_gap_say_nothing() -> None:
    assert of_arm([], [seen(0, 10, None)]).floor() == law_of([]).floor()


def test_where_the_others_have_a_high_floor_so_has_the_first_guess() -> None:
    """A floor of 0.03 raises the guess of 0.006."""
    assert of_arm([], other_arm(0.03, 0.1)).floor()[0] > 2 * law_of([]).floor()[0]
