"""`study.db` has the same rows whether Optuna writes every trial, as it can, or `rows` most of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import optuna
import pytest
from made_up import record, space
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from raydistill.search import rows
from raydistill.search.rows import TrialRows
from raydistill.search.view import StudyView
from raydistill.storage.store import Store

FOUND = {
    "arm": CategoricalDistribution(["a", "é"]),
    "ipc": IntDistribution(1, 60, log=True),
    "lr": FloatDistribution(0.1, 10.0, log=True),
}
ENDS: list[tuple[TrialState, float | None]] = [
    (TrialState.COMPLETE, 16.0),
    (TrialState.COMPLETE, float("inf")),
    (TrialState.PRUNED, None),
    (TrialState.FAIL, None),
]


def ended(number: int) -> FrozenTrial:
    """A trial of one of four kinds, with what records can have in them, and more."""
    state, value = ENDS[number % 4]
    trial = create_trial(
        state=state,
        value=value,
        params={"arm": "aé"[number % 2], "ipc": 1 + number, "lr": 0.1 * (1 + number)},
        distributions=FOUND,
        user_attrs={"ask_number": number, "error": 'the "loss" is\nnan: é', "gap": 0.1 / (1 + number)},
        system_attrs={"constraints": [0.1, -0.2]} if number % 3 else {},
        intermediate_values={0: 0.4, 9: (0.1, float("nan"), float("inf"), float("-inf"))[number % 4]} if number > 5 else {},
    )
    trial.datetime_start = datetime(2026, 7, 1, 12, number, 3, 999)
    trial.datetime_complete = datetime(2026, 7, 1, 13, number)
    return trial


def written(file: Path, add: Callable[[optuna.Study, RDBStorage], None]) -> list[str]:
    """All tables of a file in which `add` puts trials, as SQL."""
    storage = RDBStorage(f"sqlite:///{file}")
    add(optuna.create_study(storage=storage, study_name="made-up", direction="minimize"), storage)
    storage.engine.dispose()
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def by_optuna(study: optuna.Study, storage: RDBStorage) -> None:
    for number in range(30):
        study.add_trial(ended(number))


def by_rows(study: optuna.Study, storage: RDBStorage) -> None:
    added = TrialRows(study, storage)
    for number in range(30):
        added.add(ended(number))
    added.flush()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[FrozenTrial]:
    """The trials that Optuna writes itself."""
    found, own = [], optuna.Study.add_trial

    def add_trial(study: optuna.Study, trial: FrozenTrial) -> None:
        found.append(trial)
        own(study, trial)

    monkeypatch.setattr(optuna.Study, "add_trial", add_trial)
    return found


def test_the_file_is_the_one_that_optuna_writes(tmp_path: Path) -> None:
    assert written(tmp_path / "rows.db", by_rows) == written(tmp_path / "optuna.db", by_optuna)


def test_with_this_version_optuna_writes_only_the_first_trial_of_each_kind(tmp_path: Path, counted: list[FrozenTrial]) -> None:
    written(tmp_path / "rows.db", by_rows)
    assert [trial.user_attrs["ask_number"] for trial in counted] == [0, 1, 2, 3]


def test_where_optuna_stores_a_trial_in_another_way_it_writes_them_all(
    tmp_path: Path, counted: list[FrozenTrial], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = written(tmp_path / "optuna.db", by_optuna)
    counted.clear()
    monkeypatch.setattr(rows, "_time", str)
    assert written(tmp_path / "rows.db", by_rows) == expected
    assert len(counted) == 30


def test_where_optuna_has_a_table_more_it_writes_all_trials(tmp_path: Path, counted: list[FrozenTrial]) -> None:
    def add(study: optuna.Study, storage: RDBStorage) -> None:
        with storage.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE trial_notes (trial_id INTEGER, note TEXT)")
        by_rows(study, storage)

    written(tmp_path / "rows.db", add)
    assert len(counted) == 30


def test_a_study_has_the_same_view_with_trials_that_wait_between_those_that_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm, configs, records = space().arms[0], {}, {}
    for number in range(12):
        values = {"ipc": 1 + number, "method.lr_images": 1.0, "method.random_inits": 15, "method.init": "real"}
        configs[number] = arm.trial(ask_number=number, values=values, data_sha256="d" * 64)
        if number not in (5, 9):
            records[number] = record(configs[number], 0.001 * number)
    seen = []
    for name in ("rows", "optuna"):
        StudyView(space(), Store(str(tmp_path / name)), tmp_path / f"{name}.db").rebuild(configs, records)
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
            seen.append(list(connection.iterdump()))
            states = connection.execute("SELECT number, state FROM trials ORDER BY trial_id").fetchall()
        assert states == [(number, "COMPLETE" if number in records else "WAITING") for number in range(12)]
        monkeypatch.setattr(TrialRows, "add", lambda self, trial: self._study.add_trial(trial))
    assert seen[0] == seen[1]
