"""The commands of a study, complete with what its search was given: to go on with it, and to use what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raydistill.report.next_commands import command, more_trials, training_command, with_options
from raydistill.search.submission import WITHOUT_FILES
from raydistill.storage.given import Given
from raydistill.storage.layout import SPACE_FILE
from raydistill.storage.store import Store

COPY = f"COPY_OF_{SPACE_FILE}"
"""Stands for the space of a remote study, because a command reads its space from a file of this machine."""


def continue_search(study: Store, space: Mapping[str, Any], given: Given | None, ended_trials: int | None = None) -> str:
    """The command that goes on with a search.

    Args:
        study: its folder.
        space: its document.
        given: what its last search was given; None if that is not known.
        ended_trials: of a search that has ended, which gets twice as many; None for one that has not.
    """
    more = {} if ended_trials is None else more_trials(space["budget"], ended_trials)
    if given is not None and given.again is not None:
        return with_options(given.again, more)
    options: dict[str, Any] = {"store": study.parent.root}
    if given is not None:
        options |= {"data_root": given.data_root, "local": given.local, "address": given.address, "log": given.log}
        options |= {"accept_code_change": given.accept_code_change}
    return _search(study, space, given, options, more)


def search_anew(study: Store, space: Mapping[str, Any], given: Given | None, store: str) -> str:
    """The command that runs the search again, from nothing, into another store; arguments as in `continue_search`."""
    submitted = None if given is None else given.again
    # The address inside a job leads nowhere from elsewhere, and the file that the job's own command named is gone.
    options = {"store": store, **where(given), **({} if submitted is None else {"address": None})}
    return _search(study, space, given if submitted is None else None, options, {})


def on_study(given: Given | None, *words: str) -> str:
    """A command that trains on what the study found, such as `certify`, with the options of data and executor."""
    accepted = given is not None and given.accept_code_change
    return training_command(*words, submitted=given.again if given else None, **where(given), accept_code_change=accepted)


def where(given: Given | None) -> dict[str, Any]:
    """The options of data and executor that a search was given."""
    return {} if given is None else {"data_root": given.data_root, "local": given.local, "address": given.address}


def data_root(given: Given | None) -> str | None:
    """Folder or URI of the data files that a search was given."""
    return None if given is None else given.data_root


def is_whole(study: Store, given: Given | None) -> bool:
    """Whether nothing has to be added to the commands: no `--data-root`, and no copy of a space in a remote store."""
    return given is not None and (study.is_local or given.space is not None or given.again is not None)


def to_be_added(line: str, study: Store, dataset: str, given: Given | None) -> str:
    """What a person adds to the command of a search, in brackets; empty where it is whole."""
    copy = [f"{COPY} is to be a copy of {study.path(SPACE_FILE)}"] if COPY in line else []
    root = ["with --data-root, if the search had one"] if given is None and dataset not in WITHOUT_FILES else []
    added = "; ".join([*copy, *root])
    return f" ({added})" if added else ""


def _search(study: Store, space: Mapping[str, Any], given: Given | None, options: dict[str, Any], more: dict[str, Any]) -> str:
    if study.is_local:
        return command("search", str(study.local_path(SPACE_FILE)), **options, **more)
    if given is None or given.space is None:
        return command("search", COPY, **options, **more)
    # A command reads its space from a file of this machine, so a space in a remote store is named as it was given.
    overrides = [*given.overrides, *more.pop("set", [])]
    trials = (space.get("budget") or {}).get("trials")
    return command("search", given.space, **options, **{"trials": trials, **more}, set=overrides)
