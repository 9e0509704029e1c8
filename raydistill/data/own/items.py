"""What a listing of the user's own images consists of; every layout becomes the same items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from PIL import Image

from raydistill.errors import Unusable

Part = Literal["train", "select", "confirm", "test"]
PARTS: tuple[Part, ...] = ("train", "select", "confirm", "test")
PART_NAMES: Mapping[str, Part] = {
    "train": "train",
    "val": "select",
    "valid": "select",
    "validation": "select",
    "select": "select",
    "confirm": "confirm",
    "test": "test",
    "training": "train",
    "testing": "test",
}
"""What people call the parts, in small or large letters. Validation images are those on which trials are compared, so they are
the select part."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One image that a listing names, not yet opened."""

    name: str
    """What messages show: the path below the folder, or the place in a table or an array, such as `row 17`; unique."""
    class_name: str
    part: Part | None = None
    """The part that the user puts it into; None leaves it to the seeded split."""
    group: str | None = None
    """Images of one group (a patient, a video) stay in one part."""
    stamp: str
    """Changes when the contents change: size and time of change of a file."""
    open: Callable[[], Image.Image] = field(compare=False, repr=False)
    """An opened, not yet decoded image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A reason why a listing cannot serve as it is."""

    kind: str
    """Short and stable, such as `alone_beside_classes`: problems of one kind are told together."""
    item: str
    """What has it: the name of an item, a file, a class or a part; empty if it is the whole path."""
    text: str
    """What was found, and what is expected; continues a sentence that begins with the item."""
    remedy: str
    """What to do."""
    side: int | None = None
    """As in `Unusable`."""

    @classmethod
    def of(cls, item: Item, error: Unusable) -> Problem:
        """That an image cannot be used as it is."""
        return cls(kind=error.kind, item=item.name, text=error.reason, remedy=error.remedy, side=error.side)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """The images that a path holds, and everything that is wrong with them at once."""

    items: tuple[Item, ...]
    """By part, by class in the order of `class_names`, and by name."""
    class_names: tuple[str, ...]
    layout: str
    """In words, such as `train/ and test/, one folder per class`."""
    litter: Mapping[str, int]
    """Files that systems leave behind, such as Thumbs.db: ignored, and counted by name."""
    problems: tuple[Problem, ...]
