"""Converts between a search space and Optuna: distributions, values, and the complete document that a study stores.

The name of an Optuna parameter is its dotted path in the YAML file, so the dashboard, the tables and the file use the same name.
A place is a point in the space of hyper-parameters (without IPC): one coordinate from 0 to 1 per number, and one per option of a
choice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raydistill.search.proposal import Field
from raydistill.spaces.sections import set_at, with_left_out
from raydistill.spaces.space import Arm, Choices, Range, SearchSpace
from raydistill.spaces.trial import TrialConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Dimension = Range | Choices


def distributions(arm: Arm) -> dict[str, BaseDistribution]:
    """One distribution per range, by dotted path; IPC is always on a log scale."""
    return {path: _distribution(path, dimension) for path, dimension in arm.ranges.items()}


def _distribution(path: str, dimension: Dimension) -> BaseDistribution:
    # The other functions serve the reading of a study, which needs no Optuna.
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choices):
        return CategoricalDistribution([to_parameter(dimension, value) for value in dimension.values])
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log or path == "ipc")
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def to_parameter(dimension: Dimension, value: Any) -> Any:
    """A value as Optuna stores it: a choice that is a list or a section becomes JSON text."""
    if isinstance(dimension, Choices) and not isinstance(value, bool | int | float | str | None):
        return json.dumps(value)
    return value


def from_parameter(dimension: Dimension, parameter: Any) -> Any:
    """The value of an Optuna parameter; the inverse of `to_parameter`."""
    if isinstance(dimension, Range):
        return parameter
    return next(value for value in dimension.values if to_parameter(dimension, value) == parameter)


def middle(dimension: Dimension) -> Any:
    """The middle of a range, geometric if the range is logarithmic; the first of a list of choices."""
    if isinstance(dimension, Choices):
        return dimension.values[0]
    low, high = dimension.low, dimension.high
    centre = math.sqrt(low * high) if dimension.log else (low + high) / 2
    return round(centre) if dimension.whole else centre


def parameters(arm: Arm, config: TrialConfig[Any]) -> dict[str, Any]:
    """The Optuna parameters of a trial: the values of all ranges, by dotted path."""
    document = config.model_dump(mode="json")
    document["method"] = with_left_out(type(config.method), document["method"])
    return {
        path: to_parameter(dimension, _as_given(dimension, value_at(document, path))) for path, dimension in arm.ranges.items()
    }


def _as_given(dimension: Dimension, value: Any) -> Any:
    """A value of a config as the space writes it: [0, 1] is [0.0, 1.0] in a config, which is other text."""
    return next((one for one in dimension.values if one == value), value) if isinstance(dimension, Choices) else value


def field(arm: Arm) -> Field:
    """The domain of the solver: the coordinates of a place, and the range of IPC."""
    ipc = arm.ranges.get("ipc")
    fixed = arm.template["ipc"]
    lowest, highest = (int(ipc.low), int(ipc.high)) if isinstance(ipc, Range) else (fixed, fixed)
    options = tuple(len(d.values) if isinstance(d, Choices) else 1 for d in _hyper_parameters(arm).values())
    return Field(options=options, lowest=lowest, highest=highest)


def to_place(arm: Arm, chosen: Mapping[str, Any]) -> tuple[float, ...]:
    """Optuna parameters as a place: a number becomes its position in the range (0 to 1), a choice is one-hot encoded."""
    place: list[float] = []
    for path, dimension in _hyper_parameters(arm).items():
        if isinstance(dimension, Choices):
            place += [float(to_parameter(dimension, value) == chosen[path]) for value in dimension.values]
        else:
            low, high, value = (math.log(v) if dimension.log else v for v in (dimension.low, dimension.high, chosen[path]))
            place.append((value - low) / (high - low))
    return tuple(place)


def from_place(arm: Arm, place: Sequence[float], ipc: int) -> dict[str, Any]:
    """The Optuna parameters of a place and an IPC; the inverse of `to_place`."""
    left = list(place)
    chosen: dict[str, Any] = {}
    for path, dimension in _hyper_parameters(arm).items():
        count = len(dimension.values) if isinstance(dimension, Choices) else 1
        coordinates, left = left[:count], left[count:]
        if isinstance(dimension, Choices):
            chosen[path] = to_parameter(dimension, dimension.values[coordinates.index(max(coordinates))])
        else:
            chosen[path] = _within(dimension, coordinates[0])
    return {path: ipc if path == "ipc" else chosen[path] for path in arm.ranges}


def _within(dimension: Range, part: float) -> float:
    low, high = dimension.low, dimension.high
    value = low * (high / low) ** part if dimension.log else low + (high - low) * part
    return round(value) if dimension.whole else min(max(value, low), high)


def _hyper_parameters(arm: Arm) -> dict[str, Dimension]:
    return {path: dimension for path, dimension in arm.ranges.items() if path != "ipc"}


def any_trial(arm: Arm, data_sha256: str) -> TrialConfig[Any]:
    """A trial config for the baseline, which only uses what all trials share: data, network, evaluation, goal."""
    values = {path: middle(dimension) for path, dimension in arm.ranges.items()}
    return arm.trial(ask_number=0, values=values, data_sha256=data_sha256)


def complete_document(space: SearchSpace) -> dict[str, Any]:
    """The space with all defaults written out, so that it can be read back unchanged even if defaults change later."""
    first = space.arms[0]
    document: dict[str, Any] = {
        "study": space.study,
        "seed": space.seed,
        **json.loads(json.dumps(space.shared)),
        "goal": space.goal.model_dump(mode="json"),
        "search": space.search.model_dump(mode="json"),
        "budget": space.budget.model_dump(mode="json"),
        "resources": space.resources.model_dump(mode="json"),
    }
    if "ipc" in first.ranges:
        document["ipc"] = _as_document(first.ranges["ipc"])
    sections = {arm.label: _method_section(arm) for arm in space.arms}
    methods = [sections[arm.label] for arm in space.methods]
    is_short = len(methods) == 1 and "label" not in methods[0]
    document |= {"method": methods[0]} if is_short else {"methods": methods}
    return document | {"controls": [sections[arm.label] for arm in space.controls]}


def _method_section(arm: Arm) -> dict[str, Any]:
    section: dict[str, Any] = json.loads(json.dumps(arm.template["method"]))
    for path, dimension in _hyper_parameters(arm).items():
        set_at(section, path.removeprefix("method."), _as_document(dimension))
    return section if arm.label == arm.method else {"label": arm.label, **section}


def _as_document(dimension: Dimension) -> dict[str, Any]:
    if isinstance(dimension, Choices):
        return {"choices": list(dimension.values)}
    return {"low": dimension.low, "high": dimension.high, "log": dimension.log}


def value_at(document: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path."""
    value: Any = document
    for key in path.split("."):
        value = value[key]
    return value
