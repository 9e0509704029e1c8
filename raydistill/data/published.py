"""Files of published data sets: downloads missing files, and verifies the published checksums before anything is read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection
from pathlib import Path

from raydistill.errors import DataError
from raydistill.storage.node_cache import cache_folder


def root_folder(data_root: Path | None) -> Path:
    """The folder of the data files; None means the cache folder, by default `~/.cache/raydistill` (see `cache_folder`)."""
    return data_root.expanduser() if data_root is not None else cache_folder()


def see_to_files(title: str, folder: Path, names: Collection[str], download: Callable[[], object]) -> None:
    """Download a data set if a file of it is missing.

    Args:
        title: name of the data set for messages.
        folder: folder of its files.
        names: names of its files.
        download: downloads the files into the folder.

    Raises:
        DataError: a file is missing, and the download is forbidden or fails.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if not missing:
        return
    remedy = f"{title} files are missing: put {', '.join(missing)} into {folder}, or give another folder with --data-root"
    if os.environ.get("RAYDISTILL_OFFLINE") == "1":
        raise DataError(f"{remedy}; RAYDISTILL_OFFLINE=1 forbids the download")
    try:
        download()
    except (OSError, RuntimeError) as error:
        raise DataError(f"{remedy}; the download failed: {error}") from error


def checked_bytes(path: Path, md5: str) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: the file does not have the published MD5.
    """
    data = path.read_bytes()
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(f"{path} is damaged: its MD5 is {found}, the published MD5 is {md5}; delete it and download it again")
    return data
