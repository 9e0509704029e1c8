"""A checked search space, from which the configs of its trials are made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raydistill.spaces.sections import BudgetConfig, Config, GoalConfig, ResourcesConfig, SearchConfig, derive_seed, set_at
from raydistill.spaces.trial import TrialConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """An interval of numbers that the solver chooses from."""

    low: float
    high: float
    log: bool
    whole: bool

    @property
    def values(self) -> tuple[int, ...]:
        """All whole numbers in it."""
        return tuple(range(int(self.low), int(self.high) + 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """A list of values that the solver chooses from."""

    values: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One competitor of a race: a method or a control, with its own fixed values and ranges, and what all arms share."""

    label: str
    """Its name in the race: the method's name, unless the space gives a label."""
    is_control: bool
    """Whether it is real images, chosen or averaged, that a distilled set has to beat."""
    study: str
    seed: int
    template: Mapping[str, Any]
    """Nested values of one trial; a field with a range holds its lower end or first choice."""
    ranges: Mapping[str, Range | Choices]
    """By dotted path: `ipc`, which all arms share, and `method.<field>`."""
    method_config: type[Config]
    goal: GoalConfig
    budget: BudgetConfig
    resources: ResourcesConfig

    @property
    def method(self) -> str:
        """Name of its method."""
        return str(self.template["method"]["name"])

    def trial(self, *, ask_number: int, values: Mapping[str, Any], data_sha256: str) -> TrialConfig[Any]:
        """The config of one trial.

        Args:
            ask_number: number of the trial, counted from 0 in the order in which the solver proposes trials.
            values: the chosen value of each range, by dotted path.
            data_sha256: hash of the data set with its split.

        Raises:
            ValueError: the keys of `values` are not the ranges.
        """
        if set(values) != set(self.ranges):
            raise ValueError(f"values for {sorted(values)}; the space has ranges for {sorted(self.ranges)}: pass exactly those")
        chosen = json.loads(json.dumps(dict(self.template)))
        for path, value in values.items():
            set_at(chosen, path, value)
        return TrialConfig[self.method_config].model_validate(  # type: ignore[name-defined]
            {
                **chosen,
                "label": None if self.label == self.method else self.label,
                "seed": derive_seed(self.seed, "ask", ask_number),
                "ask_number": ask_number,
                "data_sha256": data_sha256,
                "goal": self.goal.model_dump(),
                "cpus_per_trial": self.resources.cpus_per_trial,
                "device": "cuda" if self.resources.gpus_per_trial > 0 else "cpu",
            }
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace:
    """A checked search space: the arms that race, and the goal, budget and resources that they share."""

    arms: tuple[Arm, ...]
    """The methods in the order of the file, then the controls."""
    search: SearchConfig
    are_controls_given: bool
    """Whether the space itself says which controls it has; otherwise they are the default ones."""

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.arms[0].study

    @property
    def seed(self) -> int:
        """Seed of the study, from which the seed of every trial follows."""
        return self.arms[0].seed

    @property
    def goal(self) -> GoalConfig:
        """The margin and the confidence."""
        return self.arms[0].goal

    @property
    def budget(self) -> BudgetConfig:
        """The budget of all arms together."""
        return self.arms[0].budget

    @property
    def resources(self) -> ResourcesConfig:
        """The resources of one trial."""
        return self.arms[0].resources

    @property
    def shared(self) -> dict[str, Any]:
        """The sections of a trial that all arms share: data set, network, evaluation, and IPC as in `Arm.template`."""
        return {section: value for section, value in self.arms[0].template.items() if section != "method"}

    @property
    def methods(self) -> tuple[Arm, ...]:
        """The arms that are no controls."""
        return tuple(arm for arm in self.arms if not arm.is_control)

    @property
    def controls(self) -> tuple[Arm, ...]:
        """The arms that are controls."""
        return tuple(arm for arm in self.arms if arm.is_control)

    @property
    def is_race(self) -> bool:
        """Whether there is more than one arm."""
        return len(self.arms) > 1

    def arm(self, label: str) -> Arm:
        """The arm of this label.

        Raises:
            KeyError: there is none.
        """
        for arm in self.arms:
            if arm.label == label:
                return arm
        raise KeyError(label)

    def without_controls(self) -> SearchSpace:
        """The same space with `controls: []`."""
        return SearchSpace(arms=self.methods, search=self.search, are_controls_given=True)
