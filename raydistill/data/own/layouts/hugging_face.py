"""A folder that Hugging Face's `save_to_disk` wrote: a data set, or several of them by split."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from raydistill.data.own.files import stamp
from raydistill.data.own.items import Item, Listing, Part, Problem
from raydistill.data.own.layouts.labels import in_order, lacks, no_label, part_of, text_of
from raydistill.errors import DataError
from raydistill.spaces.bounded import read_json
from raydistill.spaces.paths import is_writable, regular, shown
from raydistill.spaces.sections import ImageFolderConfig

SPLITS, INFO, STATE = "dataset_dict.json", "dataset_info.json", "state.json"


def is_hugging_face(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder."""
    return (folder / SPLITS).is_file() or all((folder / name).is_file() for name in (INFO, STATE))


def list_hugging_face(folder: Path, config: ImageFolderConfig) -> Listing:
    """The images of each split, in the order of the rows; classes have the order of their numbers.

    Args:
        folder: what `save_to_disk` wrote.
        config: the column of labels, and of images where there are several; optional columns of the part and the group.

    Raises:
        DataError: the library is not installed, or the folder is damaged.
    """
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"{folder} was saved by Hugging Face's datasets, which is not installed: pip install 'raydistill[own-data]'"
        ) from error
    problems: list[Problem] = []
    items: list[Item] = []
    order: dict[str, None] = {}
    marks = "-".join(stamp(path.stat()) for path in sorted(folder.rglob("*.arrow")))
    try:
        _check_files(folder)
        loaded = datasets.load_from_disk(str(folder))
        splits = loaded if isinstance(loaded, datasets.DatasetDict) else {"": loaded}
        for name, rows in splits.items():
            rows.data.validate(full=True)  # else a number in the file that leads out of it ends this process
            part = part_of(name, f"{name}/", problems)
            items += _Rows(rows.with_format(None), name, config).items(part, marks, problems)
            label = rows.features.get(config.label_column)
            order.update(dict.fromkeys(getattr(label, "names", None) or ()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, NotImplementedError, OverflowError) as error:
        raise DataError(f"{folder} cannot be read by Hugging Face's datasets ({error}); save it again") from error
    there = {item.class_name for item in items}
    classes = tuple(name for name in order if name in there) if there <= set(order) else in_order(there)
    layout = f"a Hugging Face data set{' of ' + ', '.join(splits) if '' not in splits else ''}"
    return Listing(items=tuple(items), class_names=classes, layout=layout, litter={}, problems=tuple(problems))


def _check_files(folder: Path) -> None:
    """Check that the library will open regular files of this folder alone: a name may be a path, or an address of a network.

    Raises:
        OSError: a file is missing, or cannot be read.
        ValueError, KeyError, TypeError: a file is not what `save_to_disk` writes, or names something else than a file beside it.
    """
    parts = [folder]
    if (folder / SPLITS).is_file():
        parts = [folder / name for name in _names(_said(folder / SPLITS)["splits"])]
    for part in parts:
        _said(part / INFO)
        for name in _names([file["filename"] for file in _said(part / STATE)["_data_files"]]):
            with open(part / name, "rb", opener=regular):
                pass


def _said(path: Path) -> dict[str, Any]:
    with open(path, "rb", opener=regular) as file:
        said = read_json(file.read())
    if not isinstance(said, dict):
        raise ValueError(f"{path.name} is no section")
    return said


def _names(names: Iterable[Any]) -> list[str]:
    """Names of files or folders that lie directly in another."""
    names = list(names)
    for name in names:
        if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "::" in name or not is_writable(name):
            raise ValueError(f"it names {shown(name)}, which can be no file or folder in it")
    return names


class _Rows:
    """The rows of one split."""

    def __init__(self, rows: Any, split: str, config: ImageFolderConfig) -> None:
        import datasets

        self.split, self.config = split, config
        self.features = rows.features
        pictures = [name for name, kind in rows.features.items() if isinstance(kind, datasets.Image)]
        self.column = config.path_column if config.path_column in pictures or len(pictures) != 1 else pictures[0]
        self.has_pictures = self.column in pictures
        if self.has_pictures:
            rows = rows.cast_column(self.column, datasets.Image(decode=False))
        self.rows = rows

    def items(self, part: Part | None, marks: str, problems: list[Problem]) -> list[Item]:
        """The images of the rows, which are named by their number from 1."""
        missing = [] if self.has_pictures else [f"{self.column} of images"]
        missing += [self.config.label_column] if self.config.label_column not in self.features else []
        whole = f"{self.split}/" if self.split else ""
        if missing:
            problems.append(lacks(missing, self.features, whole))
            return []
        if odd := self._odd():
            problems.append(
                Problem(
                    kind="odd_column",
                    item=whole,
                    text=f"has something else than text and numbers in {', '.join(odd)}",
                    remedy="name other columns (label_column, split_column, group_column)",
                )
            )
            return []
        labels = self._labels()
        words, groups = self._texts(self.config.split_column), self._texts(self.config.group_column)
        items = []
        for place, label in enumerate(labels):
            name = f"{self.split} row {place + 1}".strip()
            if not label:
                problems.append(no_label(name))
                continue
            items.append(
                Item(
                    name=name,
                    class_name=label,
                    part=part if self.split else part_of(words[place], name, problems),
                    group=groups[place] or None,
                    stamp=marks,
                    open=functools.partial(self._image, place),
                )
            )
        return items

    def _odd(self) -> list[str]:
        """The columns in use that hold neither text nor numbers."""
        from datasets import ClassLabel, Value

        used = (self.config.label_column, self.config.split_column, self.config.group_column)
        kinds = {name: self.features[name] for name in used if name in self.features}
        return [
            name
            for name, kind in kinds.items()
            if not isinstance(kind, ClassLabel) and not (isinstance(kind, Value) and "binary" not in kind.dtype)
        ]

    def _labels(self) -> list[str]:
        """The class of each row, empty where there is none; ClassLabel has -1 for these.

        Raises:
            ValueError: a number has no name.
        """
        names = getattr(self.features[self.config.label_column], "names", None)
        values = self.rows[self.config.label_column]
        if names is None:
            return [text_of(value) for value in values]
        unnamed = [value for value in values if value is not None and value >= len(names)]
        if unnamed:
            raise ValueError(f"it has the label {unnamed[0]}, and names for 0 to {len(names) - 1}")
        return ["" if value is None or value < 0 else names[value] for value in values]

    def _texts(self, column: str) -> list[str]:
        if column not in self.features:
            return [""] * len(self.rows)
        return [text_of(value) for value in self.rows[column]]

    def _image(self, place: int) -> Image.Image:
        found = self.rows[place][self.column]
        if found is None or (found["bytes"] is None and found["path"] is None):
            raise ValueError("the row has no image")
        if found["bytes"] is not None:
            return Image.open(io.BytesIO(found["bytes"]))
        if not os.path.isfile(found["path"]):
            raise ValueError(f"the row names {shown(found['path'])}, which is no file")
        return Image.open(found["path"])
