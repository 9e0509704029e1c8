"""Ways to search that Optuna's samplers choose for, behind the same ask and tell."""

from __future__ import annotations

import math

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import TrialState

from raydistill.search.law import Seen
from raydistill.search.simulation.strategies import Place, Task

STEP = 0.8
"""Factor of the step rule, which raydistill 0.1 shipped."""
ASHA_REDUCTION = 3
"""Ray's default is 4 with more rungs; with one rung half-way, a third goes on."""
PENALTY = 2.0
"""Objective units, of which the whole log range of IPC is one, per margin of gap beyond the target."""


class Constrained:
    """One Optuna study: IPC is made small under the constraint that the gap is good enough."""

    def __init__(self, task: Task) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._task = task
        self._study = optuna.create_study(direction="minimize")
        self._space: dict[str, BaseDistribution] = {f"h{i}": FloatDistribution(0, 1) for i in range(len(task.field.options))}
        self._space["ipc"] = IntDistribution(task.field.lowest, task.field.highest, log=True)
        self._running: dict[int, optuna.Trial] = {}

    def ask(self, number: int) -> tuple[Place, int] | None:
        """What the sampler says; the first ask is the middle place at the highest IPC, so that a feasible point is seen."""
        fixed = self._fixed(number)
        if fixed:
            self._study.enqueue_trial(fixed)
        self._study.sampler = self._sampler(int(self._task.generator(number).integers(2**31)))
        trial = self._running[number] = self._study.ask(self._space)
        return tuple(trial.params[f"h{i}"] for i in range(len(self._space) - 1)), trial.params["ipc"]

    def stops(self, number: int, half_way: float) -> bool:
        """Never."""
        return False

    def tell(self, seen: Seen) -> None:
        """As a constrained study is told: COMPLETE, PRUNED or FAIL, with the constraint."""
        trial = self._running.pop(seen.number)
        if seen.gap is None:
            self._study.tell(trial, state=TrialState.FAIL)
            return
        trial.set_constraint("gap", seen.gap - self._task.aim.target)
        if seen.is_finished:
            self._study.tell(trial, float(seen.ipc))
        else:
            self._study.tell(trial, state=TrialState.PRUNED)

    def _sampler(self, seed: int) -> BaseSampler:
        return TPESampler(seed=seed, n_startup_trials=5)

    def _fixed(self, number: int) -> dict[str, float]:
        if number > 0:
            return {}
        middle = {f"h{i}": value for i, value in enumerate(self._task.field.middle)}
        return {**middle, "ipc": self._task.field.highest}


class ConstrainedGP(Constrained):
    """The same with Optuna's Gaussian process; a hundred times slower to ask."""

    def _sampler(self, seed: int) -> BaseSampler:
        return GPSampler(seed=seed, n_startup_trials=5)


class StepDown(Constrained):
    """What raydistill 0.1 shipped: IPC a step below the smallest reading within the margin, the rest by constrained TPE."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._smallest: int | None = None

    def tell(self, seen: Seen) -> None:
        """Note the smallest IPC within the margin as well."""
        super().tell(seen)
        if seen.is_finished and seen.gap is not None and seen.gap <= self._task.aim.margin:
            self._smallest = min(self._smallest or seen.ipc, seen.ipc)

    def _fixed(self, number: int) -> dict[str, float]:
        if self._smallest is None:
            return {**super()._fixed(number), "ipc": self._task.field.highest}
        below = sum(trial.params["ipc"] < self._smallest for trial in self._running.values())
        return {"ipc": max(self._task.field.lowest, int(self._smallest * STEP ** (1 + below)))}


class PenalisedWithAsha(Constrained):
    """What Tune's OptunaSearch and ASHA do with a penalised objective, emulated without Ray.

    TPE with Optuna's defaults; one ASHA rung half-way that lets the best third of what it has seen go on; a trial that ASHA stops
    is told COMPLETE with its half-way value, as OptunaSearch tells it.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._rung: list[float] = []

    def stops(self, number: int, half_way: float) -> bool:
        """ASHA's rule: not among the best third at the rung so far."""
        value = self._objective(self._running[number].params["ipc"], half_way)
        self._rung.append(value)
        return sorted(self._rung).index(value) >= max(1, len(self._rung) // ASHA_REDUCTION)

    def tell(self, seen: Seen) -> None:
        """COMPLETE with the last value, whether it is of the finished set or not; FAIL without one."""
        trial = self._running.pop(seen.number)
        if seen.gap is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, self._objective(seen.ipc, seen.gap))

    def _objective(self, ipc: int, gap: float) -> float:
        field, aim = self._task.field, self._task.aim
        size = math.log(ipc / field.lowest) / math.log(field.highest / field.lowest)
        return size + PENALTY * max(0.0, gap - aim.target) / aim.margin

    def _sampler(self, seed: int) -> BaseSampler:
        return TPESampler(seed=seed)

    def _fixed(self, number: int) -> dict[str, float]:
        return {}
