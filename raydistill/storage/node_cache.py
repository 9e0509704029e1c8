"""Copies of files of a shared store on a node's own disk; a process verifies the hash of a copy when it first reads it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from raydistill.storage.store import Store


def cache_folder() -> Path:
    """`RAYDISTILL_CACHE`, or `raydistill` in `XDG_CACHE_HOME`, or `~/.cache/raydistill`; created at the first write."""
    own = os.environ.get("RAYDISTILL_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "raydistill"


def cached(source: Store, name: str, sha256: str) -> Path | None:
    """The path of the local copy with this hash; a missing or damaged copy is made again. None if the source has another hash.

    Two processes may copy at the same time: each writes the whole file, and the later one replaces the earlier.

    Raises:
        FileNotFoundError: the source has no such file.
        StoreError: the source cannot be read, or the cache cannot be written.
    """
    cache = Store(str(cache_folder()))
    copy = f"files/{sha256}{Path(name).suffix}"
    there = cache.read_or_none(copy)
    if there is None or hashlib.sha256(there).hexdigest() != sha256:
        data = source.read(name)
        if hashlib.sha256(data).hexdigest() != sha256:
            return None
        cache.write(copy, data)
    return cache.local_path(copy)
