"""A lease on a study whose store knows no locks: the object `.lock`, renewed by a thread, taken over when it has ended.

**Clocks.** No two machines' clocks are compared. How old a lease is, is measured by the store's clock alone: the stamp of the
object against that of another that the asker has just written. A holder counts the seconds since its last renewal was *sent* by
its own clock of running time (which goes on while a machine sleeps), and stops writing 15 seconds before the lease ends.

**Atomic where the store is.** On S3 a lease is made, renewed and taken over by conditional writes (If-None-Match, If-Match): of
two that try, one wins. Other stores are written and read back `SETTLE_SECONDS` later: two that take a free lease may both believe
to hold it if the write of one reaches the store more than that after its look; the first renewal of the loser tells it.

What a search that lost its lease still has running in other processes are trials, which write what anyone's would be.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from raydistill.errors import StoreError, StudyInUseError
from raydistill.storage.remote import failures, open_file_system, speaks_s3, without_credentials
from raydistill.storage.store import Store

FILE = ".lock"
LEASE_SECONDS = 60.0
RENEW_SECONDS = 15.0
STOP_SECONDS = 45.0
"""Since the last renewal that succeeded; what is left to the end of the lease is for a write that is on its way."""
POLL_SECONDS = 2.0
SETTLE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A lease as it lies in the store."""

    holder: str
    expires_at: str
    """By the holder's clock; for people."""
    version: str
    """Changes with every renewal."""
    modified: datetime
    """By the store's clock."""


class LeaseFile:
    """The object of a lease; written only in place of the version that was seen."""

    def __init__(self, store: Store) -> None:
        """The lease on a folder."""
        self.store = store

    def read(self) -> Found | None:
        """What lies there, or None.

        Raises:
            StoreError: it is no lease, or the store cannot be read.
        """
        with self.store.reading(FILE) as (filesystem, path):
            try:
                info = filesystem.info(path)
                modified = filesystem.modified(path)
            except FileNotFoundError:
                return None
        content = self.store.read_or_none(FILE)
        if content is None:
            return None
        version = info["ETag"] if speaks_s3(filesystem) else content.decode()
        try:
            row = json.loads(content)
            return Found(holder=row["holder"], expires_at=row["expires_at"], version=version, modified=modified)
        except (ValueError, KeyError, TypeError) as error:
            # As a study's folder brings it along that was searched on a disk and copied here.
            raise StoreError(
                f"{self.store.path(FILE)} is no lease of a search; if no search of the study runs, delete it and run the same "
                "command again"
            ) from error

    def write(self, content: str, instead_of: str | None) -> str | None:
        """Write in place of a version (None: of nothing); gives the new version, or None if something else lies there.

        Raises:
            StoreError: the store cannot be written.
        """
        filesystem, path = open_file_system(self.store.path(FILE))
        if speaks_s3(filesystem):
            return self._write_s3(filesystem, path, content, instead_of)
        found = self.read()
        if (found.version if found else None) != instead_of:
            return None
        self.store.write(FILE, content)
        if instead_of is None or json.loads(instead_of)["token"] != json.loads(content)["token"]:
            time.sleep(SETTLE_SECONDS)
        return content if self.store.read_or_none(FILE) == content.encode() else None

    def _write_s3(self, filesystem: Any, path: str, content: str, instead_of: str | None) -> str | None:
        condition = {"mode": "create"} if instead_of is None else {"IfMatch": instead_of}
        try:
            return str(filesystem.pipe_file(path, content.encode(), **condition)["ETag"])
        except FileExistsError:
            return None
        except failures(filesystem) as error:
            cause: Any = error.__cause__
            code = getattr(cause, "response", {}).get("Error", {}).get("Code")
            # Not there any longer, replaced, or being replaced at this moment.
            if code in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                return None
            said = without_credentials(str(error))
            raise StoreError(f"cannot write {self.store.path(FILE)}: {said}; give a place that can be written") from None

    def now(self) -> datetime:
        """The store's time, which is the stamp of an object written now."""
        name = f"{FILE}-now-{uuid.uuid4().hex}"
        self.store.write(name, b"")
        with self.store.reading(name) as (filesystem, path):
            now: datetime = filesystem.modified(path)
        self.store.delete(name)
        return now

    def delete(self) -> None:
        """Let the lease go."""
        self.store.delete(FILE)


def running_time() -> float:
    """Seconds from a fixed point, those in which the machine slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """A lease that is held."""

    def __init__(self, file: LeaseFile, holder: str, clock: Callable[[], float] = running_time) -> None:
        """Hold nothing yet; see `take`."""
        self._file = file
        self._holder = holder
        self._token = uuid.uuid4().hex
        self._clock = clock
        self._version: str | None = None
        self._renewed_at = -float("inf")
        self._lost_to: str | None = None

    def take(self, instead_of: str | None) -> bool:
        """Write the lease in place of a version; False if another was quicker."""
        sent_at = self._clock()
        expires_at = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)
        row = {"holder": self._holder, "token": self._token, "expires_at": expires_at.isoformat(timespec="milliseconds")}
        version = self._file.write(json.dumps(row) + "\n", instead_of)
        if version is None:
            return False
        self._version, self._renewed_at = version, sent_at
        return True

    def renew(self) -> None:
        """Renew it, or note who has it now.

        Raises:
            StoreError: the store cannot be written, this time.
        """
        if self._lost_to is None and not self.take(self._version):
            found = self._file.read()
            self._lost_to = found.holder if found else "nobody: its object was deleted"

    def check(self) -> None:
        """Before a write.

        Raises:
            StudyInUseError: the lease is lost, or so old that another may take it.
        """
        store = self._file.store.root
        again = "nothing more is written; run the same command again when it is free: it continues from the records"
        if self._lost_to is not None:
            raise StudyInUseError(f"study {store} was taken over from this search by {self._lost_to}; {again}")
        age = self._clock() - self._renewed_at
        if age > STOP_SECONDS:
            raise StudyInUseError(
                f"study {store} is held by a lease that this search could not renew for {age:.0f} s (it ends after "
                f"{LEASE_SECONDS:.0f} s), so that another may take it over; {again}"
            )

    def let_go(self) -> None:
        """Delete it, if it is still ours."""
        try:
            self.check()
        except StudyInUseError:
            return
        self._file.delete()


def acquire(
    file: LeaseFile,
    lease: Lease,
    wait_seconds: float,
    tell: Callable[[str], object],
    clock: Callable[[], float] = running_time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Take a lease: at once where none lies there or the one that does has ended; else wait until one of these is so.

    A holder that is seen to renew lives, and is waited for `wait_seconds` more.

    Raises:
        StudyInUseError: its holder lives.
    """
    first: str | None = None
    alive_since: float | None = None
    ahead: timedelta | None = None
    while True:
        found = file.read()
        if found is None:
            if lease.take(None):
                return
            continue
        if ahead is None:
            ahead = file.now() - datetime.fromtimestamp(clock(), UTC)
        age = (datetime.fromtimestamp(clock(), UTC) + ahead - found.modified).total_seconds()
        if age >= LEASE_SECONDS:
            if lease.take(found.version):
                return
            continue
        left = f"its lease was renewed {max(age, 0):.0f} s ago and ends in {LEASE_SECONDS - age:.0f} s unless it is renewed again"
        if first is None:
            first = found.version
            tell(f"{file.store.root} is held by {found.holder}: {left}; waiting until it is renewed, let go or ended")
        if alive_since is None and found.version != first:
            alive_since = clock()
        if alive_since is not None and clock() - alive_since >= wait_seconds:
            raise StudyInUseError(
                f"study {file.store.root} is in use by {found.holder}; {left} (at {found.expires_at} by its own clock): wait for "
                "it or end it, then run the same command again"
            )
        sleep(POLL_SECONDS)


@contextmanager
def leased(file: LeaseFile, holder: str, wait_seconds: float, tell: Callable[[str], object]) -> Iterator[Lease]:
    """Hold a lease, and renew it in a thread.

    Raises:
        StudyInUseError: another lives and holds it.
        StoreError: the store cannot be read or written.
    """
    lease = Lease(file, holder)
    acquire(file, lease, wait_seconds, tell)
    is_over = threading.Event()
    thread = threading.Thread(target=_keep, args=(lease, is_over), name="raydistill lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        is_over.set()
        thread.join(timeout=RENEW_SECONDS)
        lease.let_go()


def _keep(lease: Lease, is_over: threading.Event) -> None:
    while not is_over.wait(RENEW_SECONDS):
        try:
            lease.renew()
        except StoreError:
            continue  # tried again; `check` counts the seconds, and speaks before the lease ends
