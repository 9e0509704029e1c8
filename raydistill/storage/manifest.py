"""The list of a study's lasting files with their hashes, `manifest.json`: written when a search ends, checked by every reader.

A search that goes on adds files, which the next end takes up; until then they stand for themselves, because most JSON
files have a hash of their own (`sealed`; `config.json` has the trial's id, `certificate.json` its `content_sha256`, `data.json`
none). The space, the result, the winner and each `confirmation.json`, which an end writes again, are
taken out while a search goes on. Tables, pages, the files of a crashed trial and those that only a running trial needs are not
listed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from raydistill.spaces.sections import Config
from raydistill.storage.layout import (
    CHECKPOINT_FILE,
    CONFIRMATION_FILE,
    PICTURE_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    SET_FILE,
    SPACE_FILE,
    WINNER_FILE,
    WINNER_FOLDER,
)
from raydistill.storage.record import TrialRecord
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored, write_stored

MANIFEST_FILE = "manifest.json"


ETAG = "etag:"
WRITTEN_AT_THE_END = (SPACE_FILE, RESULT_FILE, WINNER_FILE, f"{WINNER_FOLDER}/")
OF_A_RUNNING_TRIAL = (PROGRESS_FILE, CHECKPOINT_FILE)
"""Left behind by a trial that was ended from outside; it writes them anew if it runs again."""


class Manifest(Config):
    """Written to `manifest.json`."""

    record_version: Literal[1] = 1
    files: dict[str, str]
    """SHA-256 by path in the study. In an object store `etag:` and the store's own tag, which changes with the file and costs no
    reading; in a copy of such a study elsewhere it says only that the file was there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """A file that is not as the manifest has it."""

    name: str
    is_gone: bool

    def in_words(self, study: Store) -> str:
        """One sentence."""
        what = "is gone, and the search that ended had it" if self.is_gone else "was changed after the search ended"
        return f"{study.path(self.name)} {what}"


def write_manifest(study: Store, records: Sequence[TrialRecord]) -> None:
    """List what lies in a study whose search has ended.

    Args:
        study: its folder.
        records: of its trials; one that crashed runs again, so its files are left out.

    Raises:
        StoreError: a file cannot be read, or the manifest cannot be written.
    """
    ended = {record.trial_id for record in records if record.state != "crashed"}
    stamps = study.stamps()
    names = _lasting(stamps, ended)
    files = {name: _sha256(study, name) if study.is_local else f"{ETAG}{stamps[name]}" for name in names}
    write_stored(study, MANIFEST_FILE, Manifest(files=files))


def forget(study: Store, names: Collection[str]) -> None:
    """Take files out of the manifest that a search makes again, so that the new ones do not count as changed."""
    manifest = read_manifest(study)
    if manifest is not None and not manifest.files.keys().isdisjoint(names):
        kept = {name: sha256 for name, sha256 in manifest.files.items() if name not in names}
        write_stored(study, MANIFEST_FILE, Manifest(files=kept))


def is_of_the_end(name: str) -> bool:
    """Whether each end of the search writes a file again."""
    return name.startswith(WRITTEN_AT_THE_END) or name.endswith(f"/{CONFIRMATION_FILE}")


def read_manifest(study: Store) -> Manifest | None:
    """The manifest; None before a search has ended, and in studies of older versions.

    Raises:
        StoreError: the manifest is damaged.
    """
    return read_stored(study, MANIFEST_FILE, Manifest, "delete it: the next end of the search writes it again")


def damages(study: Store, winner: str | None, *, every: bool) -> tuple[Damage, ...]:
    """What is gone, and what was changed.

    Args:
        study: its folder.
        winner: trial of the winner, whose set and picture are always read; None if there is none.
        every: all of them. Otherwise the winner's files and what each end writes again are read, of the others only whether they
            are there; and the sets and pictures that did not win may be deleted to save disk space.

    Raises:
        StoreError: the manifest is damaged, or the study cannot be read.
    """
    manifest = read_manifest(study)
    if manifest is None:
        return ()
    there = study.stamps()
    found = []
    for name, sha256 in manifest.files.items():
        is_read = every or is_of_the_end(name) or name.startswith(f"trials/{winner}/")
        if name not in there:
            if is_read or not name.endswith((SET_FILE, PICTURE_FILE)):
                found.append(Damage(name=name, is_gone=True))
        elif sha256.startswith(ETAG):
            if not study.is_local and sha256 != f"{ETAG}{there[name]}":
                found.append(Damage(name=name, is_gone=False))
        elif is_read and _sha256(study, name) != sha256:
            found.append(Damage(name=name, is_gone=False))
    return tuple(found)


def _lasting(names: dict[str, str], ended: set[str]) -> Iterator[str]:
    for name in sorted(names):
        folder, _, rest = name.partition("/")
        trial, _, file = rest.partition("/")
        if any(part.startswith(".") for part in name.split("/")):
            continue  # a file that was being written when its process ended
        if (
            folder in ("baseline", "controls")
            or is_of_the_end(name)
            or (folder == "trials" and trial in ended and "/" not in file and file not in OF_A_RUNNING_TRIAL)
        ):
            yield name


def _sha256(study: Store, name: str) -> str:
    return hashlib.sha256(study.read(name)).hexdigest()
