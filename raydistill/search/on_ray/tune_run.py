"""One run of Ray Tune, which only distributes trials: it makes no decisions, and its results are not read.

The record in the study is the only result of a trial. Trials stop early by themselves, so no scheduler is used; the files that
Tune writes are in a temporary folder.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from raydistill.errors import NodeError
from raydistill.search.distributions import parameters
from raydistill.search.on_ray.lifeline import Lifeline
from raydistill.search.on_ray.memory import KILLS, NODE, cause_of_loss
from raydistill.search.on_ray.trial_process import REFUSED, DistillTrial
from raydistill.search.on_ray.waiting import Waiting
from raydistill.search.on_ray.watchdog import Watchdog
from raydistill.search.watcher import Watcher
from raydistill.spaces.sections import ResourcesConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import FINAL_STATES, Reading, State, TrialRecord, read_progress, read_record, write_record
from raydistill.storage.scratch import scratch_folder
from raydistill.storage.store import Store
from raydistill.trial.endings import lost_record

if TYPE_CHECKING:
    from raydistill.search.solver import Solver

LOST_BEFORE_CRASHED = 1
"""How often a trial whose process was lost is run again from its checkpoint, counted anew whenever it has come further than at
its last loss; a trial that raised an error is not run again."""


def run_with_tune(
    solver: Solver,
    study: Store,
    data_root: DataRoot,
    watcher: Watcher,
    resources: ResourcesConfig,
    at_once: int,
    waiting: Waiting,
    question: str | None,
    lifeline: Lifeline,
) -> None:
    """Run the trials that the solver proposes on the cluster, and report their records to it, until it proposes no more.

    Args:
        solver: proposes trials, in this process.
        study: the study's folder, which every node can read and write.
        data_root: folder or URI of the data files, on every node.
        watcher: receives progress.
        resources: resources of one trial.
        at_once: number of trials at the same time.
        waiting: receives the number of trials that wait for resources.
        question: requirements that each trial's process checks first (`probe.refusal`); None checks nothing.
        lifeline: says whether Ray still runs.

    Raises:
        ClusterLostError: Ray has ended.
        NodeError: a node that joined later does not meet the requirements.
        StudyInUseError: the lease on the study is lost, or could not be renewed.
    """
    common = {
        "study": study.root,
        "data_root": None if data_root is None else str(data_root),
        "question": question,
        "most_hours": solver.space.budget.trial_hours,
        "cpus": resources.cpus_per_trial,
        "gpus": resources.gpus_per_trial,
    }
    searcher = SolverSearcher(solver, common, watcher)
    messenger = Messenger(searcher, study, watcher, waiting, lifeline, Watchdog(solver.space.budget))
    with scratch_folder() as scratch:
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
                storage_path=str(scratch),
                failure_config=tune.FailureConfig(max_failures=LOST_BEFORE_CRASHED),
                callbacks=[messenger],
                verbose=0,
            ),
        )
        tuner.fit()
    messenger.end_what_tune_forgot()


OUT_OF_MEMORY = ("running low on memory", "NODE_OUT_OF_MEMORY", "ray.exceptions.OutOfMemoryError")
"""What Ray's error of a process says that its memory monitor killed."""


class SolverSearcher(Searcher):
    """Passes the solver's proposals to Tune. `Messenger` reports the records, because only it knows the cause of an error."""

    def __init__(self, solver: Solver, common: dict[str, Any], watcher: Watcher) -> None:
        """Take trials from `solver` and report each to `watcher`; `common` becomes part of every Tune config."""
        super().__init__()
        self.solver = solver
        self.configs: dict[str, TrialConfig[Any]] = {}
        """Config by Tune's trial id."""
        self._common = common
        self._watcher = watcher

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]  # Ray leaves FINISHED out
        """The next trial as a Tune config, or `FINISHED`."""
        config = self.solver.ask()
        if config is None:
            return Searcher.FINISHED
        self.configs[trial_id] = config
        self._watcher.trial_asked(config)
        chosen = parameters(self.solver.space.arm(config.arm), config)
        return {**self._common, "trial_id": config.trial_id, "trial": config.canonical_json(), "chosen": chosen}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing; see `Messenger`."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a search continues from its records."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: a search continues from its records."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Messenger(tune.Callback):
    """Passes events of trials from Tune to the solver and the watcher.

    The end of a trial is handled at the end of Tune's step: an error raised there reaches the caller, while anywhere else Tune
    would treat it as an error of the trial.
    """

    def __init__(
        self,
        searcher: SolverSearcher,
        study: Store,
        watcher: Watcher,
        waiting: Waiting,
        lifeline: Lifeline,
        watchdog: Watchdog,
    ) -> None:
        """Report to the searcher's solver, the watcher and `waiting`.

        A lost lifeline ends the search; a trial of which the watchdog hears too little is ended.
        """
        self._waiting = waiting
        self._lifeline = lifeline
        self._watchdog = watchdog
        self._timed_out: dict[str, str] = {}
        """Why a trial was ended, by its id."""
        self._furthest: dict[str, int] = {}
        """The highest step that each trial has told, over all its processes."""
        self._lost_at: dict[str, int] = {}
        """What that was when its process was lost last."""
        self._kills_told: dict[str, dict[str, Any]] = {}
        """Last told by the latest process of each trial that runs; see `memory`."""
        self._searcher = searcher
        self._study = study
        self._watcher = watcher
        self._refused: str | None = None
        """Why a node does not meet the requirements, if one does not."""
        self._ended: list[tuple[TrialConfig[Any], str | None]] = []
        """Ended trials, each with the cause if Tune reports an error."""

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Report a start."""
        config = self._searcher.configs[trial.trial_id]
        self._kills_told.pop(config.trial_id, None)
        self._watchdog.started(config.trial_id)
        self._watcher.trial_started(config)

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any) -> None:
        """Report a reading or a step, or remember that a node refused."""
        if REFUSED in result:
            self._refused = result[REFUSED]
            return
        config = self._searcher.configs[trial.trial_id]
        self._watchdog.heard(config.trial_id, result.get("step"), result.get("steps"))
        self._note_step(trial, config.trial_id, result.get("step") or 0)
        if KILLS in result:
            self._kills_told[config.trial_id] = {KILLS: result[KILLS], NODE: result[NODE]}
        if "fraction" in result:
            reading = Reading.model_validate({name: result[name] for name in Reading.model_fields})
            self._watcher.reading(config, reading)
        elif "steps" in result:
            self._watcher.step(config, result["step"], result["steps"])

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Report that a trial is run again."""
        config = self._searcher.configs[trial.trial_id]
        self._lost_at[config.trial_id] = self._furthest.get(config.trial_id, 0)
        self._watcher.note(f"trial {config.ask_number} ({config.trial_id}) is run again from its checkpoint: {_last_line(trial)}")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note the end of a trial."""
        self._ended.append((self._searcher.configs[trial.trial_id], None))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note the end of a trial by an error."""
        self._ended.append((self._searcher.configs[trial.trial_id], _error_text(trial)))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Report ended and waiting trials; stop the search if a node refused a trial."""
        # First, because the trials that Ray lost with itself have not crashed.
        if any(cause is not None for _, cause in self._ended):
            self._lifeline.look_once()
        self._lifeline.check()
        if self._study.guard is not None:
            self._study.guard()  # trials that cannot write their records are not waited for
        if self._refused is not None:
            raise NodeError(self._refused)  # the refused trial does not count in the budget
        self._waiting.look(sum(trial.status == Trial.PENDING for trial in trials))
        while self._ended:
            self._end(*self._ended.pop(0))
        self._end_overdue(trials)

    def _note_step(self, trial: Trial, trial_id: str, step: int) -> None:
        """Have a trial that came further than at its last loss outlive another: some machines are taken away time and again."""
        self._furthest[trial_id] = max(step, self._furthest.get(trial_id, 0))
        if step > self._lost_at.get(trial_id, math.inf) and trial_id not in self._timed_out:
            trial.max_failures = trial.num_failures + LOST_BEFORE_CRASHED

    def end_what_tune_forgot(self) -> None:
        """Write a crashed record for trials that Tune ended without a report."""
        for config in self._searcher.solver.running:
            self._end(config, "Ray Tune ended the trial without saying why")

    def _end_overdue(self, trials: list[Trial]) -> None:
        """End the processes of trials that hang; Tune then reports an error of each, which comes to `_end`."""
        overdue = self._watchdog.overdue()
        for trial in trials if overdue else ():
            actor, config = trial.temporary_state.ray_actor, self._searcher.configs[trial.trial_id]
            if config.trial_id in overdue and actor is not None:
                self._timed_out[config.trial_id] = overdue[config.trial_id]
                self._watchdog.ended(config.trial_id)
                trial.max_failures = 0  # it is not run again
                ray.kill(actor)

    def _end(self, config: TrialConfig[Any], cause: str | None) -> None:
        self._watchdog.ended(config.trial_id)
        record = self._record(config, cause)
        self._searcher.solver.tell(record)
        self._watcher.trial_ended(record)

    def _record(self, config: TrialConfig[Any], cause: str | None) -> TrialRecord:
        """The trial's own record, or one that says what became of its process."""
        record = read_record(self._study, config.trial_id)
        # If Tune reports an error, an existing crashed record is from an earlier search.
        if record is None or (cause is not None and record.state not in FINAL_STATES):
            progress = read_progress(self._study, config.trial_id)
            readings = () if progress is None else progress.readings
            record = lost_record(config, *self._end_of(config, cause or "the trial ended without a record"), readings)
            write_record(self._study, record)
        return record

    def _end_of(self, config: TrialConfig[Any], cause: str) -> tuple[str, State]:
        """What is recorded of a trial whose process ended, and as which state."""
        if config.trial_id in self._timed_out:
            return self._timed_out[config.trial_id], "timed_out"
        if any(words in _last_failure(cause) for words in OUT_OF_MEMORY):
            return cause, "out_of_memory"
        told = self._kills_told.get(config.trial_id)
        if told is not None and (killed := cause_of_loss(told)) is not None:
            return f"{killed}\n{cause}", "out_of_memory"
        return cause, "crashed"

    def __getstate__(self) -> dict[str, Any]:
        return {}


def _trial_id(trial: Trial) -> str:
    return str(trial.config["trial_id"])


def _error_text(trial: Trial) -> str:
    path = trial.error_file
    if path and os.path.exists(path):
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    return "the trial's process was lost"


def _last_failure(text: str) -> str:
    """The last part of a trial's error file, to which Tune adds each of its losses."""
    return text.rpartition("Failure # ")[2]


def _last_line(trial: Trial) -> str:
    return _error_text(trial).rpartition("\n")[2].strip()
