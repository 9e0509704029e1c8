"""Proposes trials and receives their records, in search of the smallest IPC whose set the confirmation finds lossless. No Ray.

As in Optuna, `ask` proposes the next trial and `tell` receives its record. An Optuna sampler chooses the trial (`sampler`): a law
of the gap fitted to the ended trials, or one of Optuna's own. A proposal depends only on the study's seed, the number of the
trial (ask number), the budget and the records received so far, so a search that is killed and restarted continues as if it had
not been interrupted. With several workers the records received so far depend on the order in which trials end, so two searches
with the same seed may differ.

The records are authoritative; the Optuna study, in memory, is made from them when a search starts. It has one objective, IPC,
and one constraint, gap minus margin; it has no intermediate values, because Optuna's TPE would rank stopped trials by them and
`Study.tell` would make the last one the value of a stopped trial, in another unit than IPC. `study.db` (see `view`) is a second
study, for people and Optuna's tools.

`raydistill bench solver` compares this solver with the published grid, bisection, random search, Optuna's samplers and Ray Tune's
own search, on simulated problems with a known solution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import InMemoryStorage

from raydistill.search.allowance import Allowance
from raydistill.search.distributions import field, from_parameter
from raydistill.search.ladder import Rung, ladder
from raydistill.search.law import LawModel
from raydistill.search.outcome import read_outcome
from raydistill.search.proposal import Aim, model_of
from raydistill.search.sampler import ARM, EndedTrials, config_parameters, sampler_of, suggest
from raydistill.search.view import StudyView
from raydistill.spaces.space import Arm, SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.layout import CONFIG_FILE, trial_file
from raydistill.storage.record import FINAL_STATES, TrialRecord, read_trials
from raydistill.storage.result import SearchResult
from raydistill.storage.store import Store


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
            database: file for the Optuna study that others read, on this machine's own disk; an existing file is replaced.
                Copied to the study's folder at the start, from time to time, and at the end.
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
        trials = read_trials(study, {arm.method: arm.method_config for arm in space.arms})
        self._configs = {config.ask_number: config for config, _ in trials}
        self._records = {r.ask_number: r for _, r in trials if r is not None and r.state in FINAL_STATES}
        for record in self._records.values():
            self._allowance.count(record)
        self._waiting = [number for number in self._configs if number not in self._records]
        self._cut_off = {config.ask_number for config, record in trials if record is None}
        """Trials that ran when an earlier search ended."""
        self._next = 0
        """All smaller numbers have a config."""
        self._running: dict[int, optuna.Trial] = {}
        self._study = self._of_records()
        self._ended = EndedTrials(space)
        self._view = StudyView(space, study, database)
        self._view.rebuild(self._configs, self._records)

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
        """Number of trials that the budget still allows; once its hours are used up, of those that ran when a search ended."""
        return self._left(is_spent=self._allowance.is_spent())

    def ask(self) -> TrialConfig[Any] | None:
        """The next trial, or None if the budget is used up; its `config.json` is written before it can run.

        Trials that an earlier search proposed and did not finish come first.
        """
        is_spent = self._allowance.is_spent()
        if self._left(is_spent=is_spent) == 0:
            return None
        while is_spent and self._waiting[0] not in self._cut_off:  # it crashed, and waits for hours
            self._waiting.pop(0)
            self._study.ask()  # takes it out of the queue; it stays without an end, which no sampler reads
        self._allowance.start()
        if self._waiting:
            number = self._waiting.pop(0)
        else:
            while self._next in self._configs:
                self._next += 1
            number = self._next
            self._study.enqueue_trial(self._fixed(number), user_attrs={"ask_number": number})
        self._study.sampler = sampler_of(self.space, self._aim, number, self._work_at, self._ended)
        trial = self._study.ask()
        assert trial.user_attrs["ask_number"] == number
        arm, chosen = suggest(self.space, trial)
        if number not in self._configs:
            self._configs[number] = self._write(number, arm, chosen)
        config = self._configs[number]
        self._running[number] = trial
        self._view.ask(config)
        return config

    def tell(self, record: TrialRecord) -> None:
        """Receive the record of a proposed trial."""
        trial = self._running.pop(record.ask_number)
        self._records[record.ask_number] = record
        self._allowance.count(record)
        self._allowance.keep()
        outcome = read_outcome(record, self.space.goal.margin_fraction)
        for name, note in outcome.notes.items():
            trial.set_user_attr(name, note)
        if outcome.constraint is not None:
            trial.set_constraint("gap", outcome.constraint)
        self._study.tell(trial, outcome.value, state=outcome.state)
        self._view.tell(record)

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
        seen = self._ended.by_arm(self._study)
        finished = {label: arm[arm.is_finished].read for label, arm in seen.items()}
        best = min(self.space.arms, key=lambda arm: finished[arm.label].gap.min(initial=math.inf))
        others = [arm for label, arm in seen.items() if label != best.label]
        return model_of(seen[best.label], field(best), self._aim.margin, others)

    def close(self) -> None:
        """Write the Optuna study without running trials; trials without a record wait for the next search."""
        self._allowance.keep()
        self._waiting = sorted({*self._waiting, *self._running})
        self._running.clear()
        self._view.rebuild(self._configs, self._records)

    def show(self, result: SearchResult) -> None:
        """Write the Optuna study of a closed solver once more, with the search's result: its winner becomes the best trial."""
        self._view.rebuild(self._configs, self._records, result)

    def _left(self, *, is_spent: bool) -> int:
        left = max(0, self.space.budget.trials - len(self._records) - len(self._running))
        return min(left, len(self._cut_off.intersection(self._waiting))) if is_spent else left

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
        self._folder.write(trial_file(config.trial_id, CONFIG_FILE), config.to_file())
        return config

    def _of_records(self) -> optuna.Study:
        """The study that the samplers read: the ended trials, and those that wait."""
        study = optuna.create_study(storage=InMemoryStorage(), study_name=self.space.study, direction="minimize")
        for number, config in sorted(self._configs.items()):
            params, found = config_parameters(self.space, config)
            if number in self._records:
                outcome = read_outcome(self._records[number], self.space.goal.margin_fraction)
                ended = optuna.trial.create_trial(
                    state=outcome.state,
                    value=outcome.value,
                    params=params,
                    distributions=found,
                    user_attrs={"ask_number": number, **outcome.notes},
                    constraints=None if outcome.constraint is None else {"gap": outcome.constraint},
                )
                study.add_trial(ended)
            else:
                study.enqueue_trial(params, user_attrs={"ask_number": number})
        return study
