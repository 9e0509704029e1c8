"""Files of published data sets: found or downloaded, and held against their published checksums before anything is read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection
from pathlib import Path

from raydistill.errors import DataError
from raydistill.storage.node_cache import cache_folder


def root_folder(data_root: Path | None) -> Path:
    """The folder of the data files; None means the cache folder, `~/.cache/raydistill` unless the environment names another."""
    return data_root.expanduser() if data_root is not None else cache_folder()


def see_to_files(title: str, folder: Path, names: Collection[str], download: Callable[[], object]) -> None:
    """Download a data set if a file of it is missing.

    Args:
        title: the data set as a person names it.
        folder: where its files lie.
        names: of the files.
        download: puts them there.

    Raises:
        DataError: a file is missing and may not or cannot be downloaded.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if not missing:
        return
    wanted = f"{title} files are missing: put {', '.join(missing)} into {folder}, or name another folder with --data-root"
    if os.environ.get("RAYDISTILL_OFFLINE") == "1":
        raise DataError(f"{wanted}; RAYDISTILL_OFFLINE=1 forbids the download")
    try:
        download()
    except (OSError, RuntimeError) as error:
        raise DataError(f"{wanted}; the download failed: {error}") from error


def checked_bytes(path: Path, md5: str) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: they are not the published ones.
    """
    data = path.read_bytes()
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(f"{path} is damaged: its MD5 is {found}, published is {md5}; delete it and fetch it again")
    return data
