"""A lease on a study whose store has no locks: the object `.lock`, renewed by a thread, taken over after it has expired.

**Clocks.** The clocks of two machines are never compared. The age of a lease is measured with the store's clock alone: its
modification time is compared with that of an object that the asking process has just written. The holder measures the seconds
since it *sent* its last renewal with its own monotonic clock (which also counts while the machine sleeps), and stops writing 15
seconds before the lease expires.

How one of two processes gets it: `lease_file`. Trials of a search that lost its lease may still run in other processes; they
write the same files as the trials of any search.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from raydistill.errors import StoreError, StudyInUseError
from raydistill.storage.lease_file import FILE, Found, LeaseFile

LEASE_SECONDS = 60.0
RENEW_SECONDS = 5.0
"""So often that the store may be out of reach for half a minute, see `STOP_SECONDS`."""
STOP_SECONDS = 45.0
"""After this time without a successful renewal the holder stops writing.

The rest of the lease is longer than a write of a patient store may take (`remote.S3_PATIENT_OPTIONS`), but for the sending.
"""
POLL_SECONDS = 2.0
END_SECONDS = 15.0
"""How long the end of a search waits for a renewal under way."""
RELEASE_ATTEMPTS = 3
MOST_REFUSED = 10
"""Writes of a free or expired lease that a store may refuse in turn: after each, another process should hold it."""


def running_time() -> float:
    """Seconds from a fixed point, including those in which the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """A lease, from the view of the process that takes and holds it."""

    def __init__(self, file: LeaseFile, holder: str, clock: Callable[[], float] = running_time) -> None:
        """Prepare a lease that is not held yet; see `take`."""
        self._file = file
        self._holder = holder
        self._token = uuid.uuid4().hex
        self._clock = clock
        self._version: str | None = None
        self._renewed_at = -float("inf")
        self._lost_to: str | None = None
        self._sent: dict[str, float] = {}
        """When the writes since the last success were sent, by the expiry time that they state."""
        self._no_answer: StoreError | None = None
        """Why the last renewal failed, if the store did not answer it."""

    @property
    def age_seconds(self) -> float:
        """Seconds since the last successful renewal was sent."""
        return self._clock() - self._renewed_at

    def take(self, instead_of: str | None) -> bool:
        """Write the lease, replacing a version; False if another process was faster."""
        sent_at = self._clock()
        expires_at = (datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)).isoformat(timespec="milliseconds")
        self._sent[expires_at] = sent_at
        row = {"holder": self._holder, "token": self._token, "expires_at": expires_at}
        version = self._file.write(json.dumps(row) + "\n", instead_of)
        if version is None:
            return False
        self._hold(version, sent_at)
        return True

    def adopt(self, found: Found) -> bool:
        """Hold a lease as read, if this process wrote it: by a write whose answer was lost, perhaps long after it was sent."""
        if (found.holder, found.token) != (self._holder, self._token):
            return False
        self._hold(found.version, self._sent.get(found.expires_at, self._renewed_at))
        return True

    def _hold(self, version: str, sent_at: float) -> None:
        self._version, self._renewed_at = version, sent_at
        self._sent.clear()

    def renew(self) -> None:
        """Renew the lease, or note which process holds it now.

        Raises:
            StoreError: the store cannot be written at the moment.
        """
        try:
            if self._lost_to is None and not self.take(self._version):
                found = self._file.read()
                if found is None or not self.adopt(found):
                    self._lost_to = found.holder if found else "an unknown process (its lease file was deleted)"
        except StoreError as error:
            self._no_answer = error
            raise
        self._no_answer = None

    def renew_quickly(self) -> None:
        """Have the renewals from now on make one attempt each, see `LeaseFile.for_renewal`."""
        self._file = self._file.for_renewal()

    def check(self) -> None:
        """Check, before a write, that the lease is still held.

        Raises:
            StudyInUseError: the lease is lost, or so old that another process may take it.
        """
        store = self._file.store.root
        again = "nothing more is written; run the same command again when the study is free: it continues from the records"
        if self._lost_to is not None:
            raise StudyInUseError(f"study {store} was taken over from this search by {self._lost_to}; {again}")
        age, no_answer = self.age_seconds, self._no_answer
        if age > STOP_SECONDS and no_answer is not None:
            raise StudyInUseError(
                f"the store has not answered for {age:.0f} s ({no_answer}), so the lease of this search on study {store} could "
                "not be renewed; nothing more is written; once the store answers, run the same command again: it continues from "
                "the records"
            )
        if age > STOP_SECONDS:
            raise StudyInUseError(
                f"the lease of this search on study {store} could not be renewed for {age:.0f} s (it expires after "
                f"{LEASE_SECONDS:.0f} s), so another search may take the study over; {again}"
            )

    def let_go(self) -> None:
        """Delete the lease if this process still holds it: renewed just before, so that no other may take it meanwhile.

        Raises:
            StoreError: the store cannot be written at the moment.
        """
        self.renew()
        if self._lost_to is None:
            self._file.delete()


def acquire(
    file: LeaseFile,
    lease: Lease,
    wait_seconds: float,
    tell: Callable[[str], object],
    clock: Callable[[], float] = running_time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Take a lease: at once if there is none or if it has expired, otherwise after waiting for that.

    A holder that renews its lease is alive; from then on the wait is `wait_seconds` long.

    Raises:
        StudyInUseError: the holder is alive.
        StoreError: the store shows no live lease, and yet refuses to write one.
    """
    first: str | None = None
    refused = 0
    alive_since: float | None = None
    ahead: timedelta | None = None
    while True:
        found = file.read()
        if found is None:
            if lease.take(None):
                return
            refused = _one_more(refused, file, sleep)
            continue
        if lease.adopt(found):
            return
        if ahead is None:
            ahead = file.now() - datetime.fromtimestamp(clock(), UTC)
        age = (datetime.fromtimestamp(clock(), UTC) + ahead - found.modified).total_seconds()
        if age >= LEASE_SECONDS:
            if lease.take(found.version):
                return
            refused = _one_more(refused, file, sleep)
            continue
        left = f"its lease was renewed {max(age, 0):.0f} s ago and expires in {LEASE_SECONDS - age:.0f} s unless renewed again"
        if first is None:
            first = found.version
            tell(f"{file.store.root} is held by {found.holder}: {left}; waiting until it is renewed, released or expired")
        if alive_since is None and found.version != first:
            alive_since = clock()
        if alive_since is not None and clock() - alive_since >= wait_seconds:
            raise StudyInUseError(
                f"study {file.store.root} is in use by {found.holder}; {left} (at {found.expires_at} by its own clock): wait "
                "until it ends or stop it, then run the same command again"
            )
        sleep(POLL_SECONDS)


def _one_more(refused: int, file: LeaseFile, sleep: Callable[[float], None]) -> int:
    """Count a refused write: the first is that of a race, whose winner is seen at once; more are of a store at odds with itself.

    Raises:
        StoreError: it is one too many.
    """
    if refused >= MOST_REFUSED:
        raise StoreError(
            f"{file.store.path(FILE)} cannot be written: the store shows no live lease there, and refused {refused + 1} times to "
            "write one; check that it supports conditional writes (If-None-Match, If-Match), or give another --store"
        )
    if refused:
        sleep(POLL_SECONDS)
    return refused + 1


@contextmanager
def leased(file: LeaseFile, holder: str, wait_seconds: float, tell: Callable[[str], object]) -> Iterator[Lease]:
    """Take a lease and renew it in a thread until the end of the `with` block.

    Raises:
        StudyInUseError: another live process holds it.
        StoreError: the store cannot be read or written.
    """
    lease = Lease(file, holder)
    acquire(file, lease, wait_seconds, tell)
    lease.renew_quickly()
    is_over = threading.Event()
    thread = threading.Thread(target=_keep, args=(lease, is_over, tell), name="raydistill lease", daemon=True)
    thread.start()
    try:
        yield lease
    except BaseException:
        _end(thread, is_over)
        with suppress(StoreError):  # what ended the search matters more, and the lease expires by itself
            lease.let_go()
        raise
    _end(thread, is_over)
    if (error := _release(lease)) is not None:
        left = max(LEASE_SECONDS - lease.age_seconds, 0)
        tell(f"the lease on {file.store.root} could not be released and expires in {left:.0f} s: {error}")


def _release(lease: Lease) -> StoreError | None:
    """Let a lease go; returns why not, if the store does not answer repeatedly."""
    for left in reversed(range(RELEASE_ATTEMPTS)):
        try:
            lease.let_go()
        except StoreError as error:
            if not left:
                return error
            time.sleep(POLL_SECONDS)
        else:
            break
    return None


def _end(thread: threading.Thread, is_over: threading.Event) -> None:
    is_over.set()
    thread.join(timeout=END_SECONDS)


def _keep(lease: Lease, is_over: threading.Event, tell: Callable[[str], object]) -> None:
    """Renew until it is over; where the store does not answer, more often, as `Lease.check` raises before the lease expires."""
    is_answering = True
    while not is_over.wait(RENEW_SECONDS if is_answering else POLL_SECONDS):
        try:
            lease.renew()
        except StoreError as error:
            if is_answering:
                _say(tell, f"the store does not answer, and is asked again for up to {STOP_SECONDS:.0f} s: {error}")
            is_answering = False
            continue
        if not is_answering:
            _say(tell, "the store answers again")
        is_answering = True


def _say(tell: Callable[[str], object], text: str) -> None:
    """Tell, if that is possible: a message that cannot be printed, as to a closed pipe, must not end the renewal."""
    with suppress(Exception):
        tell(text)
