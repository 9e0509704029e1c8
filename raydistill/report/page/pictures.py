"""Pictures of sets inside a page: the first columns of `images.png`, as a data URI."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from raydistill.report.page.html import Links
from raydistill.report.study import Study, Trial
from raydistill.report.words import percent, points
from raydistill.spaces.units import packed_in_words
from raydistill.storage.layout import PICTURE_FILE, RECORD_FILE, trial_file

MOST_COLUMNS, MOST_ROWS = 12, 20
"""Images of a class, and classes, that are shown."""
PADDING = 2
"""Pixels between the images of `images.png`, as `core.picture.grid_png` sets them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """The picture of a set, beside another."""

    name: str
    words: str
    href: str
    data: str
    """The PNG as a data URI."""
    width: int
    height: int
    alt: str


def set_pictures(study: Study, links: Links) -> list[Picture]:
    """The best method's set and the best control's, those that the finding names first; none for sets without a picture."""
    finding = study.finding
    named = [finding.distilled, finding.control] if finding is not None else [None, None]
    pictures = []
    for title, is_control, smallest in zip(("Distilled", "Control"), (False, True), named, strict=True):
        trial = study.trial(smallest.trial_id) if smallest is not None else _best(study, is_control=is_control)
        if trial is not None and (picture := _picture(study, trial, title, links)) is not None:
            pictures.append(picture)
    return pictures


def _best(study: Study, *, is_control: bool) -> Trial | None:
    """Of the sets within the margin the smallest, otherwise that with the smallest gap."""
    own = [trial for trial in study.finished if trial.is_control is is_control]
    margin = study.margin_fraction or 0.0
    return min(
        own,
        key=lambda t: (t.gap > margin, t.ipc if t.gap <= margin else 0, t.gap) if t.gap is not None else (True, 0, 1.0),
        default=None,
    )


def _picture(study: Study, trial: Trial, title: str, links: Links) -> Picture | None:
    name = trial_file(trial.trial_id, PICTURE_FILE)
    data = study.store.read_or_none(name)
    record = trial.record
    if data is None or record is None or record.images < trial.ipc:
        return None
    classes = record.images // trial.ipc
    cut = first_columns(data, ipc=trial.ipc, classes=classes)
    if cut is None:
        return None
    png, size, columns, rows = cut
    part = "all images" if (columns, rows) == (trial.ipc, classes) else f"the first {columns} of {trial.ipc} images"
    of = "each class" if rows == classes else f"the first {rows} of {classes} classes"
    accuracy = "" if trial.accuracy_fraction is None else f", {trial.metric_words} {percent(trial.accuracy_fraction)}"
    gap = "" if trial.gap is None else f", gap {points(trial.gap)}"
    images = f"{record.images} images{packed_in_words(record.factor)}{accuracy}{gap}"
    return Picture(
        name=f"{title}: {trial.arm}, IPC {trial.ipc}",
        words=f"{images} on the select images. Shown: {part} of {of}, a class in each row.",
        href=links.to("trials", trial.trial_id, RECORD_FILE),
        data=f"data:image/png;base64,{base64.b64encode(png).decode()}",
        width=size[0],
        height=size[1],
        alt=f"Images of the set of {trial.arm} at IPC {trial.ipc}: {rows} rows, a class each, of {columns} images.",
    )


def first_columns(data: bytes, *, ipc: int, classes: int) -> tuple[bytes, tuple[int, int], int, int] | None:
    """The upper left of a picture of a row per class: PNG, its size, columns and rows; None where it is damaged, or no such grid.

    Args:
        data: the PNG.
        ipc: images in a row.
        classes: rows.
    """
    try:
        image = Image.open(BytesIO(data))
        image.load()
    except (UnidentifiedImageError, OSError):
        return None
    columns, rows = min(ipc, MOST_COLUMNS), min(classes, MOST_ROWS)
    (width, right), (height, below) = (
        divmod(side - PADDING, count) for side, count in zip(image.size, (ipc, classes), strict=True)
    )
    if right or below:
        return None
    cut = image.crop((0, 0, PADDING + columns * width, PADDING + rows * height))
    buffer = BytesIO()
    cut.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue(), cut.size, columns, rows
