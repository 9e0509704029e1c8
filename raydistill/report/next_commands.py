"""The commands that a person wants next, complete with paths, so that a line can be copied and run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from raydistill.search.resume import stored_document
from raydistill.storage.layout import WINNER_FOLDER
from raydistill.storage.result import SearchResult
from raydistill.storage.store import Store


def command(*words: str, **options: str | int | float | bool | Sequence[str] | None) -> str:
    """A `raydistill` command as a line for a shell.

    Args:
        words: the command and its arguments.
        options: by name, underscores for dashes; None and False leave one out, True is a flag, a list repeats it.
    """
    return shlex.join(["raydistill", *words, *_option_words(options)])


def with_options(line: str, options: Mapping[str, Any]) -> str:
    """A line for a shell with more options; as in `command`."""
    return " ".join([line, *map(shlex.quote, _option_words(options))])


def training_command(*words: str, submitted: str | None, **options: str | int | bool | None) -> str:
    """A command that trains, as in `command`; in a job of a cluster without the address, which leads nowhere from elsewhere.

    Args:
        words: the command and its arguments.
        submitted: the command that submitted the job; None where it is none.
        options: by name.
    """
    if submitted is None or options.get("address") is None:
        return command(*words, **options)
    return f"{command(*words, **{**options, 'address': None})}  # on the head of a running cluster add --address auto"


def _option_words(options: Mapping[str, Any]) -> list[str]:
    parts = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            parts.append(option)
        elif value is not None and value is not False:
            values = [str(value)] if isinstance(value, str | int | float) else value
            parts += [part for one in values for part in (option, one)]
    return parts


def next_lines(*commands: str) -> str:
    """Commands under a heading, one a line."""
    return "\n".join(["Next:", *(f"  {line}" for line in commands)])


def more_trials(budget: Mapping[str, Any], asked: int) -> dict[str, Any]:
    """Options that let an ended search go on: twice as many trials, or twice the hours where those ended it.

    Args:
        budget: section of the study's space.
        asked: trials that were asked.
    """
    if asked >= budget["trials"]:
        return {"trials": 2 * asked}
    spent = [f"budget.{name}={2 * budget[name]:g}" for name in ("hours", "gpu_hours") if budget.get(name)]
    return {"set": spent} if spent else {}


def after_search(
    study: Store,
    result: SearchResult,
    space: str,
    where: Mapping[str, Any],
    again: Mapping[str, Any],
    submitted: str | None = None,
) -> list[str]:
    """What follows a search: its page, and the certificate and the set of a winner; without one the same with a larger budget.

    Args:
        study: that was searched.
        result: of the search.
        space: as it was named on the command line.
        where: options of data and executor, which every command that trains needs again.
        again: further options of the same search.
        submitted: in a job of a cluster, the command that submitted it, which is given again for a larger budget: the file
            that the job's own command names is gone by then.
    """
    data = {"data_root": where.get("data_root")}
    report = command("report", study.root)
    if result.winner_trial_id is not None:
        winner = study.path(WINNER_FOLDER)
        return [
            report,
            training_command(
                "certify", study.root, submitted=submitted, **where, accept_code_change=again.get("accept_code_change", False)
            ),
            command("evaluate", winner, **data),
            command("export", winner, out=f"{result.study}-ipc{result.smallest_lossless_ipc}", **data),
        ]
    tables = command("tables", study.root)
    if not result.baseline_admissible:
        return [report, tables]
    asked = sum(result.trials.values())
    more = more_trials(stored_document(study)["budget"], asked)
    options = {**where, **again, **more, "set": [*(again.get("set") or []), *more.get("set", [])]}
    line = command("search", space, store=study.parent.root, **options) if submitted is None else with_options(submitted, more)
    return [line, report, tables]


def after_distilling(folder: str, data_root: str | None) -> list[str]:
    """What follows a set in a folder: reading it, and writing it for other programs."""
    out = f"{folder.rstrip('/').rpartition('/')[2]}-png"
    return [command("evaluate", folder, data_root=data_root), command("export", folder, out=out, data_root=data_root)]
