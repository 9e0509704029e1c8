"""A table of paths and labels, as CSV, TSV or Parquet, with optional columns for the part and the group."""

from __future__ import annotations

import csv
import functools
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from raydistill.data.own.files import stamp
from raydistill.data.own.items import Item, Listing, Problem
from raydistill.data.own.layouts.labels import in_order, lacks, no_label, part_of, text_of
from raydistill.data.own.layouts.parquet import read_parquet
from raydistill.errors import DataError
from raydistill.spaces.paths import shown, why
from raydistill.spaces.sections import ImageFolderConfig

SUFFIXES = (".csv", ".tsv", ".parquet")
Row = Mapping[str, Any]


def list_table(path: Path, config: ImageFolderConfig) -> Listing:
    """The images that the rows of a table name, in the order of the rows; paths are relative to the table.

    Args:
        path: the table.
        config: the names of its columns; those of the part and the group may be missing if they have their default names.

    Raises:
        DataError: the table cannot be read, or Parquet is not installed.
    """
    columns, rows = _rows(path, config)
    optional = [name for name in ("split_column", "group_column") if getattr(config, name) not in columns]
    changed = [name for name in optional if getattr(config, name) != ImageFolderConfig.model_fields[name].default]
    needed = [config.path_column, config.label_column, *(getattr(config, name) for name in changed)]
    missing = [name for name in needed if name not in columns]
    if missing:
        return _listing([], path, [lacks(missing, columns)])
    problems: list[Problem] = []
    items = [item for number, row in enumerate(rows, start=1) if (item := _item(row, number, path, config, problems))]
    files = {item.name: os.path.normpath(path.parent / item.name) for item in items}
    counts = Counter(files[item.name] for item in items)
    for name in [name for name, file in files.items() if counts[file] > 1]:
        problems.append(
            Problem(kind="in_two_rows", item=name, text="is in more than one row", remedy="keep one row for each image")
        )
    return _listing(items, path, problems)


def _listing(items: Sequence[Item], path: Path, problems: list[Problem]) -> Listing:
    classes = in_order(item.class_name for item in items)
    kind = path.suffix.removeprefix(".").upper()
    layout = f"a table of paths and labels ({kind if kind != 'PARQUET' else 'Parquet'})"
    return Listing(items=tuple(items), class_names=classes, layout=layout, litter={}, problems=tuple(problems))


def _item(row: Row, number: int, table: Path, config: ImageFolderConfig, problems: list[Problem]) -> Item | None:
    """The image of a row; None if the row cannot be used, which is a problem."""
    place = f"row {number}"
    name, label = text_of(row[config.path_column]), text_of(row[config.label_column])
    if not name:
        problems.append(Problem(kind="no_path", item=place, text="has no path", remedy="give it one, or remove the row"))
        return None
    if not label:
        problems.append(no_label(f"{place} ({shown(name)})"))
        return None
    path = table.parent / name
    try:
        found = path.stat() if path.is_file() else None
    except OSError as error:
        raise DataError(f"{table}: {place} names {shown(name)}, which cannot be read ({why(error)}); correct the path") from error
    if found is None:
        problems.append(
            Problem(
                kind="no_file",
                item=place,
                text=f"names {shown(name)}, which is no file; paths are relative to the folder of the table",
                remedy="correct the path, put the file there, or remove the row",
            )
        )
        return None
    return Item(
        name=name,
        class_name=label,
        part=part_of(text_of(row.get(config.split_column)), place, problems),
        group=text_of(row.get(config.group_column)) or None,
        stamp=stamp(found),
        open=functools.partial(Image.open, path),
    )


def _rows(path: Path, config: ImageFolderConfig) -> tuple[list[str], list[Row]]:
    """The columns and the rows of a table."""
    if path.suffix.lower() == ".parquet":
        return read_parquet(path, [getattr(config, f"{kind}_column") for kind in ("path", "label", "split", "group")])
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            rows: list[Row] = list(reader)
            return list(reader.fieldnames or ()), rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table ({error}); save it as comma-separated text in UTF-8") from error
