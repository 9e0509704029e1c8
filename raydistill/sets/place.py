"""Where a saved set lies, and in which store's log an opening of the test split for it belongs."""

from __future__ import annotations

from dataclasses import dataclass

from raydistill.catalogue import find_file
from raydistill.errors import InputError
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store

SET_FILE = "images.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagesToRead:
    """The real images that the networks of a saved set are read on."""

    split: str = "select"
    """`select`, or `test`, which needs a reason."""
    reason: str | None = None
    """Why the test split is opened."""
    log: str | None = None
    """Store that logs the opening; None is that of the set's study, or `studies` for a set outside one."""
    data_root: DataRoot = None
    """Folder or URI of the data files."""


def opening_log(path: str, log: str | None) -> Store:
    """The store in whose log an opening for a set belongs: a certificate looks into that of its study's store alone.

    Raises:
        InputError: the set lies in a study, and `log` is another store than the study's.
    """
    study = _study_around(path)
    if study is None:
        return Store(log or "studies")
    if log is not None and _resolved(Store(log)) != study.parent:
        raise InputError(
            f"store {log} for {path}, which lies in study {study.root}; its opening is logged in {study.parent.root}, where the "
            "study's certificate looks for it: give that as --store, or leave it out"
        )
    return study.parent


def _study_around(path: str) -> Store | None:
    """The study that a set's file lies in, at any depth; None outside one."""
    folder = _resolved(find_file(path, SET_FILE)[0])
    while folder.root != "." and (folder.is_local or "/" in folder.root.partition("://")[2]):
        if folder.exists("search_space.yaml") and folder.exists("trials"):
            return folder
        folder = folder.parent
    return None


def _resolved(store: Store) -> Store:
    """A store by the one path that it has, links followed."""
    return Store(str(store.local_path().resolve())) if store.is_local else Store(store.root.rstrip("/"))
