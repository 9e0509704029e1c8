"""What a search space asks for, against what its data can serve. A leaf: each check gives the mistakes that it finds."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, cast

from raydistill.errors import Mistake
from raydistill.spaces.data_facts import MOST_IMAGES, DataFacts
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.ranges import ends
from raydistill.spaces.sections import Config, EvaluationConfig, GoalConfig
from raydistill.spaces.space import Choices, Range

SmallestMargin = Callable[[int, int, float], float]
"""(confirm images, confirm networks, confidence) to the smallest margin that can be decided."""


class ChecksData(Protocol):
    """A method's config may offer this, to refuse values that the data set or the network cannot serve."""

    def against(self, facts: DataFacts, network: NetworkConfig) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for each value that does not fit."""


def check_ipc(fixed: int | None, ranges: Mapping[str, Range | Choices], facts: DataFacts) -> Iterator[Mistake]:
    """Every class must have as many images as the largest IPC: the upper end of its range if it has one, else its fixed value."""
    ipc = ranges.get("ipc")
    key, top = ("ipc.high", ipc.high) if isinstance(ipc, Range) else ("ipc", fixed)
    if top is not None and top > facts.smallest_class:
        message = f"given {top}; the smallest class has {facts.smallest_class} train images: give at most that"
        yield Mistake(key=key, message=message)


def check_margin(
    goal: GoalConfig, evaluation: EvaluationConfig, facts: DataFacts, smallest_margin: SmallestMargin
) -> Iterator[Mistake]:
    """The confirm images and networks must be able to decide the margin."""
    least = smallest_margin(facts.confirm_images, evaluation.confirm_networks, goal.confidence)
    if goal.margin_fraction < least:
        decided_by = f"{facts.confirm_images} confirm images and {evaluation.confirm_networks} networks"
        yield Mistake(
            key="goal.margin_fraction",
            message=f"given {goal.margin_fraction}; {decided_by} can decide no margin below {least:.4f} (the half-width at "
            f"confidence {goal.confidence}): raise it, or {_what_would_decide(goal, evaluation, smallest_margin)}",
        )


def check_network(network: NetworkConfig, facts: DataFacts) -> Iterator[Mistake]:
    """The images must be large enough for the network."""
    for field, message in network.against(facts.shape) if facts.shape else ():
        yield Mistake(key=f"network.{field}", message=message)


def check_method(
    config: type[Config],
    values: Mapping[str, Any],
    ranges: Mapping[str, Range | Choices],
    facts: DataFacts,
    network: NetworkConfig,
) -> Iterator[Mistake]:
    """The data and the network must serve the method, at every end of its ranges.

    Args:
        config: the method's, which may be a `ChecksData`.
        values: its fields, with every range at its lower end.
        ranges: of the whole space, by dotted path.
        facts: of the data.
        network: every trial's.
    """
    if not hasattr(config, "against"):
        return
    found = [(path.removeprefix("method."), end) for path, r in ranges.items() if path != "ipc" for end in ends(r)]
    trials = [{**values, field: end} for field, end in found]
    # All upper ends at once: what must fit together (a window into its trajectory) is largest there.
    trials.append({**values, **dict(found)})
    methods = [cast(ChecksData, config.model_validate(trial)) for trial in trials]
    for field, message in dict.fromkeys(row for method in methods for row in method.against(facts, network)):
        yield Mistake(key=f"method.{field}", message=message)


def _what_would_decide(goal: GoalConfig, evaluation: EvaluationConfig, smallest_margin: SmallestMargin) -> str:
    """How many confirm images, or else that more networks, would decide a margin."""
    margin, confidence = goal.margin_fraction, goal.confidence
    if smallest_margin(MOST_IMAGES, evaluation.confirm_networks, confidence) > margin:
        return f"take more than {evaluation.confirm_networks} confirm_networks, for no number of images is enough"
    candidates = range(1, MOST_IMAGES + 1)
    place = bisect.bisect_left(
        candidates, True, key=lambda n: smallest_margin(n, evaluation.confirm_networks, confidence) <= margin
    )
    return f"take a data set with at least {candidates[place]} confirm images"
