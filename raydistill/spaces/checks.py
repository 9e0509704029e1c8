"""Checks a search space against its data set, for example that every class has as many images as the largest IPC."""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

from raydistill.errors import Mistake
from raydistill.spaces.data_facts import MOST_IMAGES, DataFacts
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.ranges import corners, ends
from raydistill.spaces.sections import Config, EvaluationConfig, GoalConfig
from raydistill.spaces.space import Choices, Range

MOST_NETWORKS = 1000
"""More confirm networks than a search trains."""
SmallestMargin = Callable[[int, int, int, float, Sequence[int]], float]
"""(confirm images, confirm networks, baseline networks, confidence, confirm images of each class for balanced accuracy) to the
smallest margin that they can decide, as a fraction."""


class ChecksData(Protocol):
    """A method's config may have this function, to refuse values that do not fit the data set or the network."""

    def against(self, facts: DataFacts, network: NetworkConfig) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for each value that does not fit."""


def check_ipc(fixed: int | None, ranges: Mapping[str, Range | Choices], facts: DataFacts) -> Iterator[Mistake]:
    """Every class must have at least as many images as the largest IPC: the upper end of its range, or its fixed value."""
    ipc = ranges.get("ipc")
    key, top = ("ipc.high", ipc.high) if isinstance(ipc, Range) else ("ipc", fixed)
    if top is not None and top > facts.smallest_class:
        message = f"given {top}; {_smallest(facts)}"
        yield Mistake(key=key, message=message)


def check_factor(
    fixed: int | None, ranges: Mapping[str, Range | Choices], factor: int, facts: DataFacts, *, section: str
) -> Iterator[Mistake]:
    """A class must have the images that a set of the largest IPC and factor holds, and an image a pixel for each tile.

    Args:
        fixed: IPC, where it has no range.
        ranges: with that of `ipc`.
        factor: the largest of this method.
        facts: sizes of the data set.
        section: dotted path of the method's section, for messages.
    """
    if factor == 1:
        return
    ipc = ranges.get("ipc")
    key, top = ("ipc.high", int(ipc.high)) if isinstance(ipc, Range) else ("ipc", fixed)
    if top is not None and top <= facts.smallest_class < top * factor**2:
        most = facts.smallest_class // factor**2
        lower = f"lower {key} to {most}, or " if most else ""
        message = (
            f"given {factor}; with {key} {top} a class then holds {top * factor**2} smaller images, and the smallest class has "
            f"{facts.smallest_class} train images to make them of: {lower}write a smaller factor"
        )
        yield Mistake(key=f"{section}.factor", message=message)
    side = min(facts.shape[1:]) if facts.shape else factor
    if factor > side:
        message = f"given {factor}; an image of {side} pixels has no room for {factor} tiles: write at most {side}"
        yield Mistake(key=f"{section}.factor", message=message)


def _smallest(facts: DataFacts) -> str:
    """Which class limits the IPC, and the ways out."""
    if not facts.train_counts:
        return f"the smallest class has {facts.smallest_class} train images: write at most that number"
    name = min(facts.train_counts, key=facts.train_counts.__getitem__)
    return (
        f"the smallest class has {facts.smallest_class} train images (class {name}): write at most that number, add images of "
        "this class, or leave it out of the data or join it with another"
    )


def check_margin(
    goal: GoalConfig,
    evaluation: EvaluationConfig,
    facts: DataFacts,
    smallest_margin: SmallestMargin,
    *,
    has_controls: bool,
) -> Iterator[Mistake]:
    """The confirm images and networks must be able to decide the margin, at the confidence that a race leaves to a claim."""
    confidence = goal.share_of("distilled") if has_controls else goal.confidence
    images = facts.deciding_images(goal.metric)
    if goal.metric == "balanced_accuracy" and min((*facts.select_counts, *facts.confirm_counts), default=2) < 2:
        yield Mistake(
            key="goal.metric",
            message="given balanced_accuracy, but a class has one select or confirm image only, which does not show how images "
            "of the class vary: add images, or raise select_fraction and confirm_fraction",
        )
    counts = facts.confirm_counts if goal.metric == "balanced_accuracy" else ()
    least = smallest_margin(images, evaluation.confirm_networks, evaluation.baseline_networks, confidence, counts)
    if goal.margin_fraction < least:
        equal = "" if images == facts.confirm_images else f" (as good as {images} in classes of equal size)"
        networks = f"{evaluation.confirm_networks} confirm_networks and {evaluation.baseline_networks} baseline_networks"
        decided_by = f"{facts.confirm_images} confirm images{equal}, {networks}"
        yield Mistake(
            key="goal.margin_fraction",
            message=f"given {goal.margin_fraction}; with {decided_by} the gap is known to ±{least:.4f} at best (confidence "
            f"{confidence:g}), so no smaller margin can be decided: write a larger one, or "
            f"{_what_would_decide(goal, confidence, evaluation, facts, smallest_margin)}",
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
    *,
    section: str,
) -> Iterator[Mistake]:
    """The method's values must fit the data and the network: at both ends of every range, and in every pair of choices.

    Args:
        config: the method's config class; checked only if it has `against` (see `ChecksData`).
        values: the method's fields, with every range at its lower end.
        ranges: the method's ranges, by `method.<field>`.
        facts: sizes of the data set.
        network: the network of every trial.
        section: dotted path of the method's section, for messages.
    """
    if not hasattr(config, "against"):
        return
    of_method = {path.removeprefix("method."): allowed for path, allowed in ranges.items()}
    found = [(field, end) for field, allowed in of_method.items() for end in ends(allowed)]
    # All upper ends at once, too: fields that limit each other (a window and the length of its trajectory) are largest there.
    trials = [values, *({**values, field: end} for field, end in found), {**values, **dict(found)}]

    def mistakes(trials: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], None]:
        methods = (cast(ChecksData, config.model_validate(trial)) for trial in trials)
        return dict.fromkeys(row for method in methods for row in method.against(facts, network))

    rows = list(mistakes(trials))
    # Pairs of choices; of each field the first mistake is enough.
    together: dict[str, str] = {}
    for field, message in mistakes({**values, **corner} for corner in corners(of_method)):
        together.setdefault(field, message)
    named = {field for field, _ in rows}
    for field, message in (*rows, *(row for row in together.items() if row[0] not in named)):
        yield Mistake(key=f"{section}.{field}", message=message)


def _what_would_decide(
    goal: GoalConfig, confidence: float, evaluation: EvaluationConfig, facts: DataFacts, smallest_margin: SmallestMargin
) -> str:
    """What to change so that the margin can be decided: networks, else images, else both in equal parts of the variance."""
    now, margin = (evaluation.confirm_networks, evaluation.baseline_networks), goal.margin_fraction
    enough = functools.partial(_first_that_decides, smallest_margin, now=now, confidence=confidence)
    counts = facts.confirm_counts if goal.metric == "balanced_accuracy" else ()
    if (networks := enough(margin, images=facts.deciding_images(goal.metric), counts=counts)) is not None:
        return f"set {_networks(networks, now)}"
    if counts:
        return f"add images of the smallest classes, of which one has {min(counts)} confirm images"
    if (images := enough(margin, networks=1)) is not None:
        return f"use a data set with at least {images} confirm images"
    networks = enough(margin / math.sqrt(2), images=MOST_IMAGES)
    images = None if networks is None else enough(margin, networks=networks)
    if networks is None or images is None:
        return "take another goal: no practical number of images and networks decides it"
    return f"use a data set with at least {images} confirm images, and set {_networks(networks, now)}"


def _networks(needed: int, now: tuple[int, int]) -> str:
    """The keys to change so that there are so many confirm and baseline networks."""
    keys = zip(("confirm_networks", "baseline_networks"), now, strict=True)
    return " and ".join(f"{key} to {needed}" for key, count in keys if count < needed)


def _first_that_decides(
    smallest_margin: SmallestMargin,
    margin: float,
    *,
    now: tuple[int, int],
    confidence: float,
    images: int | None = None,
    networks: int | None = None,
    counts: Sequence[int] = (),
) -> int | None:
    """The smallest number of whichever of images and networks is None that decides a margin; None if none does.

    Networks are those of each side, where it has fewer `now`.
    """

    def decides(count: int) -> bool:
        confirm, baseline = (max(networks or count, one) for one in now)
        return smallest_margin(images or count, confirm, baseline, confidence, counts) <= margin

    tried = range(1, (MOST_NETWORKS if images else MOST_IMAGES) + 1)
    place = bisect.bisect_left(tried, True, key=decides)
    return tried[place] if place < len(tried) else None
