"""What is done to a search, by name; see `faults.py`."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from fault_rig import Place  # first, because psutil comes with Ray, which it imports

import psutil  # isort: skip

TESTS = Path(__file__).parent.parent / "tests"


@dataclass
class Blow:
    """One fault that is about to strike."""

    place: Place
    search: subprocess.Popen[bytes]
    chance: random.Random
    has_struck: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the search has ended by itself."""
        return self.search.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Send the search a signal, unless it has ended."""
        if not self.is_over:
            self.search.send_signal(number)
            self.has_struck = True


Strike = Callable[[Blow], None]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault."""

    strike: Strike
    exit_codes: tuple[int, ...]
    """With which a search may end that it strikes; 0 is always allowed where the search had ended before."""
    heal: Callable[[Place], None] = lambda place: None
    """Before the search is started again."""
    around: Callable[[Place], AbstractContextManager[None]] = lambda place: nullcontext()
    """Prepares the place."""
    needs_ray: bool = False
    leave_seconds: float = 10.0
    """After these no process of the search may be left; longer where it was killed, as nobody tells its Ray to end."""
    latest: float = 0.9
    """Latest moment, as a part of an undisturbed search."""


def signalled(number: signal.Signals, *, twice: bool = False) -> Strike:
    """Sends the search a signal, or two."""

    def strike(blow: Blow) -> None:
        blow.send(number)
        if twice:
            time.sleep(blow.chance.uniform(0.0, 0.5))
            blow.send(number)

    return strike


def killed(name: str) -> Strike:
    """Kills a process of the search's Ray, by the beginning of its name; waits until there is one."""

    def strike(blow: Blow) -> None:
        while not blow.is_over:
            for process in blow.place.processes():
                with suppress(psutil.Error):
                    if process.name() == name or " ".join(process.cmdline()).startswith(name):
                        process.kill()
                        blow.has_struck = True
                        return
            time.sleep(0.05)

    return strike


def two_drivers(blow: Blow) -> None:
    """Starts a second search of the same study, and kills both, in random order.

    The second may be refused before it is killed, and the first may end by itself while it waits its turn: with 0.
    """
    second = blow.place.start("second")
    both = [blow.search, second]
    blow.chance.shuffle(both)
    for search in both:
        time.sleep(blow.chance.uniform(0.0, 8.0))
        if search.poll() is None:
            search.kill()
            blow.has_struck = True
        search.wait()


@contextmanager
def movable_clock(place: Place) -> Iterator[None]:
    """A place whose searches read the clock of `fault_hook`."""
    path = place.folder / "clock"
    path.write_bytes(struct.pack("q", 0))
    place.environment["RAYDISTILL_FAULT_CLOCK"] = str(path)
    yield


def jump(blow: Blow) -> None:
    """Moves the clock by up to ten days, forwards or backwards, then back to within a minute."""
    blow.has_struck = not blow.is_over
    for most in (10 * 86400, 60):
        with (blow.place.folder / "clock").open("r+b") as file:
            file.write(struct.pack("q", blow.chance.randint(-most, most)))
        time.sleep(3.0)


@contextmanager
def small_disk(place: Place) -> Iterator[None]:
    """A place whose store is a file system of its own, in memory; needs root."""
    store = place.folder / "store"
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", store], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", store], check=True)


def fill(blow: Blow) -> None:
    """Fills the disk up to its last byte, until the search has ended by it, or by itself."""
    blow.has_struck = not blow.is_over
    with (Path(blow.place.store) / "ballast").open("ab", buffering=0) as ballast:
        while not blow.is_over:
            with suppress(OSError):
                while ballast.write(b"\0" * 4096):
                    pass
            time.sleep(0.02)


def empty(place: Place) -> None:
    """Gives the disk its space back."""
    (Path(place.store) / "ballast").unlink(missing_ok=True)


class Line:
    """The way to a server: cut, it refuses; healed, it leads there again."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener: socket.socket | None = None
        self._pairs: set[socket.socket] = set()
        self.port = 0

    def heal(self) -> None:
        """Listen, on the same port as before."""
        if self._listener is not None:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse, and end what is under way."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for end in list(self._pairs):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._target) as far, suppress(OSError):
            self._pairs |= {near, far}
            while True:
                ready, _, _ = select.select([near, far], [], [])
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    (far if end is near else near).sendall(data)
        self._pairs -= {near, far}


LINES: dict[str, Line] = {}
"""The way to the store of a place, by its folder."""


@contextmanager
def in_a_bucket(place: Place) -> Iterator[None]:
    """A place whose store is a bucket of the tests' S3 server, behind a line that can be cut."""
    sys.path.insert(0, str(TESTS))
    from s3_server import bucket_on_loopback

    with bucket_on_loopback() as bucket:
        host, _, port = bucket.endpoint.removeprefix("http://").partition(":")
        line = LINES[str(place.folder)] = Line(host, int(port))
        line.heal()
        place.store = f"{bucket.uri}/studies"
        place.environment |= bucket.environment | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{line.port}"}
        before = dict(os.environ)
        os.environ |= bucket.environment  # this process looks at the study too, and not by the line
        try:
            yield
        finally:
            os.environ.clear()
            os.environ |= before


def cut_for(seconds: float | None) -> Strike:
    """Cuts the way to the store, for some seconds or until the search has ended."""

    def strike(blow: Blow) -> None:
        line = LINES[str(blow.place.folder)]
        line.cut()
        blow.has_struck = not blow.is_over
        if seconds is not None:
            time.sleep(seconds)
            line.heal()

    return strike


def reconnect(place: Place) -> None:
    """Gives the search its store back."""
    LINES[str(place.folder)].heal()


FAULTS = {
    "SIGTERM": Fault(strike=signalled(signal.SIGTERM), exit_codes=(143,)),
    "SIGINT": Fault(strike=signalled(signal.SIGINT), exit_codes=(130,)),
    "SIGHUP": Fault(strike=signalled(signal.SIGHUP), exit_codes=(129,)),
    "SIGTERM twice": Fault(strike=signalled(signal.SIGTERM, twice=True), exit_codes=(143,)),
    "driver": Fault(strike=signalled(signal.SIGKILL), exit_codes=(-9,), leave_seconds=30.0),
    "two drivers": Fault(strike=two_drivers, exit_codes=(-9, 0), leave_seconds=30.0),
    "trial": Fault(strike=killed("ray::DistillTrial"), exit_codes=(0,), needs_ray=True, latest=0.6),
    "raylet": Fault(strike=killed("raylet"), exit_codes=(1,), needs_ray=True),
    "gcs": Fault(strike=killed("gcs_server"), exit_codes=(1,), needs_ray=True),
    "clock": Fault(strike=jump, exit_codes=(0,), around=movable_clock),
    "disk full": Fault(strike=fill, exit_codes=(2,), around=small_disk, heal=empty),
    "store gone for 10 s": Fault(strike=cut_for(10.0), exit_codes=(0,), around=in_a_bucket),
    "store gone for 30 s": Fault(strike=cut_for(30.0), exit_codes=(0,), around=in_a_bucket),
    "store gone for good": Fault(strike=cut_for(None), exit_codes=(2,), around=in_a_bucket, heal=reconnect),
}
"""What is done to a search, by name."""
