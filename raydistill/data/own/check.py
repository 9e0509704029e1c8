"""Looks at all images of a path once, and says everything at once: what is there, what will be done, what is wrong.

Nothing is trained, nothing is written, and no image is kept. Whether the images can be divided into parts, and which are
twins, is found out by `raydistill.data.inspect` afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raydistill.data.own.decode import MAY_BE_SKIPPED, Decoded, read, rules_of
from raydistill.data.own.items import Item, Listing, Problem
from raydistill.data.own.pixels import all_left_out
from raydistill.data.own.refusal import grouped
from raydistill.data.own.report import DataReport, Decision, Grouped, TwinCounts
from raydistill.data.own.warnings import warnings_of
from raydistill.errors import Unusable
from raydistill.spaces.sections import ImageFolderConfig

UNDIVIDED = "undivided"
"""Images that the seeded split divides."""
USUAL_SIZES = (8, 12, 16, 24, 28, 32, 48, 64, 96, 128)
MOST_PROPOSED = 32
"""A size at which a search on two cores is over within hours; larger ones are for the owner to choose."""
MAY_BE_SMALLER = 0.01
"""Share of the images that may be smaller than a proposed size; they are told as problems."""
Tell = Callable[[int, int], object]
"""Is told how many images of how many have been looked at."""


def _nobody(done: int, total: int) -> None:
    """Ignore the progress."""


def check(
    found: Listing, config: ImageFolderConfig, place: Path, *, is_size_proposed: bool = False, tell: Tell = _nobody
) -> DataReport:
    """Look at every image of a listing.

    Args:
        found: what the path holds.
        config: the rules by which the images are read.
        place: the path itself.
        is_size_proposed: whether the config's size is a proposal of `proposed_size`.
        tell: is told the progress now and then.
    """
    looked = _Looked()
    rules = rules_of(config)
    for number, item in enumerate(found.items):
        try:
            looked.take(item, read(item.open, rules))
        except Unusable as error:
            looked.refuse(item, error)
        if number % 500 == 499:
            tell(number + 1, len(found.items))
    stops = [problem for problem in looked.refused if config.on_bad == "stop" or problem.kind not in MAY_BE_SKIPPED]
    hollow = all_left_out(found.items, looked.items) if config.on_bad == "skip" else []
    problems = [*found.problems, *stops, *hollow, *looked.mixed_channels()]
    used = Counter((item.part or UNDIVIDED, item.class_name) for item in looked.items)
    images = {
        part: {name: used[part, name] for name in found.class_names if used[part, name]}
        for part in dict.fromkeys(p for p, _ in used)
    }
    groups = {item.group for item in found.items} - {None}
    mean, deviation = looked.mean_and_deviation()
    report = DataReport(
        path=str(place),
        layout=found.layout,
        classes=found.class_names,
        images=images,
        groups=len(groups) or None,
        litter=dict(found.litter),
        modes=dict(looked.modes.most_common()),
        smallest=looked.smallest,
        largest=looked.largest,
        not_square=looked.not_square,
        values=looked.values,
        size=config.size,
        is_size_proposed=is_size_proposed,
        channels=looked.channels[0] if len(looked.channels) == 1 else None,
        mean=mean,
        deviation=deviation,
        imbalance=_imbalance(images),
        conversions=dict(sorted(looked.conversions.items())),
        left_out=tuple(problem.item for problem in looked.refused if problem not in stops),
        parts=None,
        twins=None,
        problems=tuple(grouped(problems)),
        warnings=(),
        decisions=tuple(_decisions(problems, looked, config)),
        dataset=config.model_dump(mode="json"),
    )
    return _with_warnings(report, config)


def divided(report: DataReport, config: ImageFolderConfig, twins: TwinCounts) -> DataReport:
    """The report with the parts into which a search divides the images, and the twins between these.

    Args:
        report: of images without problems.
        config: with which it was made.
        twins: of `raydistill.data.splits.train_twins`.
    """
    return _with_warnings(report.model_copy(update={"twins": twins, "parts": twins.images}), config)


def not_divided(report: DataReport, why: str) -> DataReport:
    """The report of images that are fine one by one and cannot be divided into parts.

    Args:
        report: of images without problems.
        why: what the division says.
    """
    problem = Grouped(kind="parts", count=1, examples=(why,), remedy="change the fractions or add images, as the message says")
    return report.model_copy(update={"problems": (problem,)})


def _with_warnings(report: DataReport, config: ImageFolderConfig) -> DataReport:
    return report.model_copy(update={"warnings": tuple(warnings_of(report, config))})


def proposed_size(items: Sequence[Item]) -> int:
    """The largest usual size that nearly all images have, and at most 32; 1 where no image can be opened."""
    sides = []
    for item in items:
        try:
            with item.open() as opened:
                sides.append(min(opened.size))
        except (OSError, SyntaxError, ValueError, EOFError):
            continue  # `check` names it
    if not sides:
        return 1
    smallest = sorted(sides)[int(MAY_BE_SMALLER * len(sides))]
    return max((size for size in USUAL_SIZES if size <= min(smallest, MOST_PROPOSED)), default=max(1, smallest))


@dataclass(kw_only=True, slots=True, eq=False)
class _Looked:
    """What is seen of the images, one after the other."""

    items: list[Item] = field(default_factory=list)
    refused: list[Problem] = field(default_factory=list)
    modes: Counter[str] = field(default_factory=Counter)
    conversions: Counter[str] = field(default_factory=Counter)
    of_channels: dict[int, list[str]] = field(default_factory=lambda: {1: [], 3: []})
    """Number of channels to the images that have it."""
    smallest: tuple[int, int] | None = None
    largest: tuple[int, int] | None = None
    not_square: int = 0
    values: tuple[float, float] | None = None
    sums: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    """By number of channels: (3, C) counts, sums and sums of squares of the levels outside the test part."""

    def refuse(self, item: Item, error: Unusable) -> None:
        self.refused.append(Problem.of(item, error))

    def take(self, item: Item, image: Decoded) -> None:
        self.items.append(item)
        self.modes[image.mode] += 1
        self.conversions.update(image.conversions)
        size = (image.width, image.height)
        if self.smallest is None or self.largest is None:
            self.smallest = self.largest = size
        self.smallest = min(self.smallest, size, key=lambda s: (min(s), max(s)))
        self.largest = max(self.largest, size, key=lambda s: (max(s), min(s)))
        self.not_square += image.width != image.height
        if image.values is not None:
            low, high = self.values or image.values
            self.values = min(low, image.values[0]), max(high, image.values[1])
        channels = len(image.pixels)
        self.of_channels[channels].append(item.name)
        if item.part != "test":
            levels = image.pixels.reshape(channels, -1).astype(np.int64)
            of_image = np.stack([np.full(channels, levels.shape[1]), levels.sum(axis=1), (levels**2).sum(axis=1)])
            self.sums[channels] = self.sums.get(channels, 0) + of_image

    @property
    def channels(self) -> list[int]:
        """Numbers of channels that images have."""
        return [channels for channels, names in self.of_channels.items() if names]

    def mixed_channels(self) -> list[Problem]:
        """A problem for each image whose channels are not those of most; the config does not say what all are to be."""
        if len(self.channels) < 2:
            return []
        fewer, more = ("grey", "colour") if len(self.of_channels[1]) < len(self.of_channels[3]) else ("colour", "grey")
        return [
            Problem(
                kind="mixed_channels",
                item=name,
                text=f"is {fewer}, and most images are {more}",
                remedy="write channels: 3 to make grey images colour, or channels: 1 to make colour images grey",
            )
            for name in self.of_channels[1 if fewer == "grey" else 3]
        ]

    def mean_and_deviation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Per channel, as fractions; empty where channels are mixed or nothing was read."""
        if len(self.sums) != 1:
            return (), ()
        ((count, total, squares),) = self.sums.values()
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
        return tuple((mean / 255).tolist()), tuple((deviation / 255).tolist())


def _imbalance(images: dict[str, dict[str, int]]) -> float | None:
    totals: Counter[str] = Counter()
    for part, by_class in images.items():
        totals.update(by_class if part != "test" else {})
    return max(totals.values()) / min(totals.values()) if totals else None


def _decisions(problems: Sequence[Problem], looked: _Looked, config: ImageFolderConfig) -> Iterator[Decision]:
    """What the person must decide, with each answer as a line of YAML."""
    kinds = Counter(problem.kind for problem in problems)
    if kinds["transparency"]:
        yield Decision(
            question=f"What lies behind transparent images? Concerned: {kinds['transparency']:,}.",
            lines=("background: [255, 255, 255]  # white", "background: [0, 0, 0]  # black"),
        )
    if kinds["mixed_channels"]:
        grey, colour = len(looked.of_channels[1]), len(looked.of_channels[3])
        yield Decision(
            question=f"Are all images to be colour or grey? Grey now: {grey:,}, colour: {colour:,}.",
            lines=("channels: 3  # grey images become colour", "channels: 1  # colour images become grey"),
        )
    if kinds["value_range"] and config.value_range is None:
        yield Decision(
            question=f"Which values are black and white in images of more than 8 bits? Concerned: {kinds['value_range']:,}.",
            lines=("value_range: [0, 255]  # for example; [black, white], the same for all images",),
        )
    if kinds["small"]:
        side = min(problem.side for problem in problems if problem.side is not None)
        yield Decision(
            question=f"Which size are the images to have? Smaller than {config.size}: {kinds['small']:,}.",
            lines=(f"size: {side}  # as the smallest", "on_bad: skip  # leave the smaller ones out"),
        )
    if kinds["unreadable"]:
        yield Decision(
            question=f"May damaged files be left out? Concerned: {kinds['unreadable']:,}.",
            lines=("on_bad: skip  # yes; their names are kept in the study's record",),
        )
