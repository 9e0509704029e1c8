"""Search strategies for a race of arms, with a common choose-and-tell interface."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

from optuna.samplers import BaseSampler, GPSampler, TPESampler

from raydistill.search.arm_choice import Choice, Competitor, choose, choose_alone
from raydistill.search.proposal import Field
from raydistill.search.seen import Columns, Seen
from raydistill.search.simulation.arms import Arm, RaceProblem
from raydistill.search.simulation.strategies import Task
from raydistill.search.simulation.with_optuna import Constrained, PenalisedWithAsha


class RaceTask(Task):
    """The part of a race that a strategy may know."""

    def __init__(self, problem: RaceProblem, budget: int) -> None:
        """Take the public part of a problem; `budget` is the number of trials."""
        first = problem.arms[0]
        self.field = Field(options=(), lowest=first.lowest, highest=first.highest)
        self.aim = problem.aim
        self.budget = budget
        self.seed = problem.number
        self.competitors = [_competitor(arm) for arm in problem.arms]


def _competitor(arm: Arm) -> Competitor:
    return Competitor(label=arm.label, is_control=arm.is_control, field=arm.field, work=lambda _, ipc: arm.cost(ipc))


class RaceStrategy(Protocol):
    """A search strategy for a race."""

    def choose(self, number: int) -> Choice:
        """The arm, the place and the IPC of trial `number`."""

    def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
        """Whether to stop trial `number` after its half-way reading; `is_hopeless` says whether raydistill would."""

    def tell(self, seen: Seen) -> None:
        """Receive an ended trial."""


class LawOfEachArm:
    """A law for each arm: the code of a real race."""

    def __init__(self, task: RaceTask) -> None:
        self._task = task
        self._label: dict[int, str] = {}
        self._seen: dict[str, list[Seen]] = {c.label: [] for c in task.competitors}

    def choose(self, number: int) -> Choice:
        """The choice of the real solver."""
        task = self._task
        choice = choose(
            {label: Columns.of(seen) for label, seen in self._seen.items()},
            task.competitors,
            task.aim,
            number=number,
            budget=task.budget,
            generator=task.generator(number),
        )
        self._label[number] = choice.label
        return choice

    def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
        """Stop a hopeless trial."""
        return is_hopeless

    def tell(self, seen: Seen) -> None:
        """Remember the trial."""
        self._seen[self._label[seen.number]].append(seen)


class Told:
    """A search by the law that is told the best arm in advance, and the half-width of its confirmation."""

    def __init__(self, task: RaceTask, best: Arm) -> None:
        self._task = task
        self._best = best
        self._seen: list[Seen] = []

    def choose(self, number: int) -> Choice:
        """The proposal of a search with one arm."""
        task, best = self._task, self._best
        alone = choose_alone(Columns.of(self._seen), best.field, best.aim, number, task.budget, task.generator(number))
        return replace(alone, label=best.label)

    def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
        """Stop a hopeless trial."""
        return is_hopeless

    def tell(self, seen: Seen) -> None:
        """Remember the trial."""
        self._seen.append(seen)


class RandomRace:
    """Arm, place and log IPC at random."""

    def __init__(self, task: RaceTask) -> None:
        self._task = task

    def choose(self, number: int) -> Choice:
        """A random arm, place and IPC."""
        draw, field = self._task.generator(number), self._task.field
        competitor = self._task.competitors[int(draw.integers(len(self._task.competitors)))]
        ipc = round(math.exp(draw.uniform(math.log(field.lowest), math.log(field.highest))))
        return Choice(label=competitor.label, place=tuple(competitor.field.anywhere(1, draw)[0].tolist()), ipc=ipc)

    def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
        """Stop a hopeless trial."""
        return is_hopeless

    def tell(self, seen: Seen) -> None:
        """Ignore the result."""


class ConstrainedRace(Constrained):
    """One Optuna study over the arm, the IPC and the arm's own hyper-parameters; minimises IPC where the gap is small enough."""

    def __init__(self, task: RaceTask) -> None:
        super().__init__(task)
        self._competitors = {c.label: c for c in task.competitors}

    def choose(self, number: int) -> Choice:
        """The sampler's proposal."""
        fixed = self._fixed(number)
        if fixed:
            self._study.enqueue_trial(fixed)
        self._study.sampler = self._sampler(int(self._task.generator(number).integers(2**31)))
        trial = self._running[number] = self._study.ask()
        label = trial.suggest_categorical("arm", list(self._competitors))
        place = tuple(trial.suggest_float(f"{label}.h{i}", 0, 1) for i in range(len(self._competitors[label].field.options)))
        field = self._task.field
        return Choice(label=label, place=place, ipc=trial.suggest_int("ipc", field.lowest, field.highest, log=True))

    def _sampler(self, seed: int) -> BaseSampler:
        return TPESampler(seed=seed, n_startup_trials=max(5, len(self._competitors)))

    def _fixed(self, number: int) -> dict[str, float]:
        return {"ipc": self._task.field.highest} if number == 0 else {}


class ConstrainedRaceByGP(ConstrainedRace):
    """The same with Optuna's Gaussian process: arm and IPC together, an arm's own hyper-parameters at random, as Optuna does."""

    def _sampler(self, seed: int) -> BaseSampler:
        return GPSampler(seed=seed, n_startup_trials=max(5, len(self._competitors)), warn_independent_sampling=False)


class PenalisedRaceWithAsha(ConstrainedRace, PenalisedWithAsha):
    """TPE on a penalised objective, with an ASHA rung half-way; a control has no half-way reading and is never stopped."""

    def _sampler(self, seed: int) -> BaseSampler:
        return TPESampler(seed=seed)

    def _fixed(self, number: int) -> dict[str, float]:
        return {}
