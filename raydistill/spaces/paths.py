"""Paths that a person, or a file of somebody else, gave: none ends in an error that is not ours."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from raydistill.errors import InputError


def given_path(given: str | Path) -> Path:
    """The path that was given, with `~` replaced; whether something lies there is not asked.

    Raises:
        InputError: no path of this system can be written so.
    """
    try:
        path = Path(given).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            os.lstat(path)
    except (OSError, ValueError, RuntimeError) as error:
        # Names too long, links in a circle; NUL and what is no text; `~name` of nobody.
        raise InputError(f"{shown(given)} cannot be a path ({why(error)}); give another") from error
    return path


def from_root(path: Path) -> Path:
    """The path from the root; `..` leads out of what a link leads to, so links are followed where it is used."""
    return path.resolve() if ".." in path.parts else path.absolute()


def regular(path: str, flags: int) -> int:
    """The opener of `open` for a file that somebody else may have put there: a pipe would be waited for, a device has no end.

    Raises:
        OSError: it cannot be opened, or is neither a regular file nor a folder, which `open` refuses in its own words.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is a pipe or a device, not a regular file", path)


def is_writable(given: str) -> bool:
    """Whether a text can be part of a path: it holds no NUL, and is text that can be written."""
    try:
        return b"\0" not in os.fsencode(given)
    except UnicodeEncodeError:
        return False


def shown(given: object) -> str:
    """A path in an error: such that it can be printed, and not longer than a line."""
    text = ascii(str(given)) if not str(given).isprintable() else str(given)
    return text if len(text) <= 100 else f"{text[:60]}... ({len(text)} characters)"


def why(error: Exception) -> str:
    """What is wrong with a path, without the path."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
