"""The data root, which holds the files of data sets: a folder that all nodes share, or a URI from which each node copies."""

from __future__ import annotations

from pathlib import Path

from raydistill.spaces.paths import given_path
from raydistill.storage.remote import refuse_credentials

DataRoot = Path | str | None
"""A folder; a URI like `s3://bucket/data` or `file:///shared/data`, copied to each node's cache; None is the default folder."""


def as_data_root(given: str | Path | None) -> DataRoot:
    """A folder as an absolute path, because workers run in other folders; a URI unchanged.

    Raises:
        StoreError: the URI contains credentials.
        InputError: it cannot be a path.
    """
    if given is None:
        return None
    if "://" in str(given):
        refuse_credentials(str(given))
        return str(given)
    return given_path(given).absolute()
