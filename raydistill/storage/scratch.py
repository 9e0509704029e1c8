"""Folders on this machine's own disk that live as long as a search; the next search removes those of killed ones.

A folder belongs to the process that holds the kernel's lock on its `.owner`. The lock goes with the process, however it ends, so
a folder whose lock is free is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "raydistill-scratch-"
OWNER = ".owner"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder of this process in the temporary folder; first removes those of processes that have ended."""
    remove_abandoned(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    with (folder / f"{OWNER}.new").open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        # Under its name only once it is locked: a search that starts at this moment must not find it free.
        os.rename(owner.name, folder / OWNER)
        try:
            yield folder
        finally:
            # A trial's process of Ray may still be writing there.
            shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(parent: Path) -> None:
    """Remove this user's folders in `parent` whose process has ended."""
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            is_abandoned = folder.stat().st_uid == os.getuid() and _is_free(folder / OWNER)
        except FileNotFoundError:
            continue  # its process has removed it, or has not locked it yet
        if is_abandoned:
            shutil.rmtree(folder, ignore_errors=True)


def _is_free(owner: Path) -> bool:
    with owner.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
