"""How often a study's confirm images were looked at, `looks.json`: a stated confidence holds for the first look alone.

A look is noted before the images are read. So it counts where the search was ended before its result, or the result was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from raydistill.errors import StoreError
from raydistill.spaces.sections import Config
from raydistill.storage.record import TrialRecord
from raydistill.storage.result import read_result
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored, write_stored

LOOKS_FILE = "looks.json"


class Looks(Config):
    """Written to `looks.json`."""

    record_version: Literal[1] = 1
    ended_trials: tuple[int, ...] = Field(strict=False)
    """How many trials had ended at each look, ascending. Further networks for the same trials are the same look."""


def note_look(study: Store, records: Sequence[TrialRecord]) -> None:
    """Note that the confirm images are about to be looked at, after these trials.

    Raises:
        StoreError: the file cannot be read or written.
    """
    ended, found = sum(record.state != "crashed" for record in records), _read(study)
    before = _of_result(study) if found is None else found.ended_trials
    if found is None or ended not in before:
        looks = before if ended in before else (*before, ended)
        write_stored(study, LOOKS_FILE, Looks(ended_trials=tuple(sorted(looks))))


def looks_at(study: Store) -> tuple[int, ...]:
    """How many trials had ended at each look.

    Raises:
        StoreError: the file is damaged.
    """
    found = _read(study)
    return () if found is None else found.ended_trials


def _read(study: Store) -> Looks | None:
    remedy = "restore it, or delete it, and earlier looks count as far as result.json has them"
    return read_stored(study, LOOKS_FILE, Looks, remedy)


def _of_result(study: Store) -> tuple[int, ...]:
    """The looks that the result of a study of an older version knows of; when the earlier ones were it does not say."""
    try:
        result = read_result(study)
    except StoreError:
        return ()  # the search writes it again
    if result is None:
        return ()
    return (*[0] * result.earlier_looks, *([result.ended_trials] if result.has_looked else []))
