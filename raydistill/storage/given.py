"""What a search was given beside its space, so that `raydistill status` can print the command that goes on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from raydistill.errors import StoreError
from raydistill.spaces.sections import Config
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored, write_stored

GIVEN_FILE = "command.json"


class Given(Config):
    """Written to `command.json` by each search of the study; the last one counts."""

    record_version: Literal[1] = 1
    space: str | None
    """The space as it was named, a file with its whole path; null if a document was given."""
    overrides: tuple[str, ...] = Field(default=(), strict=False)
    """Of `--set`."""
    data_root: str | None = None
    """A folder with its whole path, or a URI; null for the data set's own default."""
    local: bool = False
    address: str | None = None
    accept_code_change: bool = False
    log: tuple[str, ...] = Field(default=(), strict=False)
    """Of `--log`."""
    again: str | None = None
    """The command that submitted the job in which the search ran; null where it was no job."""


def whole_path(given: str | None) -> str | None:
    """A path that holds in every folder; what is no path of this machine stays as it is."""
    if given is None or "://" in given or not Path(given).exists():
        return given
    return str(Path(given).absolute())


def whole_space(given: str | None) -> str | None:
    """A space as it was named, a file with its whole path; a folder of a shipped space's name is not the space."""
    return whole_path(given) if given is not None and Path(given).is_file() else given


def write_given(study: Store, given: Given) -> None:
    """Write what a search was given.

    Raises:
        StoreError: the study cannot be written.
    """
    write_stored(study, GIVEN_FILE, given)


def read_given(study: Store) -> Given | None:
    """What the last search was given; None for a study of an older version, or of a program that calls `run_search` itself.

    Raises:
        StoreError: the file is damaged.
    """
    return read_stored(study, GIVEN_FILE, Given, "delete it: the next search of the study writes it again")


def given_or_damage(study: Store) -> tuple[Given | None, tuple[str, ...]]:
    """What the last search was given; and a sentence if the file with it is damaged, which spoils nothing else."""
    try:
        return read_given(study), ()
    except StoreError as error:
        return None, (str(error),)
