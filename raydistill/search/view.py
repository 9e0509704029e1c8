"""`study.db`: the trials as Optuna's tools read them, above all optuna-dashboard. Nothing that chooses a trial reads it.

The solver keeps an Optuna study of its own in memory, whose values are what samplers expect. This one is for people:

- Its metric is `lossless_ipc`: the trial's images per class if its set counts as lossless, infinite if not. The plain IPC, with
  lossless or not as a constraint, would be the natural form, but optuna-dashboard 0.21 names the best trial by
  `storage.get_best_trial`, which knows no constraints, so a smaller set that is not lossless would be the best. IPC itself is
  among the parameters.
- Constraints are gap minus margin and, once the search has its result, whether the result passes the trial over. They are
  written twice: by name, as Optuna 5 does, and as the list `constraints` of Optuna before 5, because optuna-dashboard 0.21 reads
  that alone.
- The intermediate values are the gaps of the readings. A pruned trial has no value: `Study.tell` would give it its last gap,
  a number of another kind than the metric.
- Pictures are artefacts in the layout of `optuna.artifacts.FileSystemArtifactStore`, in `<study>/artifacts`; an id is the
  trial's, so that a study that is rebuilt uses the files that are there. `upload_artifact` would write them anew each time.
- The note has the format of `optuna_dashboard.save_note`, written without that package, so that a study's note does not depend
  on what is installed where the search ran.
"""

from __future__ import annotations

import functools
import json
import math
import os
import sqlite3
import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from raydistill.search.outcome import Outcome, read_outcome
from raydistill.search.rows import TrialRows
from raydistill.search.sampler import config_parameters
from raydistill.search.snapshot import Snapshot
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.spaces.units import looked_before
from raydistill.storage.layout import PICTURE_FILE, trial_file
from raydistill.storage.record import TrialRecord
from raydistill.storage.result import SearchResult
from raydistill.storage.store import Store

METRIC = "lossless_ipc"
ARTIFACTS = "artifacts"
NOTE_PART = 2045
"""Characters of a note in one attribute, as optuna-dashboard splits it."""
LEGEND = (
    f"`{METRIC}` is the images per class of a set that counts as lossless, and infinite for any other set. The constraints are "
    "the gap minus the margin and, when the search has ended, whether its verdict passes the trial over: not confirmed, or not "
    "the winner, at the winner's IPC or below. The intermediate values are the gaps at the readings, as fractions, on the select "
    "images. The hyper-parameter importance of this dashboard is that of a number which IPC alone determines, and means "
    "nothing: `raydistill report` computes it for the gap, method by method."
)
RUNNING_NOTE = (
    "The search has no result yet: the best trial is the smallest set that reads within the margin so far, not confirmed."
)


class StudyView:
    """Writes the Optuna study on the driver's disk, and copies it to the study's folder. Not thread-safe."""

    def __init__(self, space: SearchSpace, study: Store, database: Path) -> None:
        """Prepare the study; `rebuild` writes it.

        Args:
            space: the search space.
            study: the study's folder, which receives the copies and the pictures.
            database: file on this machine's own disk; an existing file is replaced.
        """
        self._space = space
        self._folder = study
        self._database = database
        self._snapshot = Snapshot(database, study)
        self._storage: tuple[RDBStorage, int] | None = None
        """With Optuna's id of the study."""
        self._running: dict[int, int] = {}
        """Optuna's id of a running trial, by ask number; `_waiting` has those that wait."""
        self._waiting: dict[int, int] = {}

    def rebuild(
        self,
        configs: Mapping[int, TrialConfig[Any]],
        records: Mapping[int, TrialRecord],
        result: SearchResult | None = None,
    ) -> None:
        """Write the study from the records, replace the old file atomically, and copy it; trials without a record wait.

        Args:
            configs: of all trials, by ask number.
            records: of the ended ones, by ask number.
            result: of the search; None while it runs.
        """
        self.close()
        self._database.parent.mkdir(parents=True, exist_ok=True)
        new = self._database.with_name(f".{self._database.name}.new")
        _delete(new)
        storage = _open(new)
        study = optuna.create_study(storage=storage, study_name=self._space.study, direction="minimize")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # the attribute that it writes is what the dashboard reads
            study.set_metric_names([METRIC])
        study_id = storage.get_study_id_from_name(self._space.study)
        _write_note(storage, study_id, note_of(result))
        pictures = set(self._folder.files(ARTIFACTS)) if self._folder.is_local else set()
        rows = TrialRows(study, storage)
        for number, config in sorted(configs.items()):
            if number in records:
                picture = self._picture(records[number], pictures)
                rows.add(self._as_frozen(config, records[number], result, picture))
            else:
                rows.flush()
                study.enqueue_trial(config_parameters(self._space, config)[0], user_attrs={"ask_number": number})
        rows.flush()
        if result is not None and result.winner_trial_id is not None:
            winner = next(record for record in records.values() if record.trial_id == result.winner_trial_id)
            for key, meta in self._picture(winner, pictures).items():
                storage.set_study_system_attr(study_id, key, meta)
        waiting = storage.get_all_trials(study_id, deepcopy=False, states=(TrialState.WAITING,))
        id_of = partial(storage.get_trial_id_from_study_id_trial_number, study_id)
        self._waiting = {trial.user_attrs["ask_number"]: id_of(trial.number) for trial in waiting}
        _let_go(storage)
        # SQLite would roll the journal of a killed process back into the new file.
        _delete(self._database)
        os.replace(new, self._database)
        self._snapshot.copy()

    def ask(self, config: TrialConfig[Any]) -> None:
        """Add a running trial; one that waited takes its place."""
        storage, study_id = self._opened()
        params, found = config_parameters(self._space, config)
        if config.ask_number not in self._waiting:
            attrs = {"ask_number": config.ask_number, "trial_id": config.trial_id}
            running = optuna.trial.create_trial(state=TrialState.RUNNING, params=params, distributions=found, user_attrs=attrs)
            self._running[config.ask_number] = storage.create_new_trial(study_id, running)
            return
        trial = self._waiting.pop(config.ask_number)
        storage.set_trial_state_values(trial, TrialState.RUNNING)
        storage.set_trial_user_attr(trial, "trial_id", config.trial_id)
        for name, value in params.items():
            storage.set_trial_param(trial, name, found[name].to_internal_repr(value), found[name])
        self._running[config.ask_number] = trial

    def tell(self, record: TrialRecord) -> None:
        """End a running trial as its record says."""
        storage, _ = self._opened()
        trial = self._running.pop(record.ask_number)
        outcome = self._outcome(record)
        for name, note in outcome.notes.items():
            storage.set_trial_user_attr(trial, name, note)
        for name, value in self._attributes(record, outcome, None, self._picture(record, None)).items():
            storage.set_trial_system_attr(trial, name, value)
        for step, gap in _gaps(record).items():
            storage.set_trial_intermediate_value(trial, step, gap)
        value = _value(record, outcome, None)
        storage.set_trial_state_values(trial, outcome.state, None if value is None else [value])
        self._snapshot.copy_if_due()

    def close(self) -> None:
        """Let the database go."""
        if self._storage is not None:
            _let_go(self._storage[0])
        self._storage = None
        self._running.clear()
        self._waiting.clear()

    def _opened(self) -> tuple[RDBStorage, int]:
        if self._storage is None:
            storage = _open(self._database)
            self._storage = storage, storage.get_study_id_from_name(self._space.study)
        return self._storage

    def _outcome(self, record: TrialRecord) -> Outcome:
        return read_outcome(record, self._space.goal.margin_fraction)

    def _as_frozen(
        self, config: TrialConfig[Any], record: TrialRecord, result: SearchResult | None, picture: Mapping[str, str]
    ) -> optuna.trial.FrozenTrial:
        outcome = self._outcome(record)
        params, found = config_parameters(self._space, config)
        trial = optuna.trial.create_trial(
            state=outcome.state,
            value=_value(record, outcome, result),
            params=params,
            distributions=found,
            user_attrs={"ask_number": config.ask_number, "trial_id": config.trial_id, **outcome.notes},
            system_attrs=self._attributes(record, outcome, result, picture),
            intermediate_values=_gaps(record),
        )
        # Optuna stores local times without a time zone.
        trial.datetime_start = datetime.fromisoformat(record.started_at).astimezone().replace(tzinfo=None)
        seconds = record.cost.seconds if record.cost else 0.0
        trial.datetime_complete = trial.datetime_start + timedelta(seconds=seconds)
        return trial

    def _attributes(
        self, record: TrialRecord, outcome: Outcome, result: SearchResult | None, picture: Mapping[str, str]
    ) -> dict[str, Any]:
        constraints = _constraints(record, outcome, result)
        if not constraints:
            return dict(picture)
        named = {f"constraints:{name}": value for name, value in constraints.items()}
        return {"constraints": list(constraints.values()), **named, **picture}

    def _picture(self, record: TrialRecord, there: set[str] | None) -> dict[str, str]:
        """The attribute of a finished trial's picture, whose file is written if it is not there; none where there is no picture.

        `there` are the artefacts known to exist; None asks the disk. optuna-dashboard reads artefacts of a local folder only
        where it runs itself, so a study in an object store has none.
        """
        if record.state != "finished" or not self._folder.is_local:
            return {}
        name = f"{ARTIFACTS}/{record.trial_id}"
        if record.trial_id not in there if there is not None else not self._folder.exists(name):
            picture = self._folder.read_or_none(trial_file(record.trial_id, PICTURE_FILE))
            if picture is None:
                return {}
            self._folder.write(name, picture)
        meta = {"artifact_id": record.trial_id, "filename": f"trial-{record.ask_number}.png"}
        return {f"artifacts:{record.trial_id}": json.dumps({**meta, "mimetype": "image/png", "encoding": None})}


def note_of(result: SearchResult | None) -> str:
    """The note of the study, as Markdown: what the search found, and how to read the study in optuna-dashboard."""
    if result is None:
        return f"{RUNNING_NOTE}\n\n{LEGEND}\n"
    said = [f"**{result.in_short}**: {result.reason}"]
    if result.finding is not None:
        said.append(f"**Finding**: {result.finding.sentence}")
    if result.earlier_looks:
        said.append(f"Note: {looked_before(result.earlier_looks)}.")
    if result.winner_trial_id is not None:
        said.append(f"The winner is trial `{result.winner_trial_id}`.")
    return "\n\n".join([*said, LEGEND]) + "\n"


def is_passed_over(record: TrialRecord, result: SearchResult) -> bool:
    """Whether a verdict passes over a trial whose IPC is not above the winner's; without a winner it passes over all."""
    if result.smallest_lossless_ipc is None:
        return True
    return record.ipc <= result.smallest_lossless_ipc and record.trial_id != result.winner_trial_id


def _constraints(record: TrialRecord, outcome: Outcome, result: SearchResult | None) -> dict[str, float]:
    if outcome.constraint is None:
        return {}
    return {"gap": outcome.constraint} | ({} if result is None else {"passed_over": float(is_passed_over(record, result))})


def _value(record: TrialRecord, outcome: Outcome, result: SearchResult | None) -> float | None:
    if outcome.state != TrialState.COMPLETE:
        return None
    return outcome.value if all(value <= 0 for value in _constraints(record, outcome, result).values()) else math.inf


def _gaps(record: TrialRecord) -> dict[int, float]:
    return {reading.step: reading.gap for reading in record.readings}


def _write_note(storage: RDBStorage, study_id: int, text: str) -> None:
    storage.set_study_system_attr(study_id, "dashboard:note_ver", 1)
    for number, start in enumerate(range(0, len(text), NOTE_PART)):
        storage.set_study_system_attr(study_id, f"dashboard:note_str:{number}", text[start : start + NOTE_PART])


def _open(database: Path) -> RDBStorage:
    """Optuna's storage in a file of this machine's own disk, which nobody needs after a power cut: the records make it again."""
    if not database.exists():
        database.write_bytes(_empty())
    options = {"connect_args": {"factory": _without_waiting}}
    # The file was written a moment ago by this version of Optuna, so its schema needs no check.
    return RDBStorage(f"sqlite:///{database.absolute()}", engine_kwargs=options, skip_compatibility_check=True)


@functools.cache
def _empty() -> bytes:
    """A file with Optuna's tables and no study, made once: for a new file Optuna reads all the migrations from its older ones."""
    storage = RDBStorage("sqlite:///:memory:", skip_compatibility_check=True)
    connection = storage.engine.raw_connection()
    try:
        return connection.driver_connection.serialize()  # type: ignore[union-attr,no-any-return]
    finally:
        connection.close()
        _let_go(storage)


def _without_waiting(*given: Any, **named: Any) -> sqlite3.Connection:
    # Each trial is several transactions, and a disk takes longer to confirm one than Optuna to make it.
    connection = sqlite3.Connection(*given, **named)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = MEMORY")
    return connection


def _let_go(storage: RDBStorage) -> None:
    storage.remove_session()
    storage.engine.dispose()


def _delete(database: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
