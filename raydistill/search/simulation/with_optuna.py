"""Search strategies that use Optuna's samplers, with the same ask-and-tell interface."""

from __future__ import annotations

import math

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import TrialState

from raydistill.search.seen import Seen
from raydistill.search.simulation.strategies import Place, Task

STEP = 0.8
"""Factor of `StepDown`, the rule of raydistill 0.1."""
ASHA_REDUCTION = 3
"""With one rung half-way, a third of the trials continue; Ray's default is 4, with more rungs."""
PENALTY = 2.0
"""Penalty per margin of gap above the target; the whole logarithmic range of IPC counts as 1."""


class Constrained:
    """One Optuna study that minimises IPC under the constraint that the gap is small enough."""

    def __init__(self, task: Task) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._task = task
        self._study = optuna.create_study(direction="minimize")
        self._space: dict[str, BaseDistribution] = {f"h{i}": FloatDistribution(0, 1) for i in range(len(task.field.options))}
        self._space["ipc"] = IntDistribution(task.field.lowest, task.field.highest, log=True)
        self._running: dict[int, optuna.Trial] = {}

    def ask(self, number: int) -> tuple[Place, int] | None:
        """The sampler's proposal; the first trial is the middle place at the highest IPC, to have a feasible point."""
        fixed = self._fixed(number)
        if fixed:
            self._study.enqueue_trial(fixed)
        self._study.sampler = self._sampler(int(self._task.generator(number).integers(2**31)))
        trial = self._running[number] = self._study.ask(self._space)
        return tuple(trial.params[f"h{i}"] for i in range(len(self._space) - 1)), trial.params["ipc"]

    def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
        """Stop a hopeless trial."""
        return is_hopeless

    def tell(self, seen: Seen) -> None:
        """Report the trial to Optuna as COMPLETE, PRUNED or FAIL, with the constraint."""
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
    """The same with Optuna's Gaussian process, whose proposals take a hundred times longer."""

    def _sampler(self, seed: int) -> BaseSampler:
        return GPSampler(seed=seed, n_startup_trials=5)


class StepDown(Constrained):
    """The rule of raydistill 0.1: an IPC one step below the smallest one within the margin, the rest by constrained TPE."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._smallest: int | None = None

    def tell(self, seen: Seen) -> None:
        """Also remember the smallest IPC within the margin."""
        super().tell(seen)
        if seen.is_finished and seen.gap is not None and seen.gap <= self._task.aim.margin:
            self._smallest = min(self._smallest or seen.ipc, seen.ipc)

    def _fixed(self, number: int) -> dict[str, float]:
        if self._smallest is None:
            return {**super()._fixed(number), "ipc": self._task.field.highest}
        below = sum(trial.params["ipc"] < self._smallest for trial in self._running.values())
        return {"ipc": max(self._task.field.lowest, int(self._smallest * STEP ** (1 + below)))}


class PenalisedWithAsha(Constrained):
    """Tune's OptunaSearch and ASHA with a penalised objective, emulated without Ray.

    TPE with Optuna's defaults; one ASHA rung half-way, at which the best third of the trials so far continue; a trial stopped by
    ASHA is reported as COMPLETE with its half-way value, as OptunaSearch does.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._rung: list[float] = []

    def stops(self, number: int, half_way: float, is_hopeless: bool) -> bool:
        """Stop a trial that is not among the best third at the rung so far; the rung alone decides."""
        value = self._objective(self._running[number].params["ipc"], half_way)
        self._rung.append(value)
        return sorted(self._rung).index(value) >= max(1, len(self._rung) // ASHA_REDUCTION)

    def tell(self, seen: Seen) -> None:
        """Report COMPLETE with the last value, also for a stopped trial; FAIL without a value."""
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
