"""A folder that Hugging Face's `save_to_disk` wrote: a data set, or several of them by split."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

from PIL import Image

from raydistill.data.own.files import stamp
from raydistill.data.own.items import Item, Listing, Part, Problem
from raydistill.data.own.layouts.labels import in_order, lacks, no_label, part_of, text_of
from raydistill.errors import DataError
from raydistill.spaces.sections import ImageFolderConfig


def is_hugging_face(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder."""
    return (folder / "dataset_dict.json").is_file() or all((folder / n).is_file() for n in ("dataset_info.json", "state.json"))


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
    try:
        loaded = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder} cannot be read by Hugging Face's datasets ({error}); save it again") from error
    problems: list[Problem] = []
    splits = loaded if isinstance(loaded, datasets.DatasetDict) else {"": loaded}
    marks = "-".join(stamp(path.stat()) for path in sorted(folder.rglob("*.arrow")))
    items: list[Item] = []
    order: dict[str, None] = {}
    for name, rows in splits.items():
        part = part_of(name, f"{name}/", problems)
        items += _Rows(rows, name, config).items(part, marks, problems)
        label = rows.features.get(config.label_column)
        order.update(dict.fromkeys(getattr(label, "names", None) or ()))
    there = {item.class_name for item in items}
    classes = tuple(name for name in order if name in there) if there <= set(order) else in_order(there)
    layout = f"a Hugging Face data set{' of ' + ', '.join(splits) if '' not in splits else ''}"
    return Listing(items=tuple(items), class_names=classes, layout=layout, litter={}, problems=tuple(problems))


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
        if missing:
            problems.append(lacks(missing, self.features, f"{self.split}/" if self.split else ""))
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

    def _labels(self) -> list[str]:
        """The class of each row, empty where there is none; ClassLabel has -1 for these."""
        names = getattr(self.features[self.config.label_column], "names", None)
        values = self.rows[self.config.label_column]
        if names is None:
            return [text_of(value) for value in values]
        return ["" if value is None or value < 0 else names[value] for value in values]

    def _texts(self, column: str) -> list[str]:
        if column not in self.features:
            return [""] * len(self.rows)
        return [text_of(value) for value in self.rows[column]]

    def _image(self, place: int) -> Image.Image:
        found = self.rows[place][self.column]
        if found is None:
            raise ValueError("the row has no image")
        return Image.open(found["path"] if found["bytes"] is None else io.BytesIO(found["bytes"]))
