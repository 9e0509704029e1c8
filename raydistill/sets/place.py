"""Finds the study of a saved set, and the store in whose log an opening of the test split for this set belongs."""

from __future__ import annotations

from dataclasses import dataclass

from raydistill.catalogue import find_file
from raydistill.errors import InputError
from raydistill.storage.data_root import DataRoot
from raydistill.storage.layout import SET_FILE, SPACE_FILE
from raydistill.storage.store import Store


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
    """The store in whose log an opening of the test split belongs; for a set in a study that is the study's store.

    A certificate checks only the log of its study's store.

    Args:
        path: path of the set.
        log: store given by the user; None means the study's store, or `studies` for a set outside of a study.

    Raises:
        InputError: the set is in a study, and `log` is not the study's store.
    """
    study = study_around(path)
    if study is None:
        return Store(log or "studies")
    if log is not None and _resolved(Store(log)) != study.parent:
        raise InputError(
            f"given store {log} for {path}, which is in study {study.root}; the opening of the test split must be logged in "
            f"{study.parent.root}, where the study's certificate looks for it: give that as --store, or leave --store out"
        )
    return study.parent


def study_around(path: str) -> Store | None:
    """The study that contains a set's file, at any depth; None if there is none."""
    folder = _resolved(find_file(path, SET_FILE)[0])
    while folder.root not in (".", "/") and (folder.is_local or "/" in folder.root.partition("://")[2]):
        if folder.exists(SPACE_FILE) and folder.exists("trials"):
            return folder
        folder = folder.parent
    return None


def _resolved(store: Store) -> Store:
    """The store with its real path, with links resolved."""
    return Store(str(store.local_path().resolve())) if store.is_local else Store(store.root.rstrip("/"))
