"""Trials as rows of Optuna's SQLite file, many in one transaction.

Optuna's `add_trial` sends about thirty statements per trial, which takes 10 ms: most of the start of a search with many records.
The rows here are the ones that it writes. Optuna itself writes the first trial of each kind, and the rows of that trial are
compared with ours. Where they differ, as with a version of Optuna that stores trials in another way, Optuna writes the other
trials of that kind too, at its own pace.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from optuna import Study
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

if TYPE_CHECKING:
    from sqlalchemy import Connection

COLUMNS = {
    "trials": ("trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"),
    "trial_values": ("trial_id", "objective", "value", "value_type"),
    "trial_params": ("trial_id", "param_name", "param_value", "distribution_json"),
    "trial_user_attributes": ("trial_id", "key", "value_json"),
    "trial_system_attributes": ("trial_id", "key", "value_json"),
    "trial_intermediate_values": ("trial_id", "step", "intermediate_value", "intermediate_value_type"),
}
"""Of the tables with a trial's rows; all but the first begin with a number of their own, which SQLite counts up."""
OTHER_TABLES = {
    "alembic_version",
    "studies",
    "study_directions",
    "study_system_attributes",
    "study_user_attributes",
    "trial_heartbeats",
    "version_info",
}
"""Of Optuna's schema, without a row of a trial that ended."""
Rows = dict[str, list[tuple[Any, ...]]]
"""By table; each row has the values of `COLUMNS`."""


class TrialRows:
    """Adds ended trials to a study in a new SQLite file. Not thread-safe; nobody else may write the file."""

    def __init__(self, study: Study, storage: RDBStorage) -> None:
        """For one study, which has the file `storage` for itself."""
        self._study = study
        self._study_id = storage.get_study_id_from_name(study.study_name)
        self._storage = storage
        self._pending: list[FrozenTrial] = []
        self._as_ours: set[Hashable] = set()
        """Kinds of trials whose rows, written by Optuna, were ours."""

    def add(self, trial: FrozenTrial) -> None:
        """Add an ended trial of one objective; `flush` writes it at the latest."""
        kind = _kind(trial)
        if kind in self._as_ours:
            self._pending.append(trial)
            return
        self.flush()
        self._study.add_trial(trial)
        with self._storage.engine.connect() as connection:
            number = _count(connection)
            if _tables(connection) == set(COLUMNS) | OTHER_TABLES and _written(connection, number) == self._rows(trial, number):
                self._as_ours.add(kind)

    def flush(self) -> None:
        """Write the trials that were added; to be called before anyone else adds or reads one."""
        if not self._pending:
            return
        with self._storage.engine.begin() as connection:
            first = _count(connection) + 1
            many = [self._rows(trial, number) for number, trial in enumerate(self._pending, start=first)]
            for table, columns in COLUMNS.items():
                rows = [row for one in many for row in one[table]]
                places = ", ".join("?" * len(columns))
                if rows:
                    connection.exec_driver_sql(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)
        self._pending.clear()

    def _rows(self, trial: FrozenTrial, trial_id: int) -> Rows:
        times = (_time(trial.datetime_start), _time(trial.datetime_complete))
        params = [
            (trial_id, name, found.to_internal_repr(trial.params[name]), distribution_to_json(found))
            for name, found in trial.distributions.items()
        ]
        return {
            "trials": [(trial_id, trial_id - 1, self._study_id, trial.state.name, *times)],
            "trial_values": [] if trial.value is None else [(trial_id, 0, *_number(trial.value))],
            "trial_params": params,
            "trial_user_attributes": [(trial_id, key, json.dumps(value)) for key, value in trial.user_attrs.items()],
            "trial_system_attributes": [(trial_id, key, json.dumps(value)) for key, value in trial.system_attrs.items()],
            "trial_intermediate_values": [(trial_id, step, *_number(value)) for step, value in trial.intermediate_values.items()],
        }


def _kind(trial: FrozenTrial) -> Hashable:
    """Trials of one kind are stored alike: same state, same form of value, same parameters."""
    return trial.state, None if trial.value is None else math.isinf(trial.value), tuple(trial.params)


def _time(local: datetime | None) -> str:
    assert local is not None
    return local.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _number(value: float) -> tuple[float | None, str]:
    if math.isnan(value):
        return None, "NAN"
    if math.isinf(value):
        return None, "INF_POS" if value > 0 else "INF_NEG"
    return value, "FINITE"


def _count(connection: Connection) -> int:
    """Trials so far: Optuna's number of the next trial, and its id of the last one, as the file holds one study."""
    return int(connection.exec_driver_sql("SELECT count(*) FROM trials").scalar_one())


def _tables(connection: Connection) -> set[str]:
    return set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())


def _written(connection: Connection, trial_id: int) -> Rows:
    """All columns of a trial's rows but the number of a row of its own."""
    found: Rows = {}
    for table in COLUMNS:
        rows = connection.exec_driver_sql(f"SELECT * FROM {table} WHERE trial_id = {trial_id} ORDER BY rowid").fetchall()
        found[table] = [tuple(row) if table == "trials" else tuple(row)[1:] for row in rows]
    return found
