"""The trials of a study as a list: each with its settings, its measurements, its files, and the command that distils it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from raydistill.report.cells import cells_of, whole_config
from raydistill.report.looks import STATES, Look
from raydistill.report.next_commands import command
from raydistill.report.page.html import Links
from raydistill.report.page.marks import short
from raydistill.report.study import Study, Trial
from raydistill.report.study_commands import data_root
from raydistill.report.words import accuracy_line, percent, points, telling_line
from raydistill.spaces.units import packed_in_words
from raydistill.storage.layout import CONFIG_FILE, PICTURE_FILE, RECORD_FILE, SET_FILE


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A trial in the list."""

    id: str
    number: int
    css: str
    shape: str
    words: str
    rows: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    error: str
    again: str
    """The command that distils it again; empty where it has no set."""


def entries(study: Study, looks: dict[str, Look], links: Links) -> Iterator[Entry]:
    """Every trial of the study, in the order of asks."""
    fixed = {name for name, _ in settings_shared(study)}
    for trial in study.asked:
        record, folder = trial.record, f"trials/{trial.trial_id}"
        names = [CONFIG_FILE] + ([] if record is None else [RECORD_FILE])
        names += [PICTURE_FILE, SET_FILE] if record is not None and record.images_sha256 else []
        yield Entry(
            id=trial.trial_id,
            number=looks[trial.arm].number,
            css=f"state {trial.state}",
            shape=STATES[trial.state],
            words=_entry_words(trial),
            rows=tuple(_entry_rows(trial, fixed)),
            files=tuple((name, links.to(folder, name)) for name in names),
            error="" if record is None or not record.error else record.error,
            again="" if trial.gap is None else command("distill", study.store.path(folder), data_root=data_root(study.given)),
        )


def _entry_words(trial: Trial) -> str:
    gap = "" if trial.gap is None else f", gap {points(trial.gap)}"
    error = trial.record.error if trial.record else None
    why = f": {telling_line(error)}" if error else ""
    return f"Trial {trial.ask_number} · {trial.arm} · IPC {trial.ipc} · {trial.state.replace('_', ' ')}{gap}{why}"


def _entry_rows(trial: Trial, fixed: set[str]) -> Iterator[tuple[str, str]]:
    record = trial.record
    yield "id", trial.trial_id
    if record is not None and record.final is not None:
        yield trial.metric_words, accuracy_line(record.final.accuracy_fractions)
        if record.weakest_class is not None:
            name, accuracy = record.weakest_class
            yield "weakest class", f"{name}, {percent(accuracy)}"
        yield "images", f"{record.images}{packed_in_words(record.factor)}, {record.set_bytes:,} bytes, {record.label_kind} labels"
    elif record is not None and record.readings:
        last = record.readings[-1]
        yield "last reading", f"gap {points(last.gap)} at step {last.step} ({100 * last.fraction:.0f} %)"
    elif trial.progress is not None:
        yield "now at", f"step {trial.progress.step} of {trial.progress.steps or 'an unknown number'}"
    if record is not None and record.cost is not None:
        cost = record.cost
        yield "time", f"{cost.distill_seconds:.1f} s to make, {cost.evaluate_seconds:.1f} s to read"
        yield "memory", f"{cost.peak_memory_bytes / 2**20:.0f} MiB"
    if record is not None:
        yield "begun", f"{record.started_at[:19].replace('T', ' ')} UTC on {record.host}, {record.device}"
    yield from (
        (name, short(value))
        for name, value in cells_of(whole_config(trial.config)).items()
        if name not in fixed and value is not None
    )


def settings_shared(study: Study) -> list[tuple[str, str]]:
    """Settings that are the same in every trial, by name."""
    if len(study.asked) < 2:
        return []
    first = cells_of(whole_config(study.asked[0].config))
    same = dict(first)
    for trial in study.asked[1:]:
        cells = cells_of(whole_config(trial.config))
        same = {name: value for name, value in same.items() if name in cells and cells[name] == value}
    return [(name, short(value)) for name, value in same.items() if value is not None]
