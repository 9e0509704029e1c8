"""Copies of the Optuna study in the study's folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from raydistill.search.snapshot import Snapshot
from raydistill.storage.store import Store


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("select count(*) from t").fetchone()[0])


def test_a_copy_is_whole_and_made_every_30_seconds_at_most(tmp_path: Path) -> None:
    """Rows 1, 2, 3 at seconds 0, 29, 30: the first is copied when asked, the second not yet, the third takes both along."""
    now = [0.0]
    snapshot = Snapshot(tmp_path / "own.db", Store(str(tmp_path / "study")), clock=lambda: now[0])
    copied = []
    with closing(sqlite3.connect(tmp_path / "own.db")) as connection:
        connection.execute("create table t (x)")
        for now[0] in (0.0, 29.0, 30.0):
            connection.execute("insert into t values (1)")
            connection.commit()
            snapshot.copy_if_due()
            copied.append(rows(tmp_path / "study/study.db"))
    assert copied == [1, 1, 3]
