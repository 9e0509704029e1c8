"""What is known about a person's images before anything is trained: a frozen value, and its JSON for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AliasChoices, Field

from raydistill.spaces.sections import Config


class Grouped(Config):
    """All problems of one kind."""

    kind: str
    count: int
    examples: tuple[str, ...]
    """The first of them in words."""
    remedy: str


class Decision(Config):
    """What only the owner of the images can decide, with the YAML lines that do."""

    question: str
    lines: tuple[str, ...]
    """Each is one answer, a line for the `dataset` section."""


class TwinCounts(Config):
    """Images that are there twice; see `raydistill.data.own.twins`."""

    images: dict[str, int]
    """By part: how many there are."""
    with_twin: dict[str, dict[str, int]]
    """By part, then by the part where the twin lies: number of images that have one there; 0 is left out."""
    exact: dict[str, dict[str, int]]
    """The same for twins with equal pixels."""
    dropped: int = 0
    """Train images that `duplicates: drop` left out before these were counted."""

    @property
    def across(self) -> int:
        """Select, confirm and test images with a twin in the train part."""
        return sum(found.get("train", 0) for part, found in self.with_twin.items() if part != "train")

    @property
    def of_test(self) -> dict[str, int]:
        """Test images with a twin in another part, by that part."""
        return {part: count for part, count in self.with_twin.get("test", {}).items() if part != "test"}

    @property
    def total(self) -> int:
        """Images that have a twin anywhere, at least; an image with twins in several parts counts in the part with most."""
        return sum(max(found.values(), default=0) for found in self.with_twin.values())


class DataReport(Config):
    """What lies at a path, what will be done to it, and what stands in the way."""

    record_version: Literal[1] = Field(default=1, validation_alias=AliasChoices("record_version", "report_version"))
    """Older files call it `report_version`."""
    path: str
    layout: str
    """In words."""
    classes: tuple[str, ...]
    """In the order of their numbers."""
    images: dict[str, dict[str, int]]
    """By part (train, select, confirm, test, or `undivided` for those that the seeded split will divide), then by class."""
    groups: int | None
    """Patients, videos or the like, whose images stay in one part."""
    litter: dict[str, int]
    """Files that systems leave behind: ignored, counted by name."""
    modes: dict[str, int]
    """Images by Pillow's mode, test images included."""
    smallest: tuple[int, int] | None
    """Width and height of the image with the shortest side; null where no image could be read."""
    largest: tuple[int, int] | None
    not_square: int
    values: tuple[float, float] | None
    """Smallest and largest value in images of more than 8 bits."""
    size: int
    """Height and width that the images get."""
    is_size_proposed: bool
    """Whether the size is a proposal, because none was given."""
    channels: int | None
    mean: tuple[float, ...]
    """Per channel, of all images that are not in a test part, as fractions of full brightness."""
    deviation: tuple[float, ...]
    imbalance: float | None
    """Images of the largest class over those of the smallest, in the parts that are not test."""
    conversions: dict[str, int]
    """Number of images by conversion; keys of `raydistill.data.own.conversions.CONVERSIONS`."""
    left_out: tuple[str, ...]
    """Images that `on_bad: skip` leaves out."""
    parts: dict[str, int] | None
    """Images by part as a search divides them, train, select, confirm and test; null where there are problems."""
    twins: TwinCounts | None
    """Among these parts; null where there are problems."""
    problems: tuple[Grouped, ...]
    warnings: tuple[str, ...]
    decisions: tuple[Decision, ...]
    dataset: dict[str, Any]
    """The section with which this was read."""

    @property
    def is_fine(self) -> bool:
        """Whether a search would take the images as they are."""
        return not self.problems

    @property
    def count(self) -> int:
        """Images of all parts."""
        return sum(sum(by_class.values()) for by_class in self.images.values())

    @property
    def of_class(self) -> Mapping[str, int]:
        """Images by class, without those of a test part."""
        found = dict.fromkeys(self.classes, 0)
        for part, by_class in self.images.items():
            for name, count in by_class.items() if part != "test" else ():
                found[name] += count
        return found
