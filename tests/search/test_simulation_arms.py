"""Simulated races: arms that share their noise, and strategies that are compared by the same rule."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from raydistill.search.seen import Seen
from raydistill.search.simulation.arm_race import (
    RACE_STRATEGIES,
    ArmTrial,
    RaceFound,
    RaceTask,
    conclude_race,
    is_right,
    measure_race,
    race_arms,
    run_race,
)
from raydistill.search.simulation.arms import CONTROLS, Arm, RaceProblem
from raydistill.search.simulation.problems import Outcome
from raydistill.search.simulation.race import Trial, run_trial

RACES = [RaceProblem(number) for number in range(12)]
DECIDABLE = [race for race in RACES if race.smallest_certifiable]


def test_a_race_follows_from_its_number() -> None:
    again = RaceProblem(3)
    place = np.full(again.arms[0].dimensions, 0.4)
    assert [arm.label for arm in again.arms] == [arm.label for arm in RACES[3].arms]
    assert again.arms[0].run(5, place, 9) == RACES[3].arms[0].run(5, place, 9)


@pytest.mark.parametrize("race", RACES, ids=lambda race: str(race.number))
def test_a_race_has_3_to_6_arms_methods_before_controls(race: RaceProblem) -> None:
    sides = [arm.is_control for arm in race.arms]
    assert 3 <= len(set(race.arms)) <= 6
    assert sides == sorted(sides)
    assert set(sides) == {False, True}
    assert all(arm.dimensions == 0 if arm.is_control else arm.dimensions in (2, 3) for arm in race.arms)


@pytest.mark.parametrize("race", RACES, ids=lambda race: str(race.number))
def test_arms_share_the_images_and_the_baseline(race: RaceProblem) -> None:
    shared = {(a.margin, a.select_shift, a.confirm_shift, a.baseline_shift, a.highest, a.set_deviation) for a in race.arms}
    assert len(shared) == 1


def test_each_side_is_confirmed_with_its_share() -> None:
    """Of an error of 5 % the methods have half and the controls a quarter: normal quantiles 1.960 and 2.241."""
    race = RACES[0]
    widths = {arm.is_control: arm.half_width for arm in race.arms}
    assert widths[True] / widths[False] == pytest.approx(2.2414 / 1.9600, abs=1e-4)


def test_there_are_races_that_a_control_wins_and_ones_where_nothing_is_lossless() -> None:
    assert {race.best.is_control for race in DECIDABLE} == {False, True}
    assert 0 < len(DECIDABLE) < len(RACES)


def test_a_control_costs_less_than_any_method() -> None:
    for race in RACES:
        costs = {side: [arm.cost(10) for arm in race.arms if arm.is_control == side] for side in (True, False)}
        assert max(costs[True]) < min(costs[False])


def test_a_control_is_not_stopped_half_way() -> None:
    control = next(arm for arm in RACES[0].arms if arm.is_control)
    outcomes = [run_trial(control, lambda *_: True, n, (), 1).outcome for n in range(9)]
    outcome = next(o for o in outcomes if o.gap is not None)
    assert outcome.is_hopeless
    assert outcome.is_finished


def ended(arm: Arm, number: int, ipc: int, gap: float, true_gap: float) -> ArmTrial:
    outcome = Outcome(
        gap=gap, is_finished=True, is_out_of_memory=False, half_way=gap, is_hopeless=False, true_gap=true_gap, cost=1.0
    )
    return ArmTrial(arm, Trial(Seen(number=number, place=(), ipc=ipc, gap=gap, is_finished=True), outcome))


def test_each_side_is_a_sequence_of_its_own() -> None:
    """The method's fall at 30 leaves its 40; the control still gets to 20, the smallest claim."""
    race = RACES[0]
    method, control = race.arms[0], race.arms[-1]
    good, bad = -2 * race.margin, 3 * race.margin
    trials = [
        ended(method, 0, 40, 0.0, good),
        ended(method, 1, 30, 0.001, bad),
        ended(control, 2, 25, 0.0, good),
        ended(control, 3, 20, 0.002, good),
    ]
    found = conclude_race(race, trials)
    assert (found.arm, found.ipc, found.is_false, found.trials, found.of_controls) == (control, 20, False, 4, 2)
    assert conclude_race(race, trials[:2]).ipc == 40
    assert found.confirm_cost == pytest.approx(sum(method.reading_cost(ipc) for ipc in (40, 30, 25, 20)))


def found_at(arm: Arm | None, ipc: int | None, cost: float = 1.0) -> RaceFound:
    return RaceFound(arm=arm, ipc=ipc, is_false=False, trials=4, of_controls=1, search_cost=cost, confirm_cost=1.0)


def test_right_is_the_arm_and_its_ipc() -> None:
    """Within 25 % in IPC, by an arm that can be confirmed within 25 % of the best."""
    race, smallest = next((r, r.smallest_certifiable) for r in DECIDABLE if r.smallest_certifiable)
    worse = next(a for a in race.arms if a.smallest_certifiable is None or a.smallest_certifiable > 2 * smallest)
    assert is_right(race, found_at(race.best, round(1.2 * smallest)))
    assert not is_right(race, found_at(race.best, 2 * smallest))
    assert not is_right(race, found_at(worse, smallest))
    assert not is_right(race, found_at(None, None))


def test_the_measures_of_two_races() -> None:
    """Costs of 2 and 8 against 1 and 1: geometric mean 4, sum 5. Of differences 0 and -1 the mean is -0.5, and the standard
    deviation 0.5: 1.96 * 0.5 / sqrt(2) = 0.693."""
    races = DECIDABLE[:2]
    told = [found_at(race.best, race.smallest_certifiable) for race in races]
    rows = [dataclasses.replace(told[0], search_cost=2.0), found_at(None, None, cost=8.0)]
    score = measure_race(races, rows, told, strategy="x", trials=4, workers=1, seconds=0.0)
    assert (score.right_fraction, score.arm_fraction, score.none_fraction, score.off_by) == (0.5, 0.5, 0.5, 1.0)
    assert (score.cost_ratio, score.mean_cost_ratio) == (pytest.approx(4.0), 5.0)
    assert (score.mean_trials, score.control_fraction) == (4.0, 0.25)
    assert score.right_lower < 0.5 < score.right_upper
    pairs = (score.right_minus_told, score.right_minus_told_lower, score.right_minus_told_upper)
    assert pairs == pytest.approx((-0.5, -1.193, 0.193), abs=1e-3)


def test_a_race_ends_when_its_cost_is_spent() -> None:
    race = RACES[1]
    strategy = RACE_STRATEGIES["random"](RaceTask(race, 50), race)
    costs = [t.trial.outcome.cost for t in run_race(race, strategy, 50, 1, cost=10.0)]
    assert sum(costs[:-1]) < 10 <= sum(costs)


@pytest.mark.parametrize("strategy", [name for name in RACE_STRATEGIES if name != "constrained-gp"])
def test_every_strategy_races_with_several_workers(strategy: str) -> None:
    (score,) = race_arms([strategy], DECIDABLE[:2], 8, workers=3)
    assert score.cost_ratio > 0
    assert score.mean_trials >= 1


def test_the_others_get_a_cost_and_not_a_number_of_trials() -> None:
    law, random = race_arms(["law", "random"], DECIDABLE[:3], 10, workers=1)
    assert law.mean_trials == 10
    assert 10 < random.mean_trials <= 40


def test_told_asks_the_best_arm_alone() -> None:
    race = DECIDABLE[0]
    trials = run_race(race, RACE_STRATEGIES["told"](RaceTask(race, 5), race), 5, 1)
    assert {t.arm.label for t in trials} == {race.best.label}
    assert race.best.is_control == (race.best.label in CONTROLS)


def test_a_race_is_the_same_each_time() -> None:
    first, second = (race_arms(["law"], RACES[:3], 10, workers=2)[0] for _ in range(2))
    assert first.model_copy(update={"seconds": 0.0}) == second.model_copy(update={"seconds": 0.0})


def test_an_arms_gap_falls_with_ipc_where_it_follows_the_law() -> None:
    arm = next(a for r in RACES for a in r.arms if a.is_control and a.shape == "law")
    gaps = [arm.gap(np.empty(0), ipc) for ipc in range(1, 40)]
    assert all(later < earlier for earlier, later in itertools.pairwise(gaps))
