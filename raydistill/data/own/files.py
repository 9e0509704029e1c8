"""Files below a folder: which are images, which are left behind by systems, and the stamp that tells a changed file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from raydistill.data.own.items import Problem

LITTER = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "icon\r"})
"""Names, in small letters, that Windows and macOS leave behind in folders of pictures."""


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's: a hidden one, or one that a system left behind."""
    return name.startswith(".") or name.lower() in LITTER


def entries(folder: Path, litter: Counter[str]) -> list[os.DirEntry[str]]:
    """What lies directly in a folder, sorted by name, without litter, which is counted under its name."""
    found = []
    with os.scandir(folder) as all_of_it:
        for entry in all_of_it:
            if is_litter(entry.name):
                litter[_kind(entry.name)] += 1
            else:
                found.append(entry)
    return sorted(found, key=lambda entry: entry.name)


def _kind(name: str) -> str:
    known = name in (".DS_Store", ".thumbs") or name.lower() in LITTER
    return name if known else "hidden files"


def files_below(folder: Path, litter: Counter[str]) -> list[os.DirEntry[str]]:
    """The files in a folder and in the folders below it, sorted by the parts of their paths; litter is counted."""
    return sorted(_files(folder, litter, ()), key=lambda file: file.path.split(os.sep))


def _files(folder: Path, litter: Counter[str], above: tuple[str, ...]) -> Iterator[os.DirEntry[str]]:
    real = os.path.realpath(folder)
    if real in above:  # a link to a folder above it: its files are listed already
        return
    for entry in entries(folder, litter):
        if entry.is_dir():
            yield from _files(Path(entry.path), litter, (*above, real))
        else:
            yield entry


def no_regular_file(name: str) -> Problem:
    """The problem of what has no end, or is waited for, where a file is expected."""
    return Problem(
        kind="no_regular_file", item=name, text="is a pipe, a socket or a device, where a file is expected", remedy="remove it"
    )


def stamp(info: os.stat_result) -> str:
    """A text that changes with the contents of a file.

    The time of change of the inode is in it, because unpacking an archive sets the size and the time of modification of a file as
    they were, but never this time.
    """
    return f"{info.st_size}-{info.st_mtime_ns}-{info.st_ctime_ns}"
