"""What a command does when it is told to end: SIGINT (Ctrl-C), SIGTERM (kill, a batch system) and SIGHUP (a closed terminal).

The first signal raises KeyboardInterrupt where the command is, so that everything it opened is closed; the second ends the
process and its children at once. Only commands install this: a program that calls `raydistill.search` keeps its own handlers.
"""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLOSING_SECONDS = 7.0
"""How long closing may take. Ray's processes end up to two seconds after this one, and together that stays below ten."""
AGAIN_SECONDS = 0.02
"""Until an exception is raised that could not be, or was dropped: by then the callback that stood in its way has ended."""
CONVERTING = "pydantic"
"""Package that makes every exception of a serializer an error of its own, KeyboardInterrupt too."""


@dataclass(slots=True)
class Received:
    """The signal that told a command to end; Ctrl-C where it was told in another way."""

    number: signal.Signals = signal.SIGINT
    is_received: bool = False
    is_told: bool = False
    """Whether the last words were said."""
    is_due: bool = False
    """Whether the exception is still to be raised: Python dropped it, or another package would have made it an error."""
    is_repeated: bool = False
    """Whether the next signal is ours, which raises it."""

    @property
    def exit_code(self) -> int:
        """As a shell has it for a process that a signal ended."""
        return 128 + self.number

    def told(self, last_words: str) -> str:
        """The last words of a command, with the signal's name unless it was Ctrl-C."""
        if self.number == signal.SIGINT:
            return last_words
        return last_words.replace("Interrupted.", f"Interrupted by {self.number.name}.", 1)


@contextmanager
def ended_by_signals(last_words: str) -> Iterator[Received]:
    """Raise KeyboardInterrupt at the first signal in the block, or soon after it where it would be lost; yields which it was.

    At the end the handlers of before are back, and `sys.unraisablehook`, which is replaced for as long. After a signal ours stay,
    so that a second one ends the process while it says its last words, too.

    A signal that the process was started to ignore (`nohup`, a shell's background job) stays ignored. In another thread than the
    main one nothing is installed, because Python allows it there only.

    Args:
        last_words: printed if closing takes longer than `CLOSING_SECONDS`, when the process ends as it is.
    """
    received = Received()
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def end(number: int, frame: FrameType | None) -> None:
        is_repeated, received.is_repeated = received.is_repeated, False
        if received.is_received and not is_repeated:
            _say_last(received, last_words)
            _end_with_children(128 + number)
        if is_repeated and not received.is_due:  # the block has ended meanwhile
            return
        if not received.is_received:
            received.number, received.is_received = signal.Signals(number), True
            if number == signal.SIGHUP:
                _let_go_of_closed_terminals()
            _end_when_late(received, last_words)
        received.is_due = _is_called_by(CONVERTING, frame)
        if received.is_due:
            _call_later(AGAIN_SECONDS, again)
        else:
            raise KeyboardInterrupt

    def dropped(what: sys.UnraisableHookArgs) -> None:
        # Raised in a callback of the garbage collector or of an import, which Python leaves with a trace and goes on.
        if not (received.is_received and isinstance(what.exc_value, KeyboardInterrupt)):
            tell_of_dropped(what)
            return
        received.is_due = True
        _call_later(AGAIN_SECONDS, again)

    def again() -> None:
        if received.is_due:
            received.is_repeated = True
            signal.pthread_kill(main_thread, received.number)

    tell_of_dropped, main_thread = sys.unraisablehook, threading.get_ident()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ours = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    sys.unraisablehook = dropped
    for number in ours:
        signal.signal(number, end)
    try:
        yield received
        if received.is_due:
            raise KeyboardInterrupt
    finally:
        sys.unraisablehook, received.is_due = tell_of_dropped, False
        if not received.is_received:  # otherwise the process is about to end, and by our handler a second time
            for number in ours:
                signal.signal(number, before[number])


def end_at_once_if_failed(exit_code: object) -> None:
    """End the process unless its exit code is 0 or none.

    Everything is closed by then. Unloading libraries takes seconds, and where Ray has ended under a search, a thread may still
    wait in its C++ and make the process crash there, with another exit code.
    """
    if isinstance(exit_code, int) and exit_code != 0:
        atexit._run_exitfuncs()  # of a Ray that was still starting, too
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None where the command was started with it closed
            with suppress(OSError, ValueError):  # nobody reads what is left, or it was closed meanwhile
                stream.flush()
        os._exit(exit_code)


def _is_called_by(package: str, frame: FrameType | None) -> bool:
    """Whether code of a package is on the stack, from the frame on."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] == package:
            return True
        frame = frame.f_back
    return False


def _end_when_late(received: Received, last_words: str) -> None:
    def end() -> None:
        _say_last(received, last_words)
        _end_with_children(received.exit_code)

    _call_later(CLOSING_SECONDS, end)


def _end_with_children(exit_code: int) -> None:
    """End the process, and what it has started: some of Ray's processes would notice its end half a minute later."""
    psutil: Any = sys.modules.get("psutil")  # it is there wherever Ray runs; a handler must not import
    try:
        for child in psutil.Process().children(recursive=True) if psutil else ():
            with suppress(psutil.Error):
                child.kill()
    finally:
        os._exit(exit_code)


def _say_last(received: Received, last_words: str) -> None:
    """Once. Without Python's buffers, whose lock a handler may interrupt; a closed standard error is no reason to stay."""
    if not received.is_told:
        with suppress(OSError):
            os.write(2, f"{received.told(last_words)}\n".encode())


def _call_later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


def _let_go_of_closed_terminals() -> None:
    """Send what is still written to a terminal that was closed nowhere: each write to it would fail."""
    for stream in (0, 1, 2):
        try:
            termios.tcgetattr(stream)
        except termios.error as error:
            # A file or a pipe gives ENOTTY, and stays.
            if error.args[0] == errno.EIO:
                os.dup2(os.open(os.devnull, os.O_RDWR), stream)
