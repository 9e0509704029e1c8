"""One run of Ray Tune: configs out, readings and records back. Tune decides nothing and its results are not read.

A record in the study is the only result. Early stopping is the trial's own, so no scheduler is used; what Tune writes of the run
is scratch in a temporary folder.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from raydistill.errors import NodeError
from raydistill.search.on_ray.trial_process import REFUSED, DistillTrial
from raydistill.search.on_ray.waiting import Waiting
from raydistill.search.solver import Solver
from raydistill.search.watcher import Watcher
from raydistill.spaces.sections import ResourcesConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import FINAL_STATES, Reading, TrialRecord, read_record, write_record
from raydistill.storage.store import Store
from raydistill.trial.run import crashed_record

LOST_BEFORE_CRASHED = 1
"""Times that a trial whose process was lost is run again from its checkpoint; a trial that raised is not."""


def run_with_tune(
    solver: Solver,
    study: Store,
    data_root: DataRoot,
    watcher: Watcher,
    resources: ResourcesConfig,
    at_once: int,
    waiting: Waiting,
    question: str | None,
) -> None:
    """Ask, run on the cluster, tell, until the solver gives no more.

    Args:
        solver: asked and told in this process.
        study: the study's folder, seen by every node.
        data_root: folder or URI of the data files, on every node.
        watcher: told what happens.
        resources: of one trial.
        at_once: trials at once.
        waiting: told how many trials wait for a place.
        question: what each trial's process asks of its node first (`probe.refusal`); None asks nothing.

    Raises:
        NodeError: a node that joined later cannot work for the study.
    """
    common = {
        "study": study.root,
        "data_root": None if data_root is None else str(data_root),
        "question": question,
        "cpus": resources.cpus_per_trial,
        "gpus": resources.gpus_per_trial,
        "chosen": sorted(solver.space.ranges),
    }
    searcher = SolverSearcher(solver, common, watcher)
    messenger = Messenger(searcher, study, watcher, waiting)
    with tempfile.TemporaryDirectory(prefix="raydistill-tune-", ignore_cleanup_errors=True) as scratch:
        tuner = tune.Tuner(
            DistillTrial,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=solver.remaining,
                max_concurrent_trials=at_once,
                reuse_actors=False,  # why: see `trial_process`
                trial_name_creator=_trial_id,
                trial_dirname_creator=_trial_id,
            ),
            run_config=tune.RunConfig(
                name=solver.space.study,
                storage_path=scratch,
                failure_config=tune.FailureConfig(max_failures=LOST_BEFORE_CRASHED),
                callbacks=[messenger],
                verbose=0,
            ),
        )
        tuner.fit()
    messenger.end_what_tune_forgot()


class SolverSearcher(Searcher):
    """Tune's way to ask. Told nothing: `Messenger` tells the solver, because only there the cause of an error is known."""

    def __init__(self, solver: Solver, common: dict[str, Any], watcher: Watcher) -> None:
        """Ask `solver`, tell `watcher` of each ask; `common` goes into every Tune config."""
        super().__init__()
        self.solver = solver
        self.configs: dict[str, TrialConfig[Any]] = {}
        """By Tune's trial id."""
        self._common = common
        self._watcher = watcher

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]  # Ray leaves FINISHED out
        """The next trial as a Tune config, or that there is none."""
        config = self.solver.ask()
        if config is None:
            return Searcher.FINISHED
        self.configs[trial_id] = config
        self._watcher.trial_asked(config)
        return {**self._common, "trial_id": config.trial_id, "trial": config.canonical_json()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: see `Messenger`."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a search continues from its records."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a search continues from its records."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Messenger(tune.Callback):
    """Carries what Tune learns of trials to the solver and the watcher.

    Ends are put off to the end of Tune's step, before the next ask: an error raised there reaches the caller, anywhere else Tune
    takes it for the trial's.
    """

    def __init__(self, searcher: SolverSearcher, study: Store, watcher: Watcher, waiting: Waiting) -> None:
        """Tell the searcher's solver, the watcher, and who watches for trials that wait."""
        self._waiting = waiting
        self._searcher = searcher
        self._study = study
        self._watcher = watcher
        self._refused: str | None = None
        """Why a node cannot work for the study."""
        self._ended: list[tuple[TrialConfig[Any], str | None]] = []
        """With the cause, if Tune says that it was an error."""

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Pass a start on."""
        self._watcher.trial_started(self._searcher.configs[trial.trial_id])

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any) -> None:
        """Pass a reading or a step on, or remember a refusal."""
        if REFUSED in result:
            self._refused = result[REFUSED]
            return
        config = self._searcher.configs[trial.trial_id]
        if "fraction" not in result:
            self._watcher.step(config, result["step"], result["steps"])
            return
        reading = Reading.model_validate({name: result[name] for name in Reading.model_fields})
        self._watcher.reading(config, reading)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say that a trial is run again."""
        config = self._searcher.configs[trial.trial_id]
        self._watcher.note(f"trial {config.ask_number} ({config.trial_id}) is run again from its checkpoint: {_last_line(trial)}")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note an end."""
        self._ended.append((self._searcher.configs[trial.trial_id], None))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note an end by error."""
        self._ended.append((self._searcher.configs[trial.trial_id], _error_text(trial)))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Tell the solver of trials that ended, and of those that have no place yet; end the search if a node refused one."""
        if self._refused is not None:
            raise NodeError(self._refused)  # which costs no trial of the budget
        self._waiting.look(sum(trial.status == Trial.PENDING for trial in trials))
        while self._ended:
            self._end(*self._ended.pop(0))

    def end_what_tune_forgot(self) -> None:
        """End trials of which Tune gave up without a word."""
        for config in self._searcher.solver.running:
            self._end(config, "Ray Tune ended the trial without saying why")

    def _end(self, config: TrialConfig[Any], cause: str | None) -> None:
        record = self._record(config, cause)
        self._searcher.solver.tell(record)
        self._watcher.trial_ended(record)

    def _record(self, config: TrialConfig[Any], cause: str | None) -> TrialRecord:
        """The trial's own record; if its process was lost, one that says so."""
        record = read_record(self._study, config.trial_id)
        # A crashed record beside an error of Tune's is of an earlier search.
        if record is None or (cause is not None and record.state not in FINAL_STATES):
            record = crashed_record(config, cause or "the trial ended without a record")
            write_record(self._study, record)
        return record

    def __getstate__(self) -> dict[str, Any]:
        return {}


def _trial_id(trial: Trial) -> str:
    return str(trial.config["trial_id"])


def _error_text(trial: Trial) -> str:
    path = trial.error_file
    if path and os.path.exists(path):
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    return "the trial's process was lost"


def _last_line(trial: Trial) -> str:
    return _error_text(trial).rpartition("\n")[2].strip()
