"""Notices that Ray itself has ended under a running search, and brings the search to an end with a message.

Without it a search whose raylet is gone waits without an end, and one whose GCS (Ray's head process) is gone is silent for a
minute, after which Ray ends the process with words of its own.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType

import psutil  # type: ignore[import-untyped]  # comes with ray

from raydistill.errors import ClusterError, ClusterLostError
from raydistill.search.on_ray.access import check_gcs, kill_orphans, kill_with_children, started_here
from raydistill.search.on_ray.private import ThisNode

LOOK_SECONDS = 2.0
LOST_SECONDS = 20.0
"""How long a joined cluster may not answer; Ray itself ends the process after 60. One of our own is lost when a process ended."""
STUCK_SECONDS = 5.0
"""How long the search may take to notice that it was interrupted; it does not where Ray's C++ waits for what has ended."""
PROCESSES = {"raylet": "the raylet, which runs the jobs of this machine", "gcs_server": "the GCS, Ray's head process"}
"""Ray's processes without which nothing goes on, by Ray's name, in words."""

Look = Callable[[], str | None]
"""Says what of Ray is gone at the moment, or None."""


class Lifeline:
    """Looks after Ray in a thread of its own."""

    def __init__(self, look: Look, patience_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare.

        Args:
            look: what is gone.
            patience_seconds: how long something may be gone before the search ends.
            clock: seconds from any fixed point.
        """
        self._look = look
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._gone_since: float | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.lost: str | None = None
        """What ended, once that is certain."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Look while the block runs; an end of Ray ends the block, at once if it runs in the main thread.

        Raises:
            ClusterLostError: Ray has ended.
        """
        with _interruptible() as interrupt:
            threading.Thread(target=self._watch, args=(interrupt,), name="raydistill-lifeline", daemon=True).start()
            with self._told():
                yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.look_once()  # the error may be the first sign of it
            self.check()
            raise
        except (KeyboardInterrupt, SystemExit):
            self.check()  # otherwise the user's own
            raise
        finally:
            with self._lock:
                self._ended.set()

    def look_once(self) -> bool:
        """Look, and say whether Ray is lost."""
        began = self._clock()  # a cluster out of reach takes seconds to be found so
        gone = self._look()
        if gone is None:
            self._gone_since = None
            return False
        if self._gone_since is None:
            self._gone_since = began
        if self._clock() - self._gone_since >= self._patience_seconds:
            self.lost = gone
        return self.lost is not None

    def look_until_certain(self) -> None:
        """Return once nothing is gone any more.

        Raises:
            ClusterLostError: Ray is lost.
        """
        while not self.look_once() and self._gone_since is not None:
            time.sleep(LOOK_SECONDS)
        self.check()

    def check(self) -> None:
        """Do nothing unless Ray is lost.

        Raises:
            ClusterLostError: it is.
        """
        if self.lost is not None:
            raise ClusterLostError(f"Ray has ended under the search: {self.lost}")

    def _watch(self, interrupt: Callable[[], None] | None) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            if self.look_once():
                if interrupt is not None:
                    with self._lock:
                        if not self._ended.is_set():
                            interrupt()
                    if not self._ended.wait(STUCK_SECONDS):
                        self._give_up()
                return

    def _give_up(self) -> None:
        """End the process, as Ray itself would within a minute, in words of its own."""
        try:
            self.check()
        except ClusterLostError as error:
            sys.stderr.write(f"Error: {error}\nFinished work is saved; run the same command again to continue.\n")
            sys.stderr.flush()
            kill_orphans()
            kill_with_children(process.pid for process in started_here())
            os._exit(error.exit_code)


def look_at_own(node: ThisNode) -> Look:
    """Looks at the processes of a cluster that was started here."""

    def look() -> str | None:
        dead = node.dead_kinds()
        return next((f"{words}, has ended" for kind, words in PROCESSES.items() if kind in dead), None)

    return look


def look_at_joined(node: ThisNode) -> Look:
    """Looks at a cluster that was joined: the raylet of this machine, and the GCS, wherever it runs."""
    gcs, raylet = node.gcs_address, node.raylet_socket

    def look() -> str | None:
        if not _answers(raylet):
            return f"{PROCESSES['raylet']}, has ended"
        try:
            check_gcs(gcs)
        except ClusterError:
            return f"{PROCESSES['gcs_server']}, does not answer at {gcs}"
        return None

    return look


def look_at_starting() -> str | None:
    """Looks at the processes of a cluster that `ray.init` is starting here: it waits minutes for one that has ended.

    On a machine whose cores are all busy Ray's raylet ends itself if its agent takes longer than 15 seconds to start.
    """
    ended = set()
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # one that is waited for in between is gone
            if child.status() == psutil.STATUS_ZOMBIE:
                ended.add(child.name())
    busy = "while it started, as it does on a machine that is too busy"
    return next((f"{words}, has ended {busy}" for kind, words in PROCESSES.items() if kind in ended), None)


def lifeline_of(*, is_own: bool) -> Lifeline:
    """A lifeline to the cluster that this process has started (`is_own`) or joined."""
    node = ThisNode()
    return Lifeline(look_at_own(node), 0.0) if is_own else Lifeline(look_at_joined(node), LOST_SECONDS)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
        except OSError:
            return False
    return True


@contextmanager
def _interruptible() -> Iterator[Callable[[], None] | None]:
    """Yields a function for other threads that raises KeyboardInterrupt in this one, also where it waits for Ray.

    Only the main thread can be interrupted; elsewhere there is no such function, and the executor calls `Lifeline.check`. SIGINT
    does not serve: the process may ignore it, and the command takes it for the user's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield None
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR2, interrupt)
    try:
        yield partial(signal.pthread_kill, threading.get_ident(), signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
