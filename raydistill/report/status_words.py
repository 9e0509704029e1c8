"""The status of a study in lines, as a person reads it."""

from __future__ import annotations

from datetime import datetime

from raydistill.report.status import OpenTrial, StudyStatus
from raydistill.report.summary import finding_rows
from raydistill.report.tally import bracket_words, state_words, step_words
from raydistill.report.words import duration, margin_words, points
from raydistill.search.submission import WITHOUT_FILES
from raydistill.spaces.units import looked_before


def status_lines(status: StudyStatus, now: datetime) -> str:
    """The status in lines of a name and a value, as a person reads it."""
    rows = finding_rows(status.finding) if status.finding else []
    rows += [
        ("Study", f"{status.study} in {status.root}"),
        ("Search", _search_words(status)),
        *([] if status.used_by is None else [("In use by", status.used_by)]),
        ("Stage", _stage_words(status)),
        ("Trials", _trial_words(status)),
        ("Margin", margin_words(status.margin_fraction, status.metric)),
    ]
    rows += [] if status.verdict else [("So far", f"provisional: {bracket_words(status.bracket)}")]
    rows += [("Time left", f"about {duration(status.seconds_left)}, without the confirmation")] if status.seconds_left else []
    begun = "Cut off" if status.holder is None else "Running"
    rows += [(begun, _open_words(trial)) for trial in status.running]
    rows += [("Waiting", _open_words(trial)) for trial in status.waiting]
    rows += _verdict_rows(status) if status.verdict else []
    rows += [("Damaged", line) for line in status.damaged]
    if status.last_written is not None:
        written = datetime.fromisoformat(status.last_written)
        ago = duration(max(0.0, (now - written).total_seconds()))
        rows.append(("Last written", f"{written:%Y-%m-%d %H:%M:%S} UTC, {ago} ago"))
    if status.holder is None:
        is_to_extend = status.stage == "ended" and "crashed" not in status.states
        rows.append(("To extend it" if is_to_extend else "To continue", status.continue_command))
        is_whole = status.is_continue_command_whole or status.dataset in WITHOUT_FILES
        rows += [] if is_whole else [("", "(with --data-root, if the search had one)")]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _verdict_rows(status: StudyStatus) -> list[tuple[str, str]]:
    verdict = (status.verdict or "").replace("_", " ")
    smallest, lossy = ("none" if ipc is None else str(ipc) for ipc in (status.smallest_lossless_ipc, status.largest_lossy_ipc))
    found = f"smallest lossless IPC {smallest}, largest IPC shown to be lossy {lossy}"
    rows = [("Verdict", f"{verdict}: {status.reason}"), ("Found", found)]
    rows += [("Looked at before", looked_before(status.earlier_looks))] if status.earlier_looks else []
    return rows + ([("Winner", status.winner)] if status.winner else [])


def _search_words(status: StudyStatus) -> str:
    return "not running" if status.holder is None else f"running, {status.holder}"


def _stage_words(status: StudyStatus) -> str:
    if status.stage_total is None:
        return status.stage
    counted = "trials" if status.stage in ("trials", "ended") else "networks"
    return f"{status.stage}, {status.stage_done} of {status.stage_total} {counted}"


def _trial_words(status: StudyStatus) -> str:
    begun = "cut off" if status.holder is None else "running"
    counts = [f"{len(trials)} {word}" for trials, word in ((status.running, begun), (status.waiting, "waiting")) if trials]
    return ", ".join([state_words(status.states), *counts])


def _open_words(trial: OpenTrial) -> str:
    far = [] if trial.step is None else [step_words(trial.step, trial.fraction)]
    gap = [] if trial.gap is None else [f"gap {points(trial.gap)}"]
    return ", ".join([f"trial {trial.ask_number} ({trial.trial_id})", f"IPC {trial.ipc}", *far, *gap])
