"""The columns of a Parquet table that are needed, in bounded memory: a few bytes of Parquet can stand for billions of rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from raydistill.errors import DataError

MOST_ROWS, MOST_ROWS_PER_BYTE = 100_000, 10
"""A table may have so many rows more than so many for each byte of its file: no file names that many different images."""
MOST_UNPACKED, MOST_TIMES = 2**30, 100
"""Its columns may take so many bytes more than so many times the file."""


def read_parquet(path: Path, wanted: Collection[str]) -> tuple[list[str], list[Mapping[str, Any]]]:
    """All columns' names, and the rows with those that are wanted and there.

    Raises:
        DataError: the table cannot be read, unpacks to far more than its file, or has something else than text and numbers in a
            column that is wanted; or pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            f"{path} is a Parquet table, which needs pyarrow: pip install 'raydistill[own-data]', or save the table as CSV"
        ) from error
    packed = path.stat().st_size
    try:
        columns = pyarrow.parquet.read_schema(path)
        there = [name for name in columns.names if name in wanted]
        odd = {name: kind for name in there if not _is_plain(kind := columns.field(name).type)}
        if not odd:
            texts = [name for name in there if not _is_number(columns.field(name).type)]
            # As a dictionary, a text that a million rows have in common is one text.
            with pyarrow.parquet.ParquetFile(path, read_dictionary=texts) as file:
                _check_size(file.metadata, there, packed)
                return list(columns.names), _rows(file, there, packed)
    except (OSError, ValueError, KeyError, OverflowError, pyarrow.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet ({error}); save it again") from error
    found = ", ".join(f"{name} ({kind})" for name, kind in odd.items())
    raise DataError(
        f"{path} has columns that are neither text nor numbers: {found}; expected paths and labels: name other columns "
        "(path_column, label_column, split_column, group_column), or, where the images lie in the table, load it with Hugging "
        "Face's datasets and give the folder of its save_to_disk"
    )


def _is_plain(kind: Any) -> bool:
    """Whether an Arrow type is text or a number."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    has_parts = types.is_nested(kind) or hasattr(kind, "storage_type")
    return not (has_parts or types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _check_size(about: Any, wanted: Collection[str], packed: int) -> None:
    """Refuse what the file itself says to be too large.

    Raises:
        ValueError: it is.
    """
    chunks = (about.row_group(group).column(place) for group in range(about.num_row_groups) for place in range(about.num_columns))
    unpacked = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in wanted)
    if unpacked > MOST_TIMES * packed + MOST_UNPACKED:
        raise ValueError(f"its columns would take {unpacked} bytes, and the file has {packed}")
    _check_rows(about.num_rows, packed)


def _check_rows(count: int, packed: int) -> None:
    if count > MOST_ROWS_PER_BYTE * packed + MOST_ROWS:
        raise ValueError(f"it would have {count} rows, and the file has {packed} bytes")


def _rows(file: Any, wanted: list[str], packed: int) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for batch in file.iter_batches(columns=wanted, use_threads=False):
        _check_rows(len(rows) + batch.num_rows, packed)
        columns = [_values(column) for column in batch.columns]
        rows += [dict(zip(batch.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]
    return rows


def _values(column: Any) -> list[Any]:
    if not hasattr(column, "dictionary"):
        return list(column.to_pylist())
    texts = column.dictionary.to_pylist()
    return [None if place is None else texts[place] for place in column.indices.to_pylist()]
