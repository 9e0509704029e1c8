"""The winner's set under one name, `<study>/winner`: copies of its files, and a file that says which trial they are of.

`result.json` and the trial's own folder are the record; this is a view of them, written when a search ends and written again
by the next. Copies work on every store, where links would not. A search that is killed in between leaves whole files, and
`winner.json` only beside the files that it names.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from raydistill.errors import StoreError
from raydistill.spaces.sections import Config
from raydistill.storage.layout import PICTURE_FILE, RECORD_FILE, SET_FILE, WINNER_FILE, WINNER_FOLDER
from raydistill.storage.record import read_record
from raydistill.storage.result import SearchResult
from raydistill.storage.store import Store
from raydistill.storage.versioned import sealed_json


class Winner(Config):
    """Which trial won. Written to `winner.json`."""

    record_version: Literal[1] = 1
    trial_id: str
    ipc: int
    images_sha256: str
    """Hash of the set, in the trial's folder and in `winner/`."""


def name_winner(study: Store, result: SearchResult) -> None:
    """Copy the winner's set to `winner/` and name its trial in `winner.json`; remove both where there is no winner.

    Args:
        study: whose trials are done.
        result: of its search.

    Raises:
        StoreError: the winner's set is missing, or the store cannot be written.
    """
    if result.winner_trial_id is None or result.smallest_lossless_ipc is None:
        study.delete(WINNER_FILE)
        study.delete_folder(WINNER_FOLDER)
        return
    folder = f"trials/{result.winner_trial_id}"
    data = study.read_or_none(f"{folder}/{SET_FILE}")
    if data is None:
        raise StoreError(
            f"{study.path(folder, SET_FILE)} is missing, and the search found it the winner; restore it, or delete "
            f"{study.path(folder, RECORD_FILE)} and run the search again, which distils the set anew"
        )
    found, record = hashlib.sha256(data).hexdigest(), read_record(study, result.winner_trial_id)
    if record is not None and record.images_sha256 not in (None, found):
        raise StoreError(
            f"{study.path(folder, SET_FILE)} is not the set that the search found: its hash is {found[:12]}, the record says "
            f"{str(record.images_sha256)[:12]}; restore it, or delete {study.path(folder, RECORD_FILE)} and run the search "
            "again, which distils the set anew"
        )
    winner = Winner(trial_id=result.winner_trial_id, ipc=result.smallest_lossless_ipc, images_sha256=found)
    text = sealed_json(winner)
    if study.read_or_none(WINNER_FILE) not in (None, text.encode()):
        study.delete(WINNER_FILE)
    study.write(f"{WINNER_FOLDER}/{SET_FILE}", data)
    picture = study.read_or_none(f"{folder}/{PICTURE_FILE}")
    if picture is None:
        study.delete(f"{WINNER_FOLDER}/{PICTURE_FILE}")
    else:
        study.write(f"{WINNER_FOLDER}/{PICTURE_FILE}", picture)
    study.write(WINNER_FILE, text)
