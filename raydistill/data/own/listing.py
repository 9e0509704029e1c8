"""What a path of the user's own images holds: finds the layout, and whatever the layouts share is checked here."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from raydistill.data.own.groups import with_groups
from raydistill.data.own.items import PARTS, Item, Listing, Problem
from raydistill.data.own.layouts.folders import list_folders
from raydistill.data.own.layouts.hugging_face import is_hugging_face, list_hugging_face
from raydistill.data.own.layouts.npz import list_npz
from raydistill.data.own.layouts.table import SUFFIXES as TABLES
from raydistill.data.own.layouts.table import list_table
from raydistill.data.own.layouts.tars import is_tars, list_tars
from raydistill.errors import DataError
from raydistill.spaces.sections import ImageFolderConfig

FILE_SUFFIXES = (*TABLES, ".npz", ".tar")
ALLOWED = (
    "a folder of class folders, a table of paths and labels (.csv, .tsv or .parquet), an .npz file as medmnist's, a folder that "
    "Hugging Face's save_to_disk wrote, or .tar files of WebDataset"
)


def listing(config: ImageFolderConfig, folder: Path) -> Listing:
    """The images at a path, in the order of parts, classes and names, with all problems at once.

    Args:
        config: columns, classes and groups; its path is not used.
        folder: the path, which may also be a file.

    Raises:
        DataError: nothing lies there, or it is of no known layout; every other problem is in the listing.
    """
    if not folder.exists():
        raise DataError(f"{folder} does not exist; expected {ALLOWED}")
    return _completed(_found(config, folder), config)


UNFINISHED = frozenset({"one_part", "no_train_part", "no_column", "odd_column"})
"""Kinds of problems with which classes and parts are not yet known."""
DEFAULT_TEST_FRACTION = 0.2
"""For data without a test part: with the default select and confirm splits of a tenth each, 0.6 of the images are left."""


def drawn_fractions(items: Sequence[Item], config: ImageFolderConfig, *, test_is_given: bool) -> dict[str, float]:
    """The fraction of each split that is drawn because the data does not give it, in the order select, confirm, test."""
    given = {item.part for item in items} | ({"test"} if test_is_given else set())
    fractions = {
        "select": config.select_fraction,
        "confirm": config.confirm_fraction,
        "test": config.test_fraction or DEFAULT_TEST_FRACTION,
    }
    return {part: fraction for part, fraction in fractions.items() if part not in given}


def _found(config: ImageFolderConfig, path: Path) -> Listing:
    """The listing of the layout that lies at a path."""
    kind = path.suffix.lower()
    if path.is_dir():
        if is_hugging_face(path):
            return list_hugging_face(path, config)
        return list_tars(path, config) if is_tars(path) else list_folders(path)
    if not path.is_file():
        raise DataError(f"{path} is a pipe, a socket or a device; expected {ALLOWED}")
    if kind in TABLES:
        return list_table(path, config)
    if kind == ".npz":
        return list_npz(path)
    if kind == ".tar":
        return list_tars(path, config)
    raise DataError(f"{path} is a file of no known layout; expected {ALLOWED}")


def _completed(found: Listing, config: ImageFolderConfig) -> Listing:
    """The listing with groups, in the order of the classes, and with the problems that can arise in every layout."""
    problems = list(found.problems)
    items: Iterable[Item] = found.items
    if config.group_pattern is not None:
        items = with_groups(found.items, config.group_pattern, problems)
    order = found.class_names
    if config.classes is not None:
        problems += _other_classes(order, config.classes)
        order = config.classes
    places = {name: place for place, name in enumerate(order)}
    of_part = {part: place for place, part in enumerate(PARTS)}

    def key(item: Item) -> tuple[int, int]:
        return of_part.get(item.part or "train", 0), places.get(item.class_name, len(places))

    items = tuple(sorted(items, key=key))  # stable: the layout's order within a class
    if not {problem.kind for problem in problems} & UNFINISHED:
        problems += [*_of_classes(items), *_of_parts(items, config), *_of_groups(items), *_too_small(items, config)]
    return replace(found, items=items, class_names=tuple(order), problems=tuple(problems))


def _other_classes(found: tuple[str, ...], wanted: tuple[str, ...]) -> Iterator[Problem]:
    for name in wanted:
        if name not in found:
            yield Problem(
                kind="class_not_there",
                item="",
                text=f"has no class {name}, which dataset.classes names; its classes are {_first(found)}",
                remedy="correct the name, or leave it out of dataset.classes",
            )
    for name in found:
        if name not in wanted:
            yield Problem(
                kind="class_not_named",
                item="",
                text=f"has the class {name}, which dataset.classes does not name",
                remedy="add it to dataset.classes, which only gives the order, or move its images away",
            )
    twice = [name for name, count in Counter(wanted).items() if count > 1]
    for name in twice:
        yield Problem(
            kind="class_named_twice", item="", text=f"has {name} twice in dataset.classes", remedy="name each class once"
        )


def _of_classes(items: tuple[Item, ...]) -> Iterator[Problem]:
    names = sorted({item.class_name for item in items})
    if len(names) < 2:
        found = f"one class ({names[0]})" if names else "no images of any class"
        yield Problem(
            kind="too_few_classes",
            item="",
            text=f"has {found}; expected at least two classes",
            remedy="make one folder of images per class, or write every image's class into the table",
        )


def _of_parts(items: tuple[Item, ...], config: ImageFolderConfig) -> Iterator[Problem]:
    """What is wrong with parts that the user gives."""
    classes: dict[str, set[str]] = defaultdict(set)
    for item in items:
        classes[item.part or ""].add(item.class_name)
    given = [part for part in PARTS if part in classes]
    if given and "" in classes:
        for item in items:
            if item.part is None:
                yield Problem(
                    kind="no_part",
                    item=item.name,
                    text=f"is in no part, but other images are in {', '.join(given)}",
                    remedy="put every image into a part, or none",
                )
    if given and "train" not in given:
        yield Problem(
            kind="no_train_part", item="", text=f"has images for {', '.join(given)}, but none for train", remedy="add some"
        )
    for part in given:
        for name in sorted(set().union(*classes.values()) - classes[part]):
            yield Problem(
                kind="class_not_in_part",
                item="",
                text=f"has no image of class {name} in the {part} part, but has some in another",
                remedy="give every part images of the same classes, or remove the class",
            )
    for part in ("select", "confirm", "test"):
        field = f"{part}_fraction"
        if part in given and getattr(config, field) != type(config).model_fields[field].default:
            yield Problem(
                kind="fraction_of_a_given_part",
                item="",
                text=f"has a {part} part of its own, but {field} is {getattr(config, field)}",
                remedy=f"remove {field}",
            )


def _too_small(items: tuple[Item, ...], config: ImageFolderConfig) -> Iterator[Problem]:
    """Classes that are too small to have an image, or a group, in every split that is drawn."""
    fractions = drawn_fractions(items, config, test_is_given=any(item.part == "test" for item in items))
    pool = [item for item in items if item.part in (None, "train")]
    if not fractions or not pool:
        return
    least = math.ceil(round(1 / min(*fractions.values(), 1 - sum(fractions.values())), 6))
    shares = ", ".join(f"{part} {fraction:g}" for part, fraction in fractions.items())
    groups: dict[str, set[str]] = defaultdict(set)
    for item in pool:
        groups[item.class_name].add(item.group or item.name)
    is_grouped = any(item.group is not None for item in pool)
    if is_grouped:
        least = len(fractions) + 1
    for name, found in groups.items():
        if len(found) < least:
            images = f"images in {len(found)} groups" if is_grouped else f"{len(found)} image{'s' * (len(found) != 1)}"
            yield Problem(
                kind="class_too_small",
                item="",
                text=f"has {images} of class {name}, too few for {'a group' if is_grouped else 'an image'} in every split "
                f"({shares}); expected at least {least}",
                remedy="add images, raise the fractions, or remove the class"
                if not is_grouped
                else "add images of other groups, or remove the class",
            )


def _of_groups(items: tuple[Item, ...]) -> Iterator[Problem]:
    grouped = [item for item in items if item.group is not None]
    if grouped and len(grouped) < len(items):
        for item in items:
            if item.group is None:
                yield Problem(
                    kind="group_missing",
                    item=item.name,
                    text="has no group, but other images have one",
                    remedy="give every image a group, or none",
                )
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    for item in grouped:
        parts[str(item.group)].setdefault(item.part or "", item.name)
    for group, first in parts.items():
        if len(first) > 1:
            where = " and ".join(f"{part} ({name})" for part, name in first.items())
            yield Problem(
                kind="group_in_two_parts",
                item="",
                text=f"has images of group {group} in {where}",
                remedy="move all images of a group into one part: else the same patient or video is trained on and evaluated",
            )


def _first(names: Iterable[str], most: int = 10) -> str:
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
