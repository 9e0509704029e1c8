"""Files of published data sets: downloads missing files, and verifies the published checksums before anything is read."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from pathlib import Path

from raydistill.errors import DataError, StoreError
from raydistill.storage.lock import study_lock
from raydistill.storage.node_cache import cache_folder
from raydistill.storage.store import Store

DOWNLOADS = ".download"
"""Folder in the root with the lock of whoever downloads, and with files that are not whole yet."""


def root_folder(data_root: Path | None) -> Path:
    """The folder of the data files; None means the cache folder, by default `~/.cache/raydistill` (see `cache_folder`)."""
    return data_root.expanduser() if data_root is not None else cache_folder()


def see_to_files(title: str, root: Path, below: str, names: Collection[str], download: Callable[[Path], object]) -> None:
    """Download a data set if a file of it is missing.

    One process at a time downloads into one root. Others read there meanwhile, so the files come into their folder one by one,
    and each is whole.

    Args:
        title: name of the data set for messages.
        root: folder of the data files.
        below: folder of the data set's files, below the root.
        names: names of its files.
        download: downloads the files into another root, in a folder of the same name.

    Raises:
        DataError: a file is missing, and the download is forbidden or fails.
    """
    folder = root / below
    missing = _missing(folder, names)
    if not missing:
        return
    remedy = f"{title} files are missing: put {', '.join(missing)} into {folder}, or give another folder with --data-root"
    if os.environ.get("RAYDISTILL_OFFLINE") == "1":
        raise DataError(f"{remedy}; RAYDISTILL_OFFLINE=1 forbids the download")
    try:
        with ExitStack() as stack:
            with suppress(StoreError):  # without locks two processes may both download; each file still comes whole
                stack.enter_context(study_lock(Store(str(root / DOWNLOADS)), wait_seconds=math.inf))
                _remove_folders(root / DOWNLOADS)
            if _missing(folder, names):  # another process may have brought them while this one waited
                _download_beside(root, below, download)
    except (OSError, RuntimeError, StoreError) as error:
        raise DataError(f"{remedy}; the download failed: {error}") from error


def _missing(folder: Path, names: Collection[str]) -> list[str]:
    return [name for name in names if not (folder / name).is_file()]


def _remove_folders(folder: Path) -> None:
    """Remove what downloads of processes that were killed have left; the caller has the lock."""
    for left in folder.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)


def _download_beside(root: Path, below: str, download: Callable[[Path], object]) -> None:
    """Download into a folder beside the data, and then move each file to its place.

    Archives that lie in the root, or where the data set's files belong, are taken from there: torchvision checks their MD5.
    """
    (root / DOWNLOADS).mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=root / DOWNLOADS))
    try:
        for archive in [*root.glob("*.gz"), *(root / below).glob("*.gz")]:
            link = beside / archive.relative_to(root)
            link.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # a file system without links: it is downloaded
                os.link(archive, link)
        download(beside)
        for file in sorted(path for path in beside.rglob("*") if path.is_file()):
            place = root / file.relative_to(beside)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


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
