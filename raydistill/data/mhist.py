"""MHIST: 3,152 colour images of colorectal polyps, 224 x 224 pixels, hyperplastic (HP) or sessile serrated (SSA).

Source: Wei et al., "A Petri Dish for Histopathology Image Analysis", 2021. Labels are the majority vote of seven pathologists;
2,175 images are published for training and 977 for testing. Of all images 68.6 % are HP, so an accuracy near that is none.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raydistill.data.image_file import read_images
from raydistill.data.published import root_folder
from raydistill.data.raw import RawDataset, RawPart
from raydistill.errors import DataError

CLASSES = ("HP", "SSA")
PARTITIONS = ("train", "test")
COLUMNS = ("Image Name", "Majority Vote Label", "Partition")
FRACTIONS = {"select": 0.15, "confirm": 0.25}
"""Of the training images: 326 select, 544 confirm, 1,305 train of 2,175. One network's standard error at 81 % is 1.7 points on
the confirm images; a tenth (218) would leave 2.7 and decide no margin that anybody wants."""
HOW_TO_GET = (
    "MHIST is given on application: sign the agreement at https://bmirds.github.io/MHIST, then put annotations.csv and the "
    "unpacked images/ into {folder}, or name another folder with --data-root"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """One line of the annotations."""

    image: Path
    label: int
    partition: str


def load_mhist(data_root: Path | None) -> RawDataset:
    """The training images, to be split into train, select and confirm by fixed shares; the test images stay in their files.

    Args:
        data_root: folder that holds `mhist/annotations.csv` and `mhist/images/`; None means `~/.cache/raydistill`.

    Raises:
        DataError: they are not there, do not fit together, or an image cannot be read; named.
    """
    folder = root_folder(data_root) / "mhist"
    if not (folder / "annotations.csv").is_file() or not (folder / "images").is_dir():
        raise DataError(f"{folder} lacks annotations.csv or images/. {HOW_TO_GET.format(folder=folder)}")
    rows = _read_annotations(folder)
    parts = {partition: [row for row in rows if row.partition == partition] for partition in PARTITIONS}
    for partition, found in parts.items():
        if {row.label for row in found} != {0, 1}:
            raise DataError(f"{folder / 'annotations.csv'} has not both classes in {partition}; fetch it again")
    search = _read(parts["train"])
    return RawDataset(
        search=search,
        load_test=lambda: _read(parts["test"], like=parts["train"][0].image),
        sizes={name: round(fraction * len(search.labels)) for name, fraction in FRACTIONS.items()},
        white=255,
        class_names=CLASSES,
        mirror_keeps_class=True,
    )


def _read_annotations(folder: Path) -> list[_Row]:
    """The rows in the order of their images' names; every row has its image and every image its row."""
    path = folder / "annotations.csv"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path} lacks the columns {', '.join(missing)}; fetch it again")
            rows = [_row(values, f"{path}:{reader.line_num}", folder / "images") for values in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no table of text in UTF-8 ({error}); fetch it again") from error
    names = Counter(row.image.name for row in rows)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise DataError(f"{path} has the image {twice[0]} in more than one row; keep one")
    extra = sorted({p.name for p in (folder / "images").iterdir() if not p.name.startswith(".")} - set(names))
    if extra:
        raise DataError(f"{folder / 'images' / extra[0]} has no row in {path}; move it away, or fetch the annotations again")
    return sorted(rows, key=lambda row: row.image.name)


def _row(values: Mapping[str, str], place: str, images: Path) -> _Row:
    name, label, partition = (values[column] for column in COLUMNS)
    if label not in CLASSES:
        raise DataError(f"{place}: unknown label {label!r} of image {name!r}; allowed: {', '.join(CLASSES)}: mend the row")
    if partition not in PARTITIONS:
        raise DataError(f"{place}: unknown partition {partition!r}; allowed: {', '.join(PARTITIONS)}: mend the row")
    if not name or Path(name).name != name or not (images / name).is_file():
        raise DataError(f"{place}: image {name!r} is not in {images}; put it there, or take the row out")
    return _Row(image=images / name, label=CLASSES.index(label), partition=partition)


def _read(rows: list[_Row], like: Path | None = None) -> RawPart:
    images = read_images([row.image for row in rows], None, like)
    return RawPart(images=images, labels=np.array([row.label for row in rows], dtype=np.int64))
