"""MHIST: 3,152 colour images of colorectal polyps, 224 x 224 pixels, hyperplastic (HP) or sessile serrated (SSA).

Source: Wei et al., "A Petri Dish for Histopathology Image Analysis", 2021. Labels are the majority vote of seven pathologists;
2,175 images are published for training and 977 for testing. Of all images 68.6 % are HP, so a constant prediction already has
that accuracy.
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
"""Fractions of the 2,175 training images: 326 select, 544 confirm, 1,305 train. At 81 % accuracy the standard error of one
network on the confirm images is 1.7 points; with a tenth (218 images) it would be 2.7, too much to decide a useful margin."""
HOW_TO_GET = (
    "MHIST is available on request only: sign the agreement at https://bmirds.github.io/MHIST, then put annotations.csv and the "
    "unpacked images/ into {folder}, or give another folder with --data-root"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """One line of the annotations."""

    image: Path
    label: int
    partition: str


def load_mhist(data_root: Path | None) -> RawDataset:
    """The training images, to be split into train, select and confirm by fixed fractions; the test images are not read.

    Args:
        data_root: folder that contains `mhist/annotations.csv` and `mhist/images/`; None means `~/.cache/raydistill`.

    Raises:
        DataError: files are missing, annotations and images do not match, or an image cannot be read; the message names the file.
    """
    folder = root_folder(data_root) / "mhist"
    if not (folder / "annotations.csv").is_file() or not (folder / "images").is_dir():
        raise DataError(f"{folder} lacks annotations.csv or images/. {HOW_TO_GET.format(folder=folder)}")
    rows = _read_annotations(folder)
    parts = {partition: [row for row in rows if row.partition == partition] for partition in PARTITIONS}
    for partition, found in parts.items():
        if {row.label for row in found} != {0, 1}:
            raise DataError(f"{folder / 'annotations.csv'} lacks one of the two classes in {partition}; download it again")
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
    """The rows sorted by image name, after checking that every row has an image and every image has a row."""
    path = folder / "annotations.csv"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path} lacks the columns {', '.join(missing)}; download it again")
            rows = [_row(values, f"{path}:{reader.line_num}", folder / "images") for values in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8 ({error}); download it again") from error
    names = Counter(row.image.name for row in rows)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise DataError(f"{path} has the image {twice[0]} in more than one row; keep one")
    extra = sorted({p.name for p in (folder / "images").iterdir() if not p.name.startswith(".")} - set(names))
    if extra:
        raise DataError(f"{folder / 'images' / extra[0]} has no row in {path}; remove it, or download the annotations again")
    return sorted(rows, key=lambda row: row.image.name)


def _row(values: Mapping[str, str], place: str, images: Path) -> _Row:
    name, label, partition = (values[column] for column in COLUMNS)
    if label not in CLASSES:
        raise DataError(f"{place}: unknown label {label!r} of image {name!r}; allowed: {', '.join(CLASSES)}: correct the row")
    if partition not in PARTITIONS:
        raise DataError(f"{place}: unknown partition {partition!r}; allowed: {', '.join(PARTITIONS)}: correct the row")
    if not name or Path(name).name != name or not (images / name).is_file():
        raise DataError(f"{place}: image {name!r} is not in {images}; put it there, or remove the row")
    return _Row(image=images / name, label=CLASSES.index(label), partition=partition)


def _read(rows: list[_Row], like: Path | None = None) -> RawPart:
    images = read_images([row.image for row in rows], None, like)
    return RawPart(images=images, labels=np.array([row.label for row in rows], dtype=np.int64))
