"""Where the files of data sets lie: a folder that every node sees under the same path, or a URI that each copies from."""

from __future__ import annotations

from pathlib import Path

from raydistill.storage.remote import refuse_credentials

DataRoot = Path | str | None
"""A folder; a URI as `s3://bucket/data` or `file:///shared/data`, copied to each node's own cache; None is the default folder."""


def as_data_root(given: str | Path | None) -> DataRoot:
    """A folder as an absolute path, because a worker's folder is another; a URI as it is.

    Raises:
        StoreError: the URI holds credentials.
    """
    if given is None:
        return None
    if "://" in str(given):
        refuse_credentials(str(given))
        return str(given)
    return Path(given).expanduser().absolute()
