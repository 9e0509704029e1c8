"""Copies the Optuna study from the driver's disk to the study's folder, where optuna-dashboard can open it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from raydistill.storage.layout import OPTUNA_FILE
from raydistill.storage.store import Store

EVERY_SECONDS = 30.0


class Snapshot:
    """Keeps `<study>/study.db` consistent and nearly up to date."""

    def __init__(self, database: Path, study: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare copies of `database` in the study's folder."""
        self._database = database
        self._study = study
        self._clock = clock
        self._copied_at = -EVERY_SECONDS

    def copy(self) -> None:
        """Copy the database in a consistent state, between two transactions."""
        with closing(sqlite3.connect(self._database)) as connection:
            self._study.write(OPTUNA_FILE, connection.serialize())
        self._copied_at = self._clock()

    def copy_if_due(self) -> None:
        """Copy the database if the last copy is older than `EVERY_SECONDS`."""
        if self._clock() - self._copied_at >= EVERY_SECONDS:
            self.copy()
