"""A checked search space, from which the configs of its trials are made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raydistill.spaces.sections import BudgetConfig, Config, GoalConfig, ResourcesConfig, derive_seed, set_at
from raydistill.spaces.trial import TrialConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """An interval of numbers that the solver chooses from."""

    low: float
    high: float
    log: bool
    whole: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """A list of values that the solver chooses from."""

    values: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace:
    """A checked search space: fixed values, ranges by dotted path, goal, budget and resources."""

    study: str
    seed: int
    template: Mapping[str, Any]
    """Nested values of one trial; a field with a range holds its lower end or first choice."""
    ranges: Mapping[str, Range | Choices]
    method_config: type[Config]
    goal: GoalConfig
    budget: BudgetConfig
    resources: ResourcesConfig

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
                "seed": derive_seed(self.seed, "ask", ask_number),
                "ask_number": ask_number,
                "data_sha256": data_sha256,
                "goal": self.goal.model_dump(),
                "cpus_per_trial": self.resources.cpus_per_trial,
                "device": "cuda" if self.resources.gpus_per_trial > 0 else "cpu",
            }
        )
