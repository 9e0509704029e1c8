"""What chooses the next trial, as Optuna samplers: the law of the gap (`LawSampler`), or one of Optuna's own.

An Optuna parameter has the name of its field in the YAML file: `method.lr_images`, and in a race of several arms
`<label>.lr_images`, below the parameter `arm`. IPC is `ipc`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from raydistill.search.arm_choice import Competitor, choose
from raydistill.search.distributions import distributions, field, from_place, parameters, to_place
from raydistill.search.proposal import Aim
from raydistill.search.seen import Columns, Seen, joined
from raydistill.spaces.sections import derive_seed
from raydistill.spaces.space import Arm, SearchSpace
from raydistill.spaces.trial import TrialConfig

ARM = "arm"
"""Optuna's parameter for the arm; a space with a single arm has none."""
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
Work = Callable[[Arm, Mapping[str, Any]], float]
"""Of an arm and the parameters of a trial: images that pass through a network."""


def parameter_name(space: SearchSpace, arm: Arm, path: str) -> str:
    """Optuna's name of a range."""
    return path if path == "ipc" or not space.is_race else f"{arm.label}.{path.removeprefix('method.')}"


def arm_distributions(space: SearchSpace, arm: Arm) -> dict[str, BaseDistribution]:
    """The distributions of one arm's ranges, by Optuna's names."""
    return {parameter_name(space, arm, path): dist for path, dist in distributions(arm).items()}


def arm_distribution(space: SearchSpace) -> CategoricalDistribution:
    """The distribution of the arm."""
    return CategoricalDistribution([arm.label for arm in space.arms])


def suggest(space: SearchSpace, trial: Trial) -> tuple[Arm, dict[str, Any]]:
    """Have a trial's parameters suggested; returns its arm, and the parameters of the arm's ranges by dotted path."""
    label = trial.suggest_categorical(ARM, [arm.label for arm in space.arms]) if space.is_race else space.arms[0].label
    arm = space.arm(str(label))
    found = {path: _suggest_one(trial, parameter_name(space, arm, path), dist) for path, dist in distributions(arm).items()}
    return arm, found


def _suggest_one(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)


def config_parameters(space: SearchSpace, config: TrialConfig[Any]) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """Optuna's parameters and distributions of a trial that exists."""
    arm = space.arm(config.arm)
    values = {parameter_name(space, arm, path): value for path, value in parameters(arm, config).items()}
    found = arm_distributions(space, arm)
    return ({ARM: arm.label, **values}, {ARM: arm_distribution(space), **found}) if space.is_race else (values, found)


def sampler_of(space: SearchSpace, aim: Aim, number: int, work: Work, ended: EndedTrials) -> BaseSampler:
    """The sampler for one trial.

    A new one for each, with a seed of its own: a proposal depends only on the study's seed, the number and the ended trials.

    Args:
        space: whose `search.sampler` says which.
        aim: the margin, and the expected noise of the confirmation.
        number: number of the trial.
        work: what a trial costs.
        ended: the study's ended trials, as the law uses them.
    """
    seed = derive_seed(space.seed, "solver", number)
    match space.search.sampler:
        case "law":
            return LawSampler(space, aim, number, work, ended)
        case "tpe":
            return TPESampler(seed=seed % 2**32, n_startup_trials=max(5, len(space.arms)))
        case "gp":
            return GPSampler(seed=seed % 2**32, n_startup_trials=max(5, len(space.arms)))
        case "random":
            return RandomSampler(seed=seed % 2**32)


class LawSampler(BaseSampler):
    """The law of the gap, fitted to the study's ended trials: `arm_choice.choose`, for one arm or several."""

    def __init__(self, space: SearchSpace, aim: Aim, number: int, work: Work, ended: EndedTrials) -> None:
        """A sampler for trial `number`; see `sampler_of`."""
        self._space = space
        self._aim = aim
        self._number = number
        self._work = work
        self._ended = ended

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter of every arm: the law chooses all values of a trial together."""
        space = self._space
        found = {name: dist for arm in space.arms for name, dist in arm_distributions(space, arm).items()}
        return {ARM: arm_distribution(space), **found} if space.is_race else found

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """The parameters of the chosen arm."""
        space, number, budget = self._space, self._number, self._space.budget.trials
        generator = np.random.default_rng(derive_seed(space.seed, "solver", number))
        seen = self._ended.by_arm(study)
        competitors = [
            Competitor(label=arm.label, is_control=arm.is_control, field=field(arm), work=self._work_of(arm))
            for arm in space.arms
        ]
        choice = choose(seen, competitors, self._aim, number=number, budget=budget, generator=generator)
        arm = space.arm(choice.label)
        chosen = from_place(arm, choice.place, choice.ipc)
        named = {parameter_name(space, arm, path): value for path, value in chosen.items()}
        return {ARM: arm.label, **named} if space.is_race else named

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        """Never: a parameter that the law does not know is an error of the caller."""
        raise ValueError(f"the law of the gap knows no parameter {param_name}; it has {', '.join(self._space.arms[0].ranges)}")

    def _work_of(self, arm: Arm) -> Callable[[tuple[float, ...], int], float]:
        return lambda place, ipc: self._work(arm, from_place(arm, place, ipc))


class EndedTrials:
    """The ended trials of one Optuna study, as the law uses them. Each is converted once: an ended trial does not change."""

    def __init__(self, space: SearchSpace) -> None:
        """None yet; `space` is that of the study."""
        self._space = space
        self._seen = {arm.label: Columns.of([]) for arm in space.arms}
        self._known = 0
        """Trials that the study had at the last call; `_open` has the numbers of those that had not ended."""
        self._open: list[int] = []

    def by_arm(self, study: Study) -> dict[str, Columns]:
        """Those of each arm, in the order in which they were proposed."""
        trials = study.get_trials(deepcopy=False)
        changed = [*self._open, *range(self._known, len(trials))]
        ended = [number for number in changed if trials[number].state in ENDED]
        new: dict[str, list[Seen]] = {}
        for number in ended:
            label, one = _as_seen(self._space, trials[number])
            new.setdefault(label, []).append(one)
        for label, seen in new.items():
            self._seen[label] = joined([self._seen[label], Columns.of(seen)]).in_order
        self._known, self._open = len(trials), sorted(set(changed).difference(ended))
        return dict(self._seen)


def _as_seen(space: SearchSpace, trial: FrozenTrial) -> tuple[str, Seen]:
    """The arm's label, and the trial as the law uses it."""
    arm = space.arm(trial.params[ARM]) if space.is_race else space.arms[0]
    chosen = {path: trial.params[parameter_name(space, arm, path)] for path in arm.ranges}
    return arm.label, Seen(
        number=trial.user_attrs["ask_number"],
        place=to_place(arm, chosen),
        ipc=int(chosen["ipc"]) if "ipc" in chosen else int(arm.template["ipc"]),
        gap=trial.user_attrs.get("gap"),
        is_finished=trial.state == TrialState.COMPLETE,
        is_out_of_memory=trial.user_attrs.get("cause") == "out_of_memory",
    )
