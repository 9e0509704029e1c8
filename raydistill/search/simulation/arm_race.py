"""Runs strategies on simulated races, confirms their candidates as a real search does, and compares the claims with the truth."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from scipy import stats

from raydistill.search.simulation.arm_strategies import (
    ConstrainedRace,
    ConstrainedRaceByGP,
    LawOfEachArm,
    PenalisedRaceWithAsha,
    RaceStrategy,
    RaceTask,
    RandomRace,
    Told,
)
from raydistill.search.simulation.arms import Arm, RaceProblem
from raydistill.search.simulation.race import NEAR, Trial, at_once, descending, run_trial
from raydistill.spaces.sections import Config

RACE_STRATEGIES: Mapping[str, Callable[[RaceTask, RaceProblem], RaceStrategy]] = {
    "told": lambda task, problem: Told(task, problem.best),
    "law": lambda task, _: LawOfEachArm(task),
    "constrained-tpe": lambda task, _: ConstrainedRace(task),
    "constrained-gp": lambda task, _: ConstrainedRaceByGP(task),
    "tune-asha": lambda task, _: PenalisedRaceWithAsha(task),
    "random": lambda task, _: RandomRace(task),
}
BY_TRIALS = ("told", "law")
"""Strategies that get a number of trials; the others get what `law` spent on the same problem."""
MOST_TRIALS = 4
"""Trials of a strategy that gets a cost are at most this many times the budget."""


class ArmTrial(NamedTuple):
    """An ended trial of an arm."""

    arm: Arm
    trial: Trial


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceFound:
    """The result of one race."""

    arm: Arm | None
    """Arm of the smallest set that is claimed to be lossless, over both sides; None if there is none."""
    ipc: int | None
    is_false: bool
    """Whether the claim of either side is false: the true gap of the claimed set is above the margin."""
    trials: int
    of_controls: int
    """Trials of controls."""
    search_cost: float
    confirm_cost: float


class RaceScore(Config):
    """The results of a strategy over all races; a row of the table."""

    strategy: str
    trials: int
    """Budget of the searches `told` and `law`; the others stop when they have spent what `law` spent on the same problem."""
    workers: int
    problems: int
    right_fraction: float
    """Fraction of the problems with a certifiable IPC for which (arm, IPC) is right: the claimed IPC is within 25 % of the
    smallest certifiable IPC over all arms, and that of the claimed arm is within 25 % of it too."""
    right_lower: float
    """Lower end of the two-sided 95 % Clopper-Pearson interval of `right_fraction`; `right_upper` is the upper end."""
    right_upper: float
    right_minus_told: float
    """`right_fraction` minus that of `told` with the same budget."""
    right_minus_told_lower: float
    """Lower end of its 95 % interval over problems, in pairs, by the normal distribution; `right_minus_told_upper` is the upper
    end."""
    right_minus_told_upper: float
    right_where_method_fraction: float | None
    """`right_fraction` where a method is the best arm."""
    right_where_control_fraction: float | None
    """`right_fraction` where a control is the best arm."""
    arm_fraction: float
    """Fraction of the problems with a certifiable IPC whose claimed arm is right, whatever its IPC."""
    none_fraction: float
    """Fraction of these problems without a claim."""
    off_by: float | None
    """Factor between the claimed IPC and the smallest certifiable one, in either direction; geometric mean over claims."""
    false_fraction: float
    """Fraction of races with a false claim, of either side, over all problems."""
    false_lower: float
    """Lower end of the two-sided 95 % Clopper-Pearson interval of `false_fraction`; `false_upper` is the upper end."""
    false_upper: float
    cost_ratio: float
    """Search cost divided by that of `told` with the same budget on the same problem; geometric mean over problems."""
    mean_cost_ratio: float
    """The sum of the search costs over problems, divided by that of `told`."""
    mean_trials: float
    """Trials of a search."""
    control_fraction: float
    """Fraction of the trials that controls got."""
    confirm_cost: float
    """Median cost of the confirmation, in confirmations at the IPC where the best arm comes to the margin."""
    seconds: float
    """Run time of the simulation."""


def run_race(problem: RaceProblem, strategy: RaceStrategy, budget: int, workers: int, cost: float = math.inf) -> list[ArmTrial]:
    """Run a race until its budget, or `cost`, is spent; returns its trials in the order in which they ended."""
    spent = 0.0

    def start(number: int) -> ArmTrial | None:
        nonlocal spent
        if spent >= cost:
            return None
        choice = strategy.choose(number)
        arm = problem.arm(choice.label)
        started = ArmTrial(arm, run_trial(arm, strategy.stops, number, choice.place, choice.ipc))
        spent += started.trial.outcome.cost
        return started

    return at_once(
        start,
        lambda ended: strategy.tell(ended.trial.seen),
        lambda ended: ended.trial.outcome.cost,
        seed=problem.number,
        budget=budget,
        workers=workers,
    )


def conclude_race(problem: RaceProblem, trials: Sequence[ArmTrial]) -> RaceFound:
    """Confirm each side's candidates by a fixed sequence of its own, and take the smallest claim."""
    claims: list[ArmTrial] = []
    confirm_cost = 0.0
    arm_of = {t.trial.seen.number: t.arm for t in trials}
    for is_control in (False, True):
        side = [t.trial for t in trials if t.arm.is_control == is_control]
        # Noise, shifts and half-width are alike on a side, so any of its arms confirms all.
        arm = next((t.arm for t in trials if t.arm.is_control == is_control), None)
        if arm is None:
            continue
        claim, cost = descending(arm, side)
        confirm_cost += cost
        if claim is not None:
            claims.append(ArmTrial(arm_of[claim.seen.number], claim))
    smallest = min(claims, key=lambda c: c.trial.seen.ipc, default=None)
    return RaceFound(
        arm=smallest and smallest.arm,
        ipc=smallest and smallest.trial.seen.ipc,
        is_false=any(c.trial.outcome.true_gap > problem.margin for c in claims),
        trials=len(trials),
        of_controls=sum(t.arm.is_control for t in trials),
        search_cost=sum(t.trial.outcome.cost for t in trials),
        confirm_cost=confirm_cost,
    )


def race_arms(strategies: Sequence[str], problems: Sequence[RaceProblem], budget: int, workers: int) -> list[RaceScore]:
    """The scores of strategies; `told` and `law` run in any case, because the costs of the others depend on them."""
    found: dict[str, list[RaceFound]] = {}
    seconds: dict[str, float] = {}
    for name in [*BY_TRIALS, *(name for name in strategies if name not in BY_TRIALS)]:
        began = time.perf_counter()
        found[name] = []
        for index, problem in enumerate(problems):
            has_cost = name not in BY_TRIALS
            cost = found["law"][index].search_cost if has_cost else math.inf
            most = MOST_TRIALS * budget if has_cost else budget
            strategy = RACE_STRATEGIES[name](RaceTask(problem, budget), problem)
            found[name].append(conclude_race(problem, run_race(problem, strategy, most, workers, cost)))
        seconds[name] = time.perf_counter() - began
    return [
        measure_race(problems, found[name], found["told"], strategy=name, trials=budget, workers=workers, seconds=seconds[name])
        for name in strategies
    ]


def is_right(problem: RaceProblem, found: RaceFound) -> bool:
    """Whether the claimed arm and IPC are right; see `RaceScore.right_fraction`."""
    smallest = problem.smallest_certifiable
    return has_right_arm(problem, found) and found.ipc is not None and smallest is not None and _is_near(found.ipc, smallest)


def has_right_arm(problem: RaceProblem, found: RaceFound) -> bool:
    """Whether the smallest certifiable IPC of the claimed arm is within 25 % of that over all arms."""
    own = None if found.arm is None else found.arm.smallest_certifiable
    return own is not None and problem.smallest_certifiable is not None and _is_near(own, problem.smallest_certifiable)


def _is_near(ipc: int, smallest: int) -> bool:
    return abs(math.log(ipc / smallest)) <= math.log(NEAR)


def measure_race(
    problems: Sequence[RaceProblem], found: Sequence[RaceFound], told: Sequence[RaceFound], **settings: Any
) -> RaceScore:
    """The score of a strategy, from one race per problem, and those of `told` on the same problems."""
    pairs = [(p, f) for p, f in zip(problems, found, strict=True) if p.smallest_certifiable is not None]
    rights = [is_right(p, f) for p, f in pairs]
    right = stats.binomtest(sum(rights), max(1, len(rights))).proportion_ci(0.95, method="exact")
    of_told = [is_right(p, t) for p, t in zip(problems, told, strict=True) if p.smallest_certifiable is not None]
    differences = [float(r) - float(t) for r, t in zip(rights, of_told, strict=True)]
    more = statistics.mean(differences) if differences else 0.0
    half_width = float(stats.norm.ppf(0.975)) * statistics.pstdev(differences or [0.0]) / math.sqrt(max(1, len(differences)))
    wrong = sum(f.is_false for f in found)
    false = stats.binomtest(wrong, len(found)).proportion_ci(0.95, method="exact")
    off = [abs(math.log(f.ipc / p.smallest_certifiable)) for p, f in pairs if f.ipc and p.smallest_certifiable]
    ratios = [math.log(f.search_cost / t.search_cost) for f, t in zip(found, told, strict=True)]
    total = sum(f.trials for f in found)
    of_methods = [r for (p, _), r in zip(pairs, rights, strict=True) if not p.best.is_control]
    of_controls = [r for (p, _), r in zip(pairs, rights, strict=True) if p.best.is_control]
    return RaceScore(
        problems=len(problems),
        right_fraction=sum(rights) / max(1, len(rights)),
        right_lower=float(right.low),
        right_upper=float(right.high),
        right_minus_told=more,
        right_minus_told_lower=more - half_width,
        right_minus_told_upper=more + half_width,
        right_where_method_fraction=statistics.mean(of_methods) if of_methods else None,
        right_where_control_fraction=statistics.mean(of_controls) if of_controls else None,
        arm_fraction=sum(has_right_arm(p, f) for p, f in pairs) / max(1, len(pairs)),
        none_fraction=sum(f.ipc is None for _, f in pairs) / max(1, len(pairs)),
        off_by=math.exp(statistics.mean(off)) if off else None,
        false_fraction=wrong / len(found),
        false_lower=float(false.low),
        false_upper=float(false.high),
        cost_ratio=math.exp(statistics.mean(ratios)),
        mean_cost_ratio=sum(f.search_cost for f in found) / sum(t.search_cost for t in told),
        mean_trials=total / len(found),
        control_fraction=sum(f.of_controls for f in found) / total,
        confirm_cost=statistics.median(f.confirm_cost for f in found),
        **settings,
    )
