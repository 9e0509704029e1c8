"""Allows one search per study at a time: a kernel lock on a local folder, a lease on other stores.

On NFS the kernel lock works between machines with NFSv4, and with NFSv3 if its lock service runs. On a mount with `nolock`, or
on a FUSE file system, it works only within one machine.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from raydistill.errors import StoreError, StudyInUseError
from raydistill.spaces.paths import regular, why
from raydistill.storage.lease import leased
from raydistill.storage.lease_file import LeaseFile
from raydistill.storage.store import Store

__all__ = ["StudyInUseError", "holder_of", "searcher", "study_lock"]

NO_LOCKS = "its file system gives no locks: mount it with NFSv4, or start the lock service of NFSv3"
OTHER = "raydistill "
"""What the description of a holder begins with that is no search: its command follows."""


def _nobody(text: str) -> None:
    """Ignore the message."""


@contextmanager
def study_lock(
    store: Store, wait_seconds: float = 5.0, tell: Callable[[str], object] = _nobody, *, command: str | None = None
) -> Iterator[Store]:
    """Lock a study, or another folder, for this process; yields the store through which it must be written.

    A local folder is locked with the kernel's flock, which is released when its process ends, even if it is killed. Other stores
    are locked with a lease: the lease of a killed process must expire before it can be taken over.

    Args:
        store: the folder.
        wait_seconds: how long to wait for another live process to release the lock.
        tell: called with a message if this process has to wait for a lease.
        command: `certify`, `ablate` or `verify` where one of them locks a folder, so that nobody takes it for the search.

    Raises:
        StudyInUseError: another live process holds the lock; or, at a write, this process has lost its lease.
        StoreError: the store cannot be read or written, or its file system has no locks.
    """
    process = f"process {os.getpid()} on {socket.gethostname()}"
    holder = process if command is None else f"{OTHER}{command}, {process}"
    if store.is_local:
        with _kernel_lock(store, holder, wait_seconds):
            yield store
    else:
        with leased(LeaseFile(store), holder, wait_seconds, tell) as lease:
            yield Store(store.root, guard=lease.check, is_patient=True)


def holder_of(store: Store) -> str | None:
    """A description of the process that holds the lock on a folder; None if no process does. Does not change the lock.

    A lease counts until the expiry time that it states, compared with the clock of this machine.

    Raises:
        StoreError: the store cannot be read, or its file system has no locks.
    """
    if not store.is_local:
        found = LeaseFile(store).read()
        return found.holder if found and datetime.fromisoformat(found.expires_at) > datetime.now(UTC) else None
    path = store.local_path(".lock")
    if not path.exists():
        return None
    try:
        opened = open(path, opener=regular)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {why(error)}; remove it if no search of the study runs") from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip() or "another process"
        except OSError as error:
            remedy = f"{NO_LOCKS}, or remove the file if no search of the study runs"
            raise StoreError(f"cannot tell whether {path} is locked: {why(error)}; {remedy}") from error
    return None


def searcher(holder: str | None) -> str | None:
    """The holder of a study if it is a search; None where nobody holds it, or where the holder certifies or ablates it."""
    return None if holder is None or holder.startswith(OTHER) else holder


@contextmanager
def _kernel_lock(store: Store, holder: str, wait_seconds: float) -> Iterator[None]:
    path = store.local_path(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not through a link: a study of somebody else could make it that of any file, which is emptied here.
        opened = open(path, "a+", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666))
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}; give a folder or URI that can be written") from error
    with opened as file:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    other = file.read().strip() or "another process"
                    raise StudyInUseError(
                        f"study {store.root} is in use by {other}; wait until it ends or stop it, then run the same command again"
                    ) from None
                time.sleep(0.1)
            except OSError as error:
                raise StoreError(f"cannot lock {path}: {why(error)}; {NO_LOCKS}, or give another --store") from error
        file.seek(0)
        file.truncate()
        file.write(f"{holder}\n")
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()
