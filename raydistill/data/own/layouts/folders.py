"""One folder per class, all together or within folders of parts such as train/ and test/."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from raydistill.data.own.files import entries, files_below, no_regular_file, stamp
from raydistill.data.own.items import PART_NAMES, Item, Listing, Part, Problem
from raydistill.data.own.layouts.table import SUFFIXES as TABLES


def list_folders(folder: Path) -> Listing:
    """The images of `folder/<class>/**`, or of `folder/{train,val,test}/<class>/**`; everything that is wrong is a problem."""
    litter: Counter[str] = Counter()
    problems: list[Problem] = []
    there = entries(folder, litter)
    parts = {name: PART_NAMES[name.lower()] for name in _parts_among(there)}
    if not parts:
        items = _classes(folder, there, None, litter, problems)
        return _listing(items, "one folder per class", litter, problems)
    items = []
    for name, part in parts.items():
        items += _classes(folder, entries(folder / name, litter), part, litter, problems)
    problems += _parts_that_cannot_be(parts)
    if len(parts) > 1:
        problems += _beside([entry.name for entry in there if entry.name not in parts], parts)
    return _listing(items, f"{_in_words(parts)}, one folder per class in each", litter, problems)


def _parts_among(there: Sequence[os.DirEntry[str]]) -> list[str]:
    """The folders that are parts: they have the name of one, and no files, as the folder of a class named train has.

    One that has files beside folders is a part with files that went astray where another part lies beside it, and else a class.
    """
    without, with_files = [], []
    for entry in there:
        if entry.is_dir() and entry.name.lower() in PART_NAMES:
            kinds = {below.is_dir() for below in entries(Path(entry.path), Counter())}
            if False not in kinds:
                without.append(entry.name)
            elif True in kinds:
                with_files.append(entry.name)
    return sorted(without + with_files) if without or len(with_files) > 1 else []


def _in_words(parts: dict[str, Part]) -> str:
    said = [f"{name}/" if name == part else f"{name}/ (the {part} part)" for name, part in parts.items()]
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def _classes(
    top: Path, there: list[os.DirEntry[str]], part: Part | None, litter: Counter[str], problems: list[Problem]
) -> list[Item]:
    """The images of class folders, by class and by name."""
    items, above = [], len(os.path.join(top, ""))
    for entry in there:
        name = str(Path(entry.path).relative_to(top))
        if not entry.is_dir():
            problems.append(_alone(name))
            continue
        found = files_below(Path(entry.path), litter)
        if not found:
            problems.append(
                Problem(
                    kind="empty_class",
                    item=name,
                    text="is an empty class folder",
                    remedy="put images into it, or delete it",
                )
            )
        for file in found:
            if file.is_symlink() and not os.path.exists(file.path):
                problems.append(_dangling(file.path[above:]))
                continue
            if not file.is_file():
                problems.append(no_regular_file(file.path[above:]))
                continue
            items.append(
                Item(
                    name=file.path[above:],  # a path is made of text here: `Path` would take longer than all the rest
                    class_name=entry.name,
                    part=part,
                    stamp=stamp(file.stat()),
                    open=functools.partial(Image.open, file.path),
                )
            )
    return items


def _dangling(name: str) -> Problem:
    return Problem(
        kind="no_file", item=name, text="is a link to a file that is not there", remedy="put the file there, or remove the link"
    )


def _alone(name: str) -> Problem:
    if Path(name).suffix.lower() in TABLES:
        return Problem(
            kind="table_beside_classes",
            item=name,
            text="is a table beside the class folders; every image must be in the folder of its class",
            remedy="if the table holds the labels, give its path as dataset.path; else move it away",
        )
    return Problem(
        kind="alone_beside_classes",
        item=name,
        text="is beside the class folders; every image must be in the folder of its class",
        remedy="move it",
    )


def _beside(names: list[str], parts: dict[str, Part]) -> Iterable[Problem]:
    known = " and ".join(f"{name}/" for name in parts)
    for name in names:
        yield Problem(
            kind="beside_parts",
            item=name,
            text=f"is beside {known}",
            remedy=f"remove it, or move it into one of these; other folders that may lie there: {', '.join(PART_NAMES)}",
        )


def _parts_that_cannot_be(parts: dict[str, Part]) -> Iterable[Problem]:
    if len(parts) == 1:
        (name,) = parts
        yield Problem(
            kind="one_part",
            item="",
            text=f"has only {name}/",
            remedy="add both train/ and test/ (or val/), or put the class folders directly into it",
        )
    elif "train" not in parts.values():
        yield Problem(kind="no_train_part", item="", text=f"has {_in_words(parts)}, but no train/", remedy="add train/")
    twice = [part for part, count in Counter(parts.values()).items() if count > 1]
    for part in twice:
        names = " and ".join(f"{name}/" for name, of in parts.items() if of == part)
        yield Problem(
            kind="part_twice", item="", text=f"has {names}, which are both the {part} part", remedy="move them into one folder"
        )


def _listing(items: list[Item], layout: str, litter: Counter[str], problems: list[Problem]) -> Listing:
    names = tuple(sorted({item.class_name for item in items}))
    return Listing(items=tuple(items), class_names=names, layout=layout, litter=dict(litter), problems=tuple(problems))
