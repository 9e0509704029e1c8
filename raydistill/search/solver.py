"""Proposes trials and receives their records, in search of the smallest IPC whose set the confirmation finds lossless. No Ray.

As in Optuna, `ask` proposes the next trial and `tell` receives its record. An Optuna sampler chooses the trial (`sampler`): a law
of the gap fitted to the ended trials, or one of Optuna's own. A proposal depends only on the study's seed, the number of the
trial (ask number), the budget and the records received so far, so a search that is killed and restarted continues as if it had
not been interrupted. With several workers the records received so far depend on the order in which trials end, so two searches
with the same seed may differ.

The records are authoritative; the Optuna study in `study.db` is a copy for Optuna's tools, rebuilt when a search starts and ends.
It has one objective, IPC, and one constraint, gap minus margin.

`raydistill bench solver` compares this solver with the published grid, bisection, random search, Optuna's samplers and Ray Tune's
own search, on simulated problems with a known solution.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from raydistill.search.allowance import Allowance
from raydistill.search.distributions import field, from_parameter
from raydistill.search.ladder import Rung, ladder
from raydistill.search.law import LawModel
from raydistill.search.proposal import Aim, model_of
from raydistill.search.sampler import ARM, ENDED, config_parameters, sampler_of, seen_by_arm, suggest
from raydistill.search.snapshot import Snapshot
from raydistill.spaces.space import Arm, SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.record import FINAL_STATES, TrialRecord, read_trials
from raydistill.storage.store import Store


class Outcome(NamedTuple):
    """A record in Optuna's terms."""

    state: TrialState
    value: float | None
    constraint: float | None
    """Gap minus margin; at most 0 is feasible."""
    notes: dict[str, Any]
    """User attributes."""


class Solver:
    """Holds the trials of a search and proposes the next one. Not thread-safe."""

    def __init__(
        self,
        space: SearchSpace,
        study: Store,
        *,
        aim: Aim,
        data_sha256: str,
        database: Path,
        work: Callable[[TrialConfig[Any]], float] = lambda config: 0.0,
    ) -> None:
        """Continue a study from its records.

        Args:
            space: the search space.
            study: the study's folder.
            aim: the margin, and the expected noise of the confirmation.
            data_sha256: hash of the data with its split, for the configs.
            database: file for the Optuna study on this machine's own disk; an existing file is replaced. Copied to the study's
                folder at the start, from time to time, and at the end.
            work: images that pass through a network in a trial, the cost by which a race chooses; the same for all by default.

        Raises:
            StoreError: a record is damaged.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        self._aim = aim
        self._work = work
        self._allowance = Allowance(space.budget, space.resources.gpus_per_trial, study)
        self._folder = study
        self._data_sha256 = data_sha256
        self._database = database
        trials = read_trials(study, {arm.method: arm.method_config for arm in space.arms})
        self._configs = {config.ask_number: config for config, _ in trials}
        self._records = {r.ask_number: r for _, r in trials if r is not None and r.state in FINAL_STATES}
        self._waiting = [number for number in self._configs if number not in self._records]
        self._running: dict[int, optuna.Trial] = {}
        self._storage, self._study = self._rebuild()
        self._snapshot = Snapshot(database, study)
        self._snapshot.copy()

    @property
    def records(self) -> list[TrialRecord]:
        """Records of the ended trials, by ask number; a trial that crashed in an earlier run does not count as ended."""
        return [self._records[number] for number in sorted(self._records)]

    @property
    def running(self) -> list[TrialConfig[Any]]:
        """Trials that were proposed and whose record is not received yet, by ask number."""
        return [self._configs[number] for number in sorted(self._running)]

    @property
    def remaining(self) -> int:
        """Number of trials that the budget still allows; 0 once its hours are used up."""
        if self._allowance.is_spent(self._records.values()):
            return 0
        return max(0, self.space.budget.trials - len(self._records) - len(self._running))

    def ask(self) -> TrialConfig[Any] | None:
        """The next trial, or None if the budget is used up; its `config.json` is written before it can run.

        Trials that an earlier search proposed and did not finish come first.
        """
        if self.remaining == 0:
            return None
        self._allowance.start()
        if self._waiting:
            number = self._waiting.pop(0)
        else:
            number = next(n for n in range(len(self._configs) + 1) if n not in self._configs)
            self._study.enqueue_trial(self._fixed(number), user_attrs={"ask_number": number})
        self._study.sampler = sampler_of(self.space, self._aim, number, self._work_at)
        trial = self._study.ask()
        assert trial.user_attrs["ask_number"] == number
        arm, chosen = suggest(self.space, trial)
        if number not in self._configs:
            self._configs[number] = self._write(number, arm, chosen)
        config = self._configs[number]
        trial.set_user_attr("trial_id", config.trial_id)
        self._running[number] = trial
        return config

    def tell(self, record: TrialRecord) -> None:
        """Receive the record of a proposed trial."""
        trial = self._running.pop(record.ask_number)
        self._records[record.ask_number] = record
        self._allowance.keep()
        outcome = read_outcome(record, self.space.goal.margin_fraction)
        for name, note in outcome.notes.items():
            trial.set_user_attr(name, note)
        if outcome.constraint is not None:
            trial.set_constraint("gap", outcome.constraint)
        self._study.tell(trial, outcome.value, state=outcome.state)
        self._snapshot.copy_if_due()

    def candidates(self, *, are_controls: bool = False) -> list[TrialRecord]:
        """Finished trials of the methods, or of the controls, to confirm, in the order of their confirmation; see `ladder`."""
        side = {arm.label for arm in self.space.arms if arm.is_control == are_controls}
        rungs = [
            Rung(record.ipc, record.gap, number)
            for number, record in self._records.items()
            if record.gap is not None and self._configs[number].arm in side
        ]
        return [self._records[rung.number] for rung in ladder(rungs, self._aim.margin)]

    def law(self) -> LawModel:
        """The law of the gap of the arm with the smallest gap, fitted to its ended trials."""
        seen = seen_by_arm(self.space, self._study.get_trials(deepcopy=False, states=ENDED))
        gaps = {label: [s.gap for s in trials if s.is_finished and s.gap is not None] for label, trials in seen.items()}
        best = min(self.space.arms, key=lambda arm: min(gaps[arm.label], default=math.inf))
        others = [s for label, trials in seen.items() if label != best.label for s in trials]
        return model_of(seen[best.label], field(best), self._aim.margin, others)

    def close(self) -> None:
        """Write the Optuna study without running trials; trials without a record wait for the next search."""
        self._allowance.keep()
        self._waiting = sorted({*self._waiting, *self._running})
        self._running.clear()
        _let_go(self._storage)
        storage, _ = self._rebuild()
        _let_go(storage)
        self._snapshot.copy()

    def _fixed(self, number: int) -> dict[str, Any]:
        """Parameters that no sampler chooses: each arm has one of the first trials, whatever the sampler."""
        if not self.space.is_race or self.space.search.sampler == "law" or number >= len(self.space.arms):
            return {}
        return {ARM: self.space.arms[number].label}

    def _work_at(self, arm: Arm, chosen: Mapping[str, Any]) -> float:
        return self._work(self._trial(0, arm, chosen))

    def _trial(self, number: int, arm: Arm, chosen: Mapping[str, Any]) -> TrialConfig[Any]:
        values = {path: from_parameter(arm.ranges[path], parameter) for path, parameter in chosen.items()}
        return arm.trial(ask_number=number, values=values, data_sha256=self._data_sha256)

    def _write(self, number: int, arm: Arm, chosen: Mapping[str, Any]) -> TrialConfig[Any]:
        config = self._trial(number, arm, chosen)
        text = json.dumps(json.loads(config.canonical_json()), indent=2, sort_keys=True)
        self._folder.write(f"trials/{config.trial_id}/config.json", text + "\n")
        return config

    def _rebuild(self) -> tuple[RDBStorage, optuna.Study]:
        """Write the Optuna study from the records, replace the old file atomically, and open the new one."""
        self._database.parent.mkdir(parents=True, exist_ok=True)
        new = self._database.with_name(f".{self._database.name}.new")
        _delete(new)
        storage = _open(new, is_durable=False)
        study = optuna.create_study(storage=storage, study_name=self.space.study, direction="minimize")
        for number, config in sorted(self._configs.items()):
            if number in self._records:
                study.add_trial(self._as_frozen(config, self._records[number]))
            else:
                study.enqueue_trial(config_parameters(self.space, config)[0], user_attrs={"ask_number": number})
        _let_go(storage)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        # SQLite would roll the journal of a killed process back into the new file.
        _delete(self._database)
        os.replace(new, self._database)
        storage = _open(self._database)
        return storage, optuna.load_study(storage=storage, study_name=self.space.study)

    def _as_frozen(self, config: TrialConfig[Any], record: TrialRecord) -> optuna.trial.FrozenTrial:
        outcome = read_outcome(record, self.space.goal.margin_fraction)
        params, found = config_parameters(self.space, config)
        trial = optuna.trial.create_trial(
            state=outcome.state,
            value=outcome.value,
            params=params,
            distributions=found,
            user_attrs={"ask_number": config.ask_number, "trial_id": config.trial_id, **outcome.notes},
            constraints=None if outcome.constraint is None else {"gap": outcome.constraint},
        )
        # Optuna stores local times without a time zone.
        trial.datetime_start = datetime.fromisoformat(record.started_at).astimezone().replace(tzinfo=None)
        seconds = record.cost.distill_seconds + record.cost.evaluate_seconds if record.cost else 0.0
        trial.datetime_complete = trial.datetime_start + timedelta(seconds=seconds)
        return trial


def read_outcome(record: TrialRecord, margin_fraction: float) -> Outcome:
    """Convert a record for Optuna: a stopped trial becomes PRUNED with its last gap, a failed one FAIL with its cause."""
    gap = record.readings[-1].gap if record.readings else None
    if record.state == "finished" and gap is not None and math.isfinite(gap):
        return Outcome(TrialState.COMPLETE, float(record.ipc), gap - margin_fraction, {"gap": gap})
    if record.state == "pruned" and gap is not None and math.isfinite(gap):
        return Outcome(TrialState.PRUNED, None, gap - margin_fraction, {"gap": gap})
    cause = record.error or f"{record.state} with gap {gap}, which is not a finite number"
    return Outcome(TrialState.FAIL, None, None, {"cause": record.state, "error": cause})


def _open(database: Path, *, is_durable: bool = True) -> RDBStorage:
    """Optuna's storage in a file; one that is not durable leaves it to the caller to have the file written to the disk."""
    options = {} if is_durable else {"connect_args": {"factory": _without_waiting}}
    # The file was written a moment ago by this version of Optuna, so its schema needs no check.
    return RDBStorage(f"sqlite:///{database.absolute()}", engine_kwargs=options, skip_compatibility_check=True)


def _without_waiting(*given: Any, **named: Any) -> sqlite3.Connection:
    # Each trial that is added is a transaction, and a disk takes longer to confirm it than Optuna to make it.
    connection = sqlite3.Connection(*given, **named)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _let_go(storage: RDBStorage) -> None:
    storage.remove_session()
    storage.engine.dispose()


def _delete(database: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
