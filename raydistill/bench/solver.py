"""Compares ways to search on made-up problems: checks what a person asked for, runs the races."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from raydistill.errors import InputError
from raydistill.search.simulation.problems import Problem
from raydistill.search.simulation.race import CONFIRMATIONS, STRATEGIES, Score, race
from raydistill.spaces.messages import unknown

FIRST = 1000
"""Number of the first problem: those below served to choose the solver's constants."""
SLOW = frozenset({"constrained-gp"})
"""Left out unless named: it takes seconds per search, the others hundredths."""


def bench_solvers(
    *, strategies: Sequence[str], confirmations: Sequence[str], problems: int, budgets: Sequence[str], workers: int
) -> list[Score]:
    """A row per strategy, way to confirm, and budget.

    Args:
        strategies: keys of STRATEGIES; none is all but the slow ones.
        confirmations: keys of CONFIRMATIONS.
        problems: how many, from number FIRST on.
        budgets: trials of each search, as text.
        workers: trials at once.

    Raises:
        InputError: an unknown strategy or confirmation, or a budget that is no whole number from 1.
    """
    names = list(strategies) or [name for name in STRATEGIES if name not in SLOW]
    _check(names, STRATEGIES, "strategy")
    _check(confirmations, CONFIRMATIONS, "confirmation")
    for budget in budgets:
        if not budget.isdecimal() or int(budget) < 1:
            raise InputError(f"a budget of {budget!r} trials; whole numbers from 1 are allowed, joined by commas: mend --trials")
    made = [Problem(number) for number in range(FIRST, FIRST + problems)]
    return [score for budget in map(int, budgets) for name in names for score in race(name, confirmations, made, budget, workers)]


def _check(names: Sequence[str], allowed: Collection[str], what: str) -> None:
    for name in names:
        if name not in allowed:
            raise InputError(unknown(name, allowed, what))
