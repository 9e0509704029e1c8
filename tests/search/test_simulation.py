"""Simulated problems have their documented properties, and strategies are compared on them by the same rule."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from raydistill.search.seen import Seen
from raydistill.search.simulation.problems import CONFIRM_NETWORKS, Outcome, Problem
from raydistill.search.simulation.race import (
    CONFIRMATIONS,
    STRATEGIES,
    Found,
    Trial,
    ascending,
    descending,
    measure,
    race,
    run_trial,
    run_trials,
)
from raydistill.search.simulation.strategies import PUBLISHED_GRID, Bisection, Grid, RandomSearch, Strategy, Task
from raydistill.search.simulation.with_optuna import PenalisedWithAsha

PROBLEMS = [Problem(number) for number in range(14)]
CERTIFIABLE = [problem for problem in PROBLEMS if problem.smallest_certifiable]


def test_a_problem_follows_from_its_number() -> None:
    again = Problem(3)
    place = np.full(again.dimensions, 0.4)
    assert again.run(5, place, 9) == PROBLEMS[3].run(5, place, 9)
    assert again.run(6, place, 9) != again.run(5, place, 9)


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if p.shape == "law"], ids=lambda p: str(p.number))
def test_the_law_falls_to_its_floor_with_the_root_of_ipc(problem: Problem) -> None:
    """Four times the images halve what is above the floor, at any place."""
    place = np.full(problem.dimensions, 0.3)
    above = [problem.gap(place, ipc) - problem.floor for ipc in (10, 40)]
    assert above[1] == pytest.approx(above[0] / 2)


def rises(problem: Problem) -> bool:
    """Whether the gap at the place that is best for IPC 4 is anywhere higher for more images."""
    gaps = [problem.gap(problem.best_at(4), ipc) for ipc in range(4, problem.highest)]
    return any(later > earlier for earlier, later in itertools.pairwise(gaps))


def test_a_shifting_problem_may_rise_with_ipc_at_a_fixed_place_where_the_law_never_does() -> None:
    """Shapes go by the number modulo 7: 0 is the law, 5 is shifting."""
    assert any(rises(Problem(number)) for number in range(5, 105, 7))
    assert not any(rises(Problem(number)) for number in range(0, 35, 7))


@pytest.mark.parametrize("problem", CERTIFIABLE, ids=lambda p: str(p.number))
def test_the_smallest_certifiable_ipc_is_where_the_confirmation_holds_half_of_the_time(problem: Problem) -> None:
    """At it, and not one below, the gap that the confirm images show of the best set is the half-width within the margin."""
    ipc = problem.smallest_certifiable
    assert ipc is not None
    seen = problem.confirm_shift + problem.baseline_shift + problem.half_width
    assert problem.gap(problem.best_at(ipc), ipc) + seen <= problem.margin + 1e-4
    if ipc > 1 and problem.shape != "wavy":
        assert problem.gap(problem.best_at(ipc - 1), ipc - 1) + seen > problem.margin


def test_readings_of_one_problem_share_the_images_noise() -> None:
    """Of many readings at one place the mean is off by what the select images and the baseline add, whatever the number."""
    problem = CERTIFIABLE[0]
    place, ipc = problem.best_at(100), 100
    outcomes = [problem.run(number, place, ipc) for number in range(400)]
    shared = problem.select_shift + problem.baseline_shift
    errors = [o.gap - o.true_gap for o in outcomes if o.gap is not None]
    assert np.mean(errors) == pytest.approx(shared, abs=4 * problem.network_deviation / math.sqrt(3 * 400))


def test_fresh_networks_average_out_in_a_confirmation() -> None:
    problem = CERTIFIABLE[0]
    reads = [problem.confirm(number, 0.01) for number in range(2000)]
    assert np.std(reads) == pytest.approx(problem.network_deviation / math.sqrt(CONFIRM_NETWORKS), rel=0.1)


def test_no_more_trials_run_at_once_than_there_are_workers() -> None:
    """All asks of a round are made before one is told: 4, then one for each end."""
    told: list[int] = []
    behind: list[int] = []

    class Counts(RandomSearch):
        def ask(self, number: int) -> tuple[tuple[float, ...], int] | None:
            behind.append(number - len(told))
            return super().ask(number)

        def tell(self, seen: Seen) -> None:
            told.append(seen.number)

    trials = run_trials(PROBLEMS[0], Counts(Task(PROBLEMS[0], 12)), 12, workers=4)
    assert sorted(t.seen.number for t in trials) == list(range(12))
    assert behind == [0, 1, 2, 3, *[3] * 8]


def lossy_trial(problem: Problem, strategy: Strategy) -> Trial:
    """The first trial at IPC 1 that does not fail, far from the best place; its half-way reading is above twice the margin."""
    place = (0.0,) * problem.dimensions
    trials = (run_trial(problem, strategy.stops, number, place, 1) for number in range(20))
    return next(t for t in trials if t.outcome.gap is not None)


def test_a_hopeless_trial_stops_half_way_at_half_of_its_cost() -> None:
    problem = PROBLEMS[0]
    ended = lossy_trial(problem, RandomSearch(Task(problem, 12)))
    assert ended.outcome.half_way > 2 * problem.margin
    assert (ended.seen.is_finished, ended.seen.gap) == (False, ended.outcome.half_way)
    assert ended.outcome.cost == pytest.approx(problem.cost(1) / 2)


def test_asha_alone_says_which_of_its_trials_stop() -> None:
    """A third of three go on: the reading of the first, however bad, is the best so far."""
    problem = PROBLEMS[0]
    asha = PenalisedWithAsha(Task(problem, 12))
    asha.ask(0)
    is_stopped = [asha.stops(0, gap, is_hopeless) for gap, is_hopeless in ((0.9, True), (0.01, False), (0.8, True))]
    assert is_stopped == [False, False, True]


def test_the_rung_of_asha_has_the_worst_trials_too() -> None:
    problem = CERTIFIABLE[0]
    asked: list[bool] = []

    class Notes(PenalisedWithAsha):
        def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
            asked.append(is_hopeless)
            return super().stops(number, half_way, is_hopeless)

    trials = run_trials(problem, Notes(Task(problem, 20)), 20, workers=1)
    assert len(asked) == sum(t.outcome.gap is not None for t in trials)
    assert any(asked)


def test_the_grid_is_the_published_one() -> None:
    assert PUBLISHED_GRID == (1, 10, 50, 100, 500, 1000)


def test_the_grid_is_asked_from_the_top() -> None:
    grid = Grid(Task(PROBLEMS[1], 12))
    assert [ask[1] for n in range(3) if (ask := grid.ask(n))] == [50, 10, 1]
    assert grid.ask(3) is None


def test_bisection_halves_the_logarithm_of_ipc() -> None:
    """From 1 to 500 on a log scale: sqrt(0.5 * 500) = 16 is good, sqrt(0.5 * 16) = 3 lossy, sqrt(3 * 16) = 7."""
    bisection = Bisection(Task(PROBLEMS[0], 12), tries=1)
    asked = []
    for number, gap in enumerate((0.0, 0.5, 0.5)):
        place, ipc = bisection.ask(number) or ((), 0)
        asked.append(ipc)
        bisection.tell(Seen(number=number, place=place, ipc=ipc, gap=gap, is_finished=True))
    assert asked == [16, 3, 7]


def trial(number: int, ipc: int, gap: float, true_gap: float) -> Trial:
    outcome = Outcome(
        gap=gap, is_finished=True, is_out_of_memory=False, half_way=gap, is_hopeless=False, true_gap=true_gap, cost=1.0
    )
    return Trial(Seen(number=number, place=(), ipc=ipc, gap=gap, is_finished=True), outcome)


def test_down_ends_at_the_first_fall_and_up_at_the_first_that_holds() -> None:
    """In margins: true gaps of -2 hold and of 3 fall, whatever the noise; 30 falls between 40 and 20."""
    problem = PROBLEMS[0]
    good, bad = -2 * problem.margin, 3 * problem.margin
    trials = [trial(0, 40, 0.0, good), trial(1, 30, 0.001, bad), trial(2, 20, 0.002, good), trial(3, 10, 0.003, bad)]
    (down, down_cost), (up, up_cost) = descending(problem, trials), ascending(problem, trials)
    assert down is not None
    assert up is not None
    assert (down.seen.ipc, up.seen.ipc) == (40, 20)
    assert down_cost == pytest.approx(problem.cost(40) + problem.cost(30))
    assert up_cost == pytest.approx(problem.cost(10) + problem.cost(20))


def test_the_measures_of_three_searches() -> None:
    """Claims of 1.2 and 2 times the smallest and none: one hit of three, geometric mean sqrt(2.4) = 1.55; one claim is false."""
    problems = CERTIFIABLE[:3]
    smallest = [p.smallest_certifiable or 0 for p in problems]
    claims = [(round(1.2 * smallest[0]), False), (2 * smallest[1], True), (None, False)]
    rows = [Found(ipc=ipc, is_false=wrong, search_cost=c, confirm_cost=1.0) for c, (ipc, wrong) in enumerate(claims)]
    score = measure(problems, rows, strategy="x", confirmed="y", trials=1, workers=1, seconds=0.0)
    assert (score.hit_fraction, score.none_fraction, score.false_fraction) == (1 / 3, 1 / 3, 1 / 3)
    assert score.ratio == score.off_by == pytest.approx(math.sqrt(claims[0][0] / smallest[0] * 2))
    assert (score.search_cost, score.false_lower < 1 / 3 < score.false_upper) == (1.0, True)


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "constrained-gp"])
def test_every_strategy_races(strategy: str) -> None:
    scores = race(strategy, list(CONFIRMATIONS), CERTIFIABLE[:2], 8, workers=3)
    assert [score.confirmed for score in scores] == ["descending", "ascending"]
    assert 0 < scores[0].search_cost


def test_a_race_is_the_same_each_time() -> None:
    first, second = (race("law", ["descending"], PROBLEMS[:4], 10, workers=2)[0] for _ in range(2))
    assert first.model_copy(update={"seconds": 0.0}) == second.model_copy(update={"seconds": 0.0})


def test_the_law_comes_nearer_than_random_search() -> None:
    """A small part of what `raydistill bench solver` shows with 210 problems."""
    law, random = (race(name, ["descending"], CERTIFIABLE, 20, workers=1)[0] for name in ("law", "random"))
    assert law.off_by is not None
    assert random.off_by is not None
    assert law.off_by < random.off_by
