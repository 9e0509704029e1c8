"""Decoded images on this node's own disk: read once, then mapped into the memory of every process that uses them.

An entry is `<key>.npy`, raw bytes, and `<key>.json`, with the checksum of that file and the places of the images. The key is the
hash of what decides the pixels: the images' names and stamps, and the rules and version of the decoder. Both are written under
another name and then renamed, and one process of a node writes while others wait. The checksum of the whole content is computed
each time that an entry is opened (half a second per gigabyte, where decoding takes a minute): a damaged entry is made again.
Beyond the bound the entries that were not used for longest are removed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from raydistill.data.own.items import Item
from raydistill.errors import DataError, StoreError
from raydistill.spaces.bounded import read_json
from raydistill.storage.lock import study_lock
from raydistill.storage.node_cache import cache_folder
from raydistill.storage.store import Store

Pixels = NDArray[np.uint8]
Places = NDArray[np.int64]
Images = Iterable[tuple[int, Pixels]]
"""The place of each image among those listed, and its (C, H, W) bytes."""

LEAST_IMAGES = 256
"""Fewer images are decoded in a moment, and are not cached."""
DEFAULT_BOUND_GB = 20.0
CHUNK_BYTES = 2**24
LEFT_BEHIND_SECONDS = 86_400
"""An unfinished file of this age belongs to a process that was killed."""


def key_of(items: Sequence[Item], rules: Mapping[str, Any]) -> str:
    """The key of the pixels of listed images."""
    named = [[item.name, item.stamp] for item in items]
    return hashlib.sha256(json.dumps([rules, named], sort_keys=True).encode()).hexdigest()


def bound_bytes() -> int:
    """The most bytes that the cache may take: `RAYDISTILL_CACHE_GB`, by default 20; 0 turns it off.

    Raises:
        DataError: the variable is not a number.
    """
    given = os.environ.get("RAYDISTILL_CACHE_GB", str(DEFAULT_BOUND_GB))
    try:
        bound = float(given)
    except ValueError:
        bound = math.nan
    if not 0 <= bound < math.inf:
        raise DataError(f"RAYDISTILL_CACHE_GB is {given!r}; expected gigabytes, 0 or more: unset it for {DEFAULT_BOUND_GB:g}")
    return int(bound * 1e9)


def kept(key: str, count: int, images: Images) -> tuple[Pixels, Places]:
    """The pixels of a key as a read-only map of the cached file, and the places of the images; made first if not there.

    Few images, and more than the bound, are read into memory each time.

    Args:
        key: from `key_of`.
        count: images that are listed; fewer may come of `images`.
        images: what to write; iterated at most once.

    Raises:
        StoreError: the cache cannot be written.
        Exception: whatever `images` raises; nothing is kept then.
    """
    bound = bound_bytes()
    if count < LEAST_IMAGES or bound == 0:
        return _in_memory(count, images)
    folder = cache_folder() / "images"
    there = _opened(folder, key)
    if there is not None:
        return there
    with study_lock(Store(str(folder / "locks" / key)), wait_seconds=math.inf):
        there = _opened(folder, key)  # another process may have made it meanwhile
        if there is not None:
            return there
        source = iter(images)
        first = next(source)
        if count * first[1].size > bound:
            return _in_memory(count, _chained(first, source))
        try:
            _write(folder, key, count, _chained(first, source))
            _remove_oldest(folder, bound, key)
        except OSError as error:
            raise StoreError(
                f"cannot write decoded images to {folder}: {error}; set RAYDISTILL_CACHE to another folder, or "
                "RAYDISTILL_CACHE_GB=0 to decode the images each time"
            ) from error
    made = _opened(folder, key)
    if made is None:
        raise StoreError(f"{folder / key}.npy does not hold what was written to it; check the disk, or set RAYDISTILL_CACHE")
    return made


def _chained(first: tuple[int, Pixels], rest: Iterator[tuple[int, Pixels]]) -> Iterator[tuple[int, Pixels]]:
    yield first
    yield from rest


def _in_memory(count: int, images: Images) -> tuple[Pixels, Places]:
    pixels: Pixels | None = None
    places: list[int] = []
    for place, image in images:
        if pixels is None:
            pixels = np.empty((count, *image.shape), dtype=np.uint8)
        pixels[len(places)] = image
        places.append(place)
    assert pixels is not None, "a reading without images raises"
    return pixels[: len(places)], np.array(places, dtype=np.int64)


def _opened(folder: Path, key: str) -> tuple[Pixels, Places] | None:
    """An entry, or None if there is none or it is damaged."""
    pixels, facts = folder / f"{key}.npy", folder / f"{key}.json"
    try:
        said = read_json(facts.read_text(encoding="utf-8"))
        if _checksum(pixels) != said["crc32"]:
            return None
        used = time.time_ns()  # what was used last is removed last; the system's own stamps may be some milliseconds old
        os.utime(facts, ns=(used, used))
        mapped: Pixels = np.load(pixels, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a part is missing or unreadable: the entry is made again
    places = said["places"]
    return mapped, np.arange(len(mapped)) if places is None else np.array(places, dtype=np.int64)


def _checksum(path: Path) -> int:
    # Against damage by chance, not by intent; a cryptographic hash would take three times as long.
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            found = zlib.crc32(chunk, found)
    return found


def _write(folder: Path, key: str, count: int, images: Images) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{key}.part"
    try:
        with unfinished.open("wb") as file:
            places = _write_images(file, images)
            file.flush()
            os.fsync(file.fileno())
        facts = {"crc32": _checksum(unfinished), "places": None if len(places) == count else places}
        os.replace(unfinished, folder / f"{key}.npy")
        Store(str(folder)).write_json(f"{key}.json", facts)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_images(file: BinaryIO, images: Images) -> list[int]:
    """Write an .npy file without holding its array; returns the places of the images."""
    places: list[int] = []
    shape: tuple[int, ...] = ()
    for place, image in images:
        if not places:
            shape = image.shape
            _header(file, 0, shape)
        file.write(image.tobytes())
        places.append(place)
    file.seek(0)
    _header(file, len(places), shape)  # numpy leaves room for the digits of the first axis
    return places


def _header(file: BinaryIO, count: int, shape: tuple[int, ...]) -> None:
    facts = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
    np.lib.format.write_array_header_1_0(file, facts)


def _remove_oldest(folder: Path, bound: int, newest: str) -> None:
    """Remove entries, longest unused first, until the rest is within the bound; the newest one stays."""
    for unfinished in folder.glob("*.part"):
        if time.time() - unfinished.stat().st_mtime > LEFT_BEHIND_SECONDS:
            unfinished.unlink(missing_ok=True)
    used_at = {facts.stem: facts.stat().st_mtime_ns for facts in folder.glob("*.json")}
    sizes = {pixels.stem: pixels.stat().st_size for pixels in folder.glob("*.npy")}
    total = sum(sizes.values())
    for key in sorted(sizes, key=lambda key: used_at.get(key, 0)):
        if total <= bound:
            break
        if key != newest:
            (folder / f"{key}.json").unlink(missing_ok=True)
            (folder / f"{key}.npy").unlink(missing_ok=True)
            total -= sizes[key]
