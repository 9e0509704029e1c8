"""Labels as people write them: numbers or names, and the words for parts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from raydistill.data.own.items import PART_NAMES, Part, Problem


def text_of(value: Any) -> str:
    """A cell of a table as text, empty for a missing one; a whole number that was stored as a float is written as one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Classes by number if all are whole numbers, else by name; `1` and `01` are two, in the order of their names."""
    different = set(names)
    if all(name.removeprefix("-").isdecimal() for name in different):
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    return tuple(sorted(different))


def part_of(word: str, item: str, problems: list[Problem]) -> Part | None:
    """The part that a word stands for; None for an empty word, and for one that is not known, which is a problem."""
    part = PART_NAMES.get(word.lower())
    if part is None and word:
        problems.append(
            Problem(
                kind="unknown_part",
                item=item,
                text=f"is in the part {word!r}; expected {', '.join(PART_NAMES)}",
                remedy="correct it",
            )
        )
    return part


def no_label(item: str) -> Problem:
    """The problem of an image without a class."""
    return Problem(kind="no_label", item=item, text="has no label", remedy="give it one, or remove the image")


def lacks(columns: Iterable[str], has: Iterable[str], item: str = "") -> Problem:
    """The problem of data without the columns that the config names."""
    return Problem(
        kind="no_column",
        item=item,
        text=f"has no column {' and no column '.join(columns)}; its columns are {', '.join(has)}",
        remedy="name its columns in the dataset section: path_column, label_column, split_column, group_column",
    )
