"""Copies data files from a URI to this node's own disk before they are read.

Of a data set with published checksums only the named files are copied, and each is verified against its MD5. Of a folder of
images all files are copied, and each copy is verified against the hash of what was read from the source; the source is listed
each time, and changed files are copied again. A damaged copy is replaced. A kernel lock lets only one process of a node copy.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

from raydistill.errors import DataError
from raydistill.storage.data_root import DataRoot
from raydistill.storage.lock import study_lock
from raydistill.storage.node_cache import cache_folder
from raydistill.storage.store import Store


def local_folder(data_root: DataRoot, files: Mapping[str, str], folder: str | None) -> Path | None:
    """The folder of the data files on this machine: `data_root` itself, or the local copy of the files at a URI.

    Args:
        data_root: a folder, a URI, or None for the default folder.
        files: path below the data root to published MD5, for every file that the data set reads.
        folder: folder below the data root that is copied completely; None for no folder.

    Raises:
        DataError: a file is missing at the source, or does not have the published MD5.
        StoreError: the source cannot be read, or the cache cannot be written.
    """
    if data_root is None or isinstance(data_root, Path):
        return data_root
    source = Store(data_root)
    copy = Store(str(cache_folder() / "sources" / hashlib.sha256(data_root.encode()).hexdigest()[:16]))
    with study_lock(copy, wait_seconds=math.inf):
        for name, md5 in files.items():
            _copy_published(source, copy, name, md5)
        if folder is not None:
            _copy_folder(source.at(folder), copy.at(folder))
    return copy.local_path(".")


def _copy_published(source: Store, copy: Store, name: str, md5: str) -> None:
    there = copy.read_or_none(name)
    if there is not None and _md5(there) == md5:
        return
    data = source.read_or_none(name)
    if data is None:
        raise DataError(f"{source.path(name)} is missing; put it there, or give another folder or URI with --data-root")
    if _md5(data) != md5:
        raise DataError(
            f"{source.path(name)} is damaged: its MD5 is {_md5(data)}, the published MD5 is {md5}; put it there again"
        )
    copy.write(name, data)


def _copy_folder(source: Store, copy: Store) -> None:
    """Make the copy equal to the source; `.copied.json` holds each file's stamp at the source and its hash."""
    stamps = source.stamps()
    if not stamps:
        raise DataError(f"{source.root} contains no files; put them there, or give another folder or URI with --data-root")
    written = copy.read_or_none(".copied.json")
    known: dict[str, list[str]] = json.loads(written) if written is not None else {}
    # What an interrupted copy brought is not in the list.
    for name in copy.stamps().keys() - stamps.keys():
        if name in known or not name.rpartition("/")[2].startswith("."):
            copy.delete(name)
    now = {name: [stamp, _copied(source, copy, name, stamp, known.get(name))] for name, stamp in stamps.items()}
    if now != known:
        copy.write_json(".copied.json", now)


def _copied(source: Store, copy: Store, name: str, stamp: str, known: list[str] | None) -> str:
    """The hash of a file's copy; copies the file again unless the copy is intact and has this stamp."""
    there = copy.read_or_none(name) if known is not None and known[0] == stamp else None
    if there is not None and known is not None and hashlib.sha256(there).hexdigest() == known[1]:
        return known[1]
    data = source.read(name)
    copy.write(name, data)
    return hashlib.sha256(data).hexdigest()


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
