"""Where a study stands, read from its files in the store, whether or not a search of it runs, here or elsewhere."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import ValidationError

from raydistill.core.expert_fields import ExpertFields
from raydistill.errors import StoreError
from raydistill.methods import method_configs
from raydistill.report.study_commands import continue_search, is_whole
from raydistill.report.tables import StudyRecords, read_study
from raydistill.report.tally import Bracket, bracket_of, bracket_words, state_words
from raydistill.search.resume import stored_document
from raydistill.spaces.messages import shown
from raydistill.spaces.sections import Config, GoalConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import network_index
from raydistill.storage.given import given_or_damage
from raydistill.storage.layout import (
    CONFIRMATION_FILE,
    PROGRESS_FILE,
    RECORD_FILE,
    REPORT_FILE,
    SPACE_FILE,
    WINNER_FILE,
    WINNER_FOLDER,
)
from raydistill.storage.lock import holder_of, searcher
from raydistill.storage.record import TrialRecord, read_progress
from raydistill.storage.result import Finding
from raydistill.storage.store import Store

CONFIRMING = re.compile(r"/(confirm|draw)-\d+\.json$")
"""Files that a search writes when it reads confirm images."""
VIEWS = (REPORT_FILE, "plots/")
"""What a reader has written into the study, which says nothing of whether its search is alive."""
Stage = Literal["baseline", "experts", "trials", "confirmation", "ended"]


class OpenTrial(Config):
    """A trial that was asked and has no record, or that crashed and runs again."""

    trial_id: str
    ask_number: int
    ipc: int
    step: int | None = None
    """Image updates done when it last wrote; null if it has not begun."""
    steps: int | None = None
    """Those in all; null before they are known."""
    gap: float | None = None
    """At its last reading."""

    @property
    def fraction(self) -> float | None:
        """Part of the distillation done, 0 to 1."""
        return None if self.step is None or not self.steps else self.step / self.steps


class StudyStatus(Config):
    """A study as its files show it."""

    study: str
    root: str
    """Folder or URI."""
    dataset: str
    holder: str | None
    """Process and host of the search that works on the study now; null if none does."""
    used_by: str | None = None
    """Command, process and host of a `certify` or `ablate` that works on it now; null if none does."""
    stage: Stage
    stage_done: int | None
    """Networks or trials of the stage that are done; null while experts are trained, which lie outside the study."""
    stage_total: int | None
    states: dict[str, int]
    """Trials that ended, by state."""
    running: tuple[OpenTrial, ...]
    """Trials that have begun; where no search works on the study, they were cut off."""
    waiting: tuple[OpenTrial, ...]
    """Trials that were asked and have not begun."""
    margin_fraction: float
    metric: Literal["accuracy", "balanced_accuracy"] = "accuracy"
    """What the margin is of."""
    bracket: Bracket
    """What the verdict would say so far; provisional, and superseded by the verdict once there is one."""
    seconds_left: float | None
    """Of the trials, at the mean of those that ended and as many at once as run now; null where none has ended or none runs."""
    verdict: str | None
    reason: str | None
    """The verdict in one sentence."""
    finding: Finding | None = None
    """Whether the smallest set has to be distilled; null before the verdict."""
    earlier_looks: int = 0
    """How often the same confirm images were looked at before; the confidence does not cover that."""
    smallest_lossless_ipc: int | None = None
    """By the verdict, and so below; null before it."""
    largest_lossy_ipc: int | None = None
    winner: str | None = None
    """Folder of the winner's set, `<study>/winner`; null where the study has none."""
    damaged: tuple[str, ...] = ()
    """A sentence for each file that is gone or changed since the search ended."""
    last_written: str | None
    """When a file of the study was last written; UTC, ISO 8601."""
    continue_command: str
    """Goes on with the search; one that ended gets twice as many trials, once none of its trials is crashed."""
    is_continue_command_whole: bool = True
    """False where the study does not say what its search was given, because an older version wrote it: a `--data-root` is to be
    added, and a space in a remote store is to be copied first."""

    def __repr__(self) -> str:
        """The status in a line; `status_lines` has it for people, `model_dump` everything."""
        said = f"{self.stage}, {bracket_words(self.bracket)}" if self.verdict is None else f"{self.verdict.replace('_', ' ')}"
        return f"StudyStatus({self.study}: {said}; {state_words(self.states)})"

    __str__ = __repr__


def read_status(study: Store) -> StudyStatus:
    """Where a study stands.

    Raises:
        StoreError: a file of the study is damaged.
    """
    space = stored_document(study)
    _check_document(study, space)
    given, damage = given_or_damage(study)
    holds = holder_of(study)
    holder = searcher(holds)
    files = _files(study)
    found = _without_crashes_that_run_again(read_study(study, method_configs()), files, is_searched=holder is not None)
    records = [record for _, record in found.trials if record is not None]
    open_trials = [_open(config, study) for config, record in found.trials if record is None]
    running = [trial for trial in open_trials if trial.step is not None]
    result = None if holder else found.last_result
    stage, done, total = _stage(files, space, found) if result is None else ("ended", len(records), len(found.trials))
    states: dict[str, int] = dict(Counter(record.state for record in records))
    # The plain command runs a crashed trial again, unless hours ended the search.
    is_open = stage != "ended" or ("crashed" in states and len(found.trials) >= space["budget"]["trials"])
    goal = _goal(study, space)
    written = [moment for name, moment in files.items() if not name.startswith(VIEWS)]
    return StudyStatus(
        study=space["study"],
        root=study.root,
        dataset=space["dataset"]["name"],
        holder=holder,
        used_by=None if holder else holds,
        stage=stage,
        stage_done=done,
        stage_total=total,
        states=states,
        running=tuple(running),
        waiting=tuple(trial for trial in open_trials if trial.step is None),
        margin_fraction=goal.margin_fraction,
        metric=goal.metric,
        bracket=bracket_of(records, found.baseline, goal),
        seconds_left=None if holder is None else _seconds_left(records, running, space["budget"]["trials"]),
        verdict=result.verdict if result else None,
        reason=result.reason if result else None,
        finding=result.finding if result else None,
        earlier_looks=result.earlier_looks if result else 0,
        smallest_lossless_ipc=result.smallest_lossless_ipc if result else None,
        largest_lossy_ipc=result.largest_lossy_ipc if result else None,
        winner=study.path(WINNER_FOLDER) if result and WINNER_FILE in files else None,
        damaged=(*found.damaged, *damage),
        last_written=max(written).isoformat() if written else None,
        continue_command=continue_search(study, space, given, None if is_open else total),
        is_continue_command_whole=is_whole(study, given),
    )


def _check_document(study: Store, space: Mapping[str, Any]) -> None:
    """Refuse a space without what a status tells of it.

    Raises:
        StoreError: a value is missing, or of another type.
    """
    needed = {"study": str, "dataset.name": str, "budget.trials": int}
    needed |= {"evaluation.baseline_networks": int, "evaluation.confirm_networks": int}
    for path, kind in needed.items():
        section, _, key = path.partition(".")
        value = space[section]
        if key:
            value = value.get(key) if isinstance(value, dict) else None
        if type(value) is not kind:
            raise StoreError(f"{study.path(SPACE_FILE)} is damaged ({path} is {shown(value)}); restore it, or start a new study")
    methods = [space["method"]] if "method" in space else space["methods"]
    names = [one.get("name") if isinstance(one, dict) else one for one in methods] if isinstance(methods, list) else [methods]
    unknown = [name for name in names if not isinstance(name, str) or name not in method_configs()]
    if unknown or not names:
        given = shown(unknown[0] if unknown else None)
        raise StoreError(f"{study.path(SPACE_FILE)} is damaged (unknown method {given}); restore it, or start a new study")


def _goal(study: Store, space: Mapping[str, Any]) -> GoalConfig:
    try:
        return GoalConfig.model_validate(space["goal"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["goal", *(str(part) for part in first["loc"])])
        raise StoreError(
            f"{study.path(SPACE_FILE)} is damaged ({where}: {first['msg']}); restore it, or start a new study"
        ) from error


def _without_crashes_that_run_again(found: StudyRecords, files: Mapping[str, datetime], *, is_searched: bool) -> StudyRecords:
    """The records without those of trials that crashed in an earlier search and run again, or were cut off when they did.

    The record of the crash stays until such a trial ends. The times of the files tell: each search writes the space when it
    begins, and reads confirm images when no trial is left to run.
    """
    began = files[SPACE_FILE]
    is_searched = is_searched and not any(moment > began and CONFIRMING.search(name) for name, moment in files.items())

    def runs_again(record: TrialRecord) -> bool:
        folder = f"trials/{record.trial_id}"
        is_of_earlier = record.state == "crashed" and files.get(f"{folder}/{RECORD_FILE}", began) < began
        return is_of_earlier and (is_searched or files.get(f"{folder}/{PROGRESS_FILE}", began) > began)

    trials = [(config, None if record is not None and runs_again(record) else record) for config, record in found.trials]
    return replace(found, trials=tuple(trials))


def _open(config: TrialConfig[Any], study: Store) -> OpenTrial:
    progress = read_progress(study, config.trial_id)
    return OpenTrial(
        trial_id=config.trial_id,
        ask_number=config.ask_number,
        ipc=config.ipc,
        step=progress.step if progress else None,
        steps=progress.steps or None if progress else None,
        gap=progress.readings[-1].gap if progress and progress.readings else None,
    )


def _stage(files: Collection[str], space: Mapping[str, Any], found: StudyRecords) -> tuple[Stage, int | None, int | None]:
    """The stage of a search that has not ended, and how much of it is done; from the study's files and its records."""
    evaluation, ended = space["evaluation"], [record for _, record in found.trials if record is not None]
    budget = max(space["budget"]["trials"], len(ended))
    if found.baseline is None:
        names = [name.removeprefix("baseline/") for name in files if name.startswith("baseline/")]
        done = sum(network_index(name) is not None for name in names)
        return "baseline", done, evaluation["baseline_networks"]
    methods = [space["method"]] if "method" in space else space["methods"]
    if not found.trials and any(issubclass(method_configs()[method["name"]], ExpertFields) for method in methods):
        return "experts", None, None
    networks = Counter(name.partition("/confirm-")[0] for name in files if "/confirm-" in name)
    confirming = [
        networks[folder]
        for folder in (f"trials/{record.trial_id}" for record in ended if record.state == "finished")
        if networks[folder] and f"{folder}/{CONFIRMATION_FILE}" not in files
    ]
    if len(ended) == len(found.trials) and (confirming or len(ended) == budget):
        return "confirmation", confirming[-1] if confirming else 0, evaluation["confirm_networks"]
    return "trials", len(ended), budget


def _seconds_left(records: Sequence[TrialRecord], running: Sequence[OpenTrial], budget: int) -> float | None:
    taken = [r.cost.seconds for r in records if r.cost]
    if not taken or not running:
        return None
    begun = sum(trial.fraction or 0.0 for trial in running)
    return statistics.mean(taken) * max(0.0, budget - len(records) - begun) / len(running)


def _files(study: Store) -> dict[str, datetime]:
    """When each file of a study was last written, by its path in the study, from one listing; temporary files are left out."""
    with study.reading(".") as (filesystem, path):
        found = filesystem.find(path, detail=True).items()
    return {
        name.removeprefix(f"{path.rstrip('/')}/"): _moment(info)
        for name, info in found
        if not name.rpartition("/")[2].startswith(".")
    }


def _moment(info: Mapping[str, Any]) -> datetime:
    """When a file was written, by the name that its file system has for it."""
    moment = next(info[key] for key in ("mtime", "LastModified", "created") if key in info)
    return moment.astimezone(UTC) if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
