"""Runs search strategies on simulated problems, confirms their candidates, and compares the results with the known solutions."""

from __future__ import annotations

import heapq
import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
from scipy import stats

from raydistill.search.ladder import Rung, ladder
from raydistill.search.seen import Seen
from raydistill.search.simulation.problems import Outcome, Problem
from raydistill.search.simulation.strategies import Bisection, ByLaw, Grid, RandomSearch, Strategy, Task
from raydistill.search.simulation.with_optuna import Constrained, ConstrainedGP, PenalisedWithAsha, StepDown
from raydistill.spaces.sections import Config

STRATEGIES: dict[str, Callable[[Task], Strategy]] = {
    "law": ByLaw,
    "grid": Grid,
    "bisection": lambda task: Bisection(task, tries=1),
    "bisection-study": lambda task: Bisection(task, tries=max(2, task.budget // 6)),
    "random": RandomSearch,
    "tune-asha": PenalisedWithAsha,
    "constrained-tpe": Constrained,
    "constrained-gp": ConstrainedGP,
    "step-down": StepDown,
}
T = TypeVar("T")
Stops = Callable[[int, float, bool], bool]
"""`Strategy.stops`."""
NEAR = 1.25
"""A claimed IPC within this factor of the smallest certifiable IPC is a hit."""


class Trial(NamedTuple):
    """An ended trial."""

    seen: Seen
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The result of one search."""

    ipc: int | None
    """IPC that is claimed to be lossless; None if there is none."""
    is_false: bool
    """Whether the claimed set's true gap is above the margin."""
    search_cost: float
    confirm_cost: float


class Score(Config):
    """The results of a strategy over all problems; a row of the table."""

    strategy: str
    confirmed: str
    """Order of the confirmation, a key of `CONFIRMATIONS`."""
    trials: int
    """Budget of each search."""
    workers: int
    problems: int
    hit_fraction: float
    """Fraction of the problems with a certifiable IPC whose claim is within 25 % of the smallest certifiable IPC."""
    none_fraction: float
    """Fraction of these problems without a claim."""
    ratio: float | None
    """Claimed IPC divided by the smallest certifiable one; geometric mean over claims."""
    off_by: float | None
    """The same as a factor above 1, in either direction."""
    false_fraction: float
    """Fraction of false claims, over all problems."""
    false_lower: float
    """Lower end of the two-sided 95 % Clopper-Pearson interval of `false_fraction`; `false_upper` is the upper end."""
    false_upper: float
    search_cost: float
    """Median cost of a search, in trials at the smallest certifiable IPC."""
    confirm_cost: float
    """Median cost of the confirmation, in the same unit."""
    seconds: float
    """Run time of the simulation."""


def at_once(
    start: Callable[[int], T | None],
    end: Callable[[T], None],
    cost: Callable[[T], float],
    *,
    seed: int,
    budget: int,
    workers: int,
) -> list[T]:
    """Run trials side by side; returns them in the order in which they ended. A trial takes its cost times a random factor.

    Args:
        start: starts the trial of a number; None to wait for a running one, or to end if none runs.
        end: told each trial when it ends.
        cost: of a trial.
        seed: of the random factors.
        budget: number of trials.
        workers: trials at the same time.
    """
    ended: list[T] = []
    running: list[tuple[float, int, T]] = []
    now, number = 0.0, 0
    while True:
        while len(running) < workers and number < budget and (trial := start(number)) is not None:
            delay = float(np.random.default_rng([seed, 4, number]).lognormal(0, 0.3))
            heapq.heappush(running, (now + cost(trial) * delay, number, trial))
            number += 1
        if not running:
            return ended
        now, _, trial = heapq.heappop(running)
        end(trial)
        ended.append(trial)


def run_trials(problem: Problem, strategy: Strategy, budget: int, workers: int) -> list[Trial]:
    """Run a search; returns its trials in the order in which they ended."""

    def start(number: int) -> Trial | None:
        asked = strategy.ask(number)
        return None if asked is None else run_trial(problem, strategy.stops, number, *asked)

    return at_once(
        start,
        lambda trial: strategy.tell(trial.seen),
        lambda trial: trial.outcome.cost,
        seed=problem.number,
        budget=budget,
        workers=workers,
    )


def run_trial(problem: Problem, stops: Stops, number: int, place: tuple[float, ...], ipc: int) -> Trial:
    """Run a trial; a strategy is asked about every half-way reading, also those of trials that raydistill would stop."""
    outcome = problem.run(number, np.array(place), ipc)
    if problem.is_distilled and outcome.gap is not None:
        is_stopped = stops(number, outcome.half_way, outcome.is_hopeless)
        if is_stopped and outcome.is_finished:
            outcome = replace(outcome, gap=outcome.half_way, is_finished=False, cost=outcome.cost / 2)
    seen = Seen(
        number=number,
        place=place,
        ipc=ipc,
        gap=outcome.gap,
        is_finished=outcome.is_finished,
        is_out_of_memory=outcome.is_out_of_memory,
    )
    return Trial(seen, outcome)


def descending(problem: Problem, trials: Sequence[Trial]) -> tuple[Trial | None, float]:
    """The claim by the fixed-sequence test of a real search (from the largest candidate down), and the cost of confirmation."""
    by_number = {trial.seen.number: trial for trial in trials}
    claim, cost = None, 0.0
    for rung in ladder(_rungs(trials), problem.margin):
        cost += problem.reading_cost(rung.ipc)
        if not _holds(problem, by_number[rung.number]):
            break
        claim = by_number[rung.number]
    return claim, cost


def ascending(problem: Problem, trials: Sequence[Trial]) -> tuple[Trial | None, float]:
    """The claim by confirming from the smallest candidate up until one passes, which does not bound the error, and the cost."""
    by_number = {trial.seen.number: trial for trial in trials}
    cost = 0.0
    for rung in sorted(rung for rung in _rungs(trials) if rung.gap <= problem.margin):
        cost += problem.reading_cost(rung.ipc)
        if _holds(problem, by_number[rung.number]):
            return by_number[rung.number], cost
    return None, cost


CONFIRMATIONS = {"descending": descending, "ascending": ascending}


def _rungs(trials: Iterable[Trial]) -> list[Rung]:
    return [Rung(t.seen.ipc, t.seen.gap, t.seen.number) for t in trials if t.seen.is_finished and t.seen.gap is not None]


def _holds(problem: Problem, trial: Trial) -> bool:
    return problem.confirm(trial.seen.number, trial.outcome.true_gap) + problem.half_width <= problem.margin


def race(strategy: str, confirmations: Sequence[str], problems: Sequence[Problem], budget: int, workers: int) -> list[Score]:
    """A strategy's score for each order of confirmation, over the same searches."""
    began = time.perf_counter()
    found: dict[str, list[Found]] = {name: [] for name in confirmations}
    for problem in problems:
        trials = run_trials(problem, STRATEGIES[strategy](Task(problem, budget)), budget, workers)
        search_cost = sum(trial.outcome.cost for trial in trials)
        for name in confirmations:
            claim, cost = CONFIRMATIONS[name](problem, trials)
            is_false = claim is not None and claim.outcome.true_gap > problem.margin
            ipc = None if claim is None else claim.seen.ipc
            found[name].append(Found(ipc=ipc, is_false=is_false, search_cost=search_cost, confirm_cost=cost))
    seconds = time.perf_counter() - began
    return [
        measure(problems, rows, strategy=strategy, confirmed=name, trials=budget, workers=workers, seconds=seconds)
        for name, rows in found.items()
    ]


def measure(problems: Sequence[Problem], found: Sequence[Found], **settings: Any) -> Score:
    """The score of a strategy, from one search per problem."""
    pairs = [(row.ipc, p.smallest_certifiable) for row, p in zip(found, problems, strict=True) if p.smallest_certifiable]
    ratios = [math.log(ipc / smallest) for ipc, smallest in pairs if ipc is not None]
    wrong = sum(row.is_false for row in found)
    interval = stats.binomtest(wrong, len(found)).proportion_ci(0.95, method="exact")
    return Score(
        problems=len(problems),
        hit_fraction=sum(abs(ratio) <= math.log(NEAR) for ratio in ratios) / max(1, len(pairs)),
        none_fraction=sum(ipc is None for ipc, _ in pairs) / max(1, len(pairs)),
        ratio=math.exp(statistics.mean(ratios)) if ratios else None,
        off_by=math.exp(statistics.mean(map(abs, ratios))) if ratios else None,
        false_fraction=wrong / len(found),
        false_lower=float(interval.low),
        false_upper=float(interval.high),
        search_cost=statistics.median(row.search_cost for row in found),
        confirm_cost=statistics.median(row.confirm_cost for row in found),
        **settings,
    )
