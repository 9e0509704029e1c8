"""Compares search strategies on simulated problems."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from raydistill.errors import InputError
from raydistill.search.simulation.arm_race import RACE_STRATEGIES, RaceScore, race_arms
from raydistill.search.simulation.arms import RaceProblem
from raydistill.search.simulation.problems import Problem
from raydistill.search.simulation.race import CONFIRMATIONS, STRATEGIES, Score, race
from raydistill.spaces.messages import unknown

FIRST = 1000
"""Number of the first problem; problems with smaller numbers were used to choose the solver's constants."""
SLOW = frozenset({"constrained-gp"})
"""Strategies that run only if they are named: they take seconds per search, the others hundredths of a second."""


def bench_solvers(
    *, strategies: Sequence[str], confirmations: Sequence[str], problems: int, budgets: Sequence[str], workers: int
) -> list[Score]:
    """One row per strategy, order of confirmation, and budget.

    Args:
        strategies: keys of STRATEGIES; empty means all except the slow ones.
        confirmations: keys of CONFIRMATIONS.
        problems: number of problems, from number FIRST on.
        budgets: trials of each search, as text.
        workers: trials at the same time.

    Raises:
        InputError: an unknown strategy or confirmation, or a budget that is not a whole number of at least 1.
    """
    names = list(strategies) or [name for name in STRATEGIES if name not in SLOW]
    _check(names, STRATEGIES, "strategy")
    _check(confirmations, CONFIRMATIONS, "confirmation")
    sizes = _budgets(budgets)
    made = [Problem(number) for number in range(FIRST, FIRST + problems)]
    return [score for budget in sizes for name in names for score in race(name, confirmations, made, budget, workers)]


def bench_races(*, strategies: Sequence[str], problems: int, budgets: Sequence[str], workers: int) -> list[RaceScore]:
    """One row per strategy and budget, on problems with several arms.

    Args:
        strategies: keys of RACE_STRATEGIES; empty means all except the slow ones.
        problems: number of problems, from number FIRST on.
        budgets: trials of each search, as text.
        workers: trials at the same time.

    Raises:
        InputError: an unknown strategy, or a budget that is not a whole number of at least 1.
    """
    names = list(strategies) or [name for name in RACE_STRATEGIES if name not in SLOW]
    _check(names, RACE_STRATEGIES, "strategy")
    sizes = _budgets(budgets)
    made = [RaceProblem(number) for number in range(FIRST, FIRST + problems)]
    return [score for budget in sizes for score in race_arms(names, made, budget, workers)]


def _budgets(given: Sequence[str]) -> list[int]:
    for budget in given:
        if not budget.isdecimal() or int(budget) < 1:
            raise InputError(f"--trials: given {budget!r}; expected whole numbers of at least 1, joined by commas")
    return [int(budget) for budget in given]


def _check(names: Sequence[str], allowed: Collection[str], what: str) -> None:
    for name in names:
        if name not in allowed:
            raise InputError(unknown(name, allowed, what))
