"""Search strategies with a common ask-and-tell interface; those that need no Optuna."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from raydistill.search.arm_choice import choose_alone
from raydistill.search.proposal import Aim, Field
from raydistill.search.seen import Columns, Seen
from raydistill.search.simulation.problems import Problem

PUBLISHED_GRID = (1, 10, 50, 100, 500, 1000)
Place = tuple[float, ...]


class Task:
    """The part of a problem that a strategy may know."""

    def __init__(self, problem: Problem, budget: int) -> None:
        """Take the public part of a problem; `budget` is the number of trials."""
        self.field = Field(options=(1,) * problem.dimensions, lowest=problem.lowest, highest=problem.highest)
        self.aim: Aim = problem.aim
        self.budget = budget
        self.seed = problem.number

    def generator(self, *parts: int) -> np.random.Generator:
        """Random numbers for the strategy."""
        return np.random.default_rng([self.seed, 3, *parts])


class Strategy(Protocol):
    """A search strategy."""

    def ask(self, number: int) -> tuple[Place, int] | None:
        """The place and the IPC of trial `number`; None to wait for a running trial, or to end the search if none runs."""

    def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
        """Whether to stop trial `number` after its half-way reading; `is_hopeless` says whether raydistill would."""

    def tell(self, seen: Seen) -> None:
        """Receive an ended trial."""


class Grid:
    """As in publications: each IPC of a grid with the default hyper-parameters, largest first."""

    def __init__(self, task: Task) -> None:
        self._field = task.field
        self._left = [ipc for ipc in PUBLISHED_GRID if task.field.lowest <= ipc <= task.field.highest]

    def ask(self, number: int) -> tuple[Place, int] | None:
        """The next IPC of the grid."""
        return (self._field.middle, self._left.pop()) if self._left else None

    def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
        """Stop a hopeless trial."""
        return is_hopeless

    def tell(self, seen: Seen) -> None:
        """Ignore the result."""


class RandomSearch:
    """Places and log IPC at random."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def ask(self, number: int) -> tuple[Place, int] | None:
        """A random place and IPC."""
        draw, field = self._task.generator(number), self._task.field
        ipc = round(math.exp(draw.uniform(math.log(field.lowest), math.log(field.highest))))
        return tuple(field.anywhere(1, draw)[0].tolist()), ipc

    def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
        """Stop a hopeless trial."""
        return is_hopeless

    def tell(self, seen: Seen) -> None:
        """Ignore the result."""


class Bisection:
    """Bisection of log IPC; at each IPC `tries` trials, the first at the best place so far and the others at random."""

    def __init__(self, task: Task, tries: int) -> None:
        self._task = task
        self._tries = tries
        self._lossy, self._good = task.field.lowest - 1, task.field.highest
        self._best: Place = task.field.middle
        self._asked = 0
        self._told: list[Seen] = []

    def ask(self, number: int) -> tuple[Place, int] | None:
        """The next try at the IPC in the middle; None while its last tries run, and when the bracket is empty."""
        if self._asked == self._tries or self._good - self._lossy <= 1:
            return None
        self._asked += 1
        ipc = max(self._lossy + 1, round(math.sqrt(max(self._lossy, 0.5) * self._good)))
        if self._asked == 1:
            return self._best, ipc
        return tuple(self._task.field.anywhere(1, self._task.generator(number))[0].tolist()), ipc

    def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
        """Stop a hopeless trial."""
        return is_hopeless

    def tell(self, seen: Seen) -> None:
        """Move an end of the bracket when a try is good enough, or when all tries have failed."""
        self._told.append(seen)
        read = [(s.gap, s.number, s) for s in self._told if s.gap is not None]
        is_good = any(s.is_finished and gap <= self._task.aim.target for gap, _, s in read)
        if len(self._told) < (self._asked if is_good else self._tries):
            return
        self._best = min(read)[2].place if read else self._best
        if is_good:
            self._good = min(self._good, seen.ipc)
        else:
            self._lossy = max(self._lossy, seen.ipc)
        self._told, self._asked = [], 0


class ByLaw:
    """The law of the gap with Thompson sampling: the code of a real search."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._seen: list[Seen] = []

    def ask(self, number: int) -> tuple[Place, int] | None:
        """The proposal of the real solver."""
        task = self._task
        found = choose_alone(Columns.of(self._seen), task.field, task.aim, number, task.budget, task.generator(number))
        return found.place, found.ipc

    def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
        """Stop a hopeless trial."""
        return is_hopeless

    def tell(self, seen: Seen) -> None:
        """Remember the trial."""
        self._seen.append(seen)
