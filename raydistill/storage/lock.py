"""One search at a time: a kernel's lock on a local folder, a lease elsewhere.

On NFS the kernel's lock holds between machines with NFSv4, and with NFSv3 where its lock service runs; mounted with `nolock`, or
through a file system of user space, it holds on one machine alone.
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
from raydistill.storage.lease import LeaseFile, leased
from raydistill.storage.store import Store

__all__ = ["StudyInUseError", "holder_of", "study_lock"]


def _nobody(text: str) -> None:
    """Told and forgotten."""


@contextmanager
def study_lock(store: Store, wait_seconds: float = 5.0, tell: Callable[[str], object] = _nobody) -> Iterator[Store]:
    """Hold a study, or another folder, for one process; gives the store to write it through.

    Of a local folder the lock is the kernel's (flock): a killed process lets go of it at once, so a lock that is left behind is
    taken over without waiting. Elsewhere it is a lease: one that is left behind is waited for until it ends.

    Args:
        store: the folder.
        wait_seconds: how long a holder that lives is waited for.
        tell: told of a wait.

    Raises:
        StudyInUseError: another live process holds it, named; or, on a write, this one has lost its lease.
        StoreError: the store cannot be read or written.
    """
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    if store.is_local:
        with _kernel_lock(store, holder, wait_seconds):
            yield store
    else:
        with leased(LeaseFile(store), holder, wait_seconds, tell) as lease:
            yield Store(store.root, guard=lease.check)


def holder_of(store: Store) -> str | None:
    """The process that holds a folder now, in words; None if none does. Takes nothing and writes nothing.

    A lease is believed until the end that it states, by the clocks of this machine and of its holder.

    Raises:
        StoreError: the store cannot be read.
    """
    if not store.is_local:
        found = LeaseFile(store).read()
        return found.holder if found and datetime.fromisoformat(found.expires_at) > datetime.now(UTC) else None
    path = store.local_path(".lock")
    if not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip() or "another process"
    return None


@contextmanager
def _kernel_lock(store: Store, holder: str, wait_seconds: float) -> Iterator[None]:
    path = store.local_path(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+")
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}; give a place that can be written") from error
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
                        f"study {store.root} is in use by {other}; wait for it or end it, then run the same command again"
                    ) from None
                time.sleep(0.1)
        file.seek(0)
        file.truncate()
        file.write(f"{holder}\n")
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()
