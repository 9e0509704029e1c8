"""Runs one search from start to verdict: checks, baseline, trials, confirmation, result. A repeated call continues it."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml

from raydistill.core.recipes import recipe_of
from raydistill.data.splits import load_splits
from raydistill.methods import METHODS, method_configs
from raydistill.search.allowance import check_budget
from raydistill.search.distributions import any_trial, complete_document
from raydistill.search.experts import extreme_trials, plan_experts, prepare_experts
from raydistill.search.jobs import baseline_jobs, confirm_jobs
from raydistill.search.needs import needs_of_trial
from raydistill.search.proposal import Aim
from raydistill.search.resume import SPACE_FILE, check_resumable
from raydistill.search.solver import Solver
from raydistill.search.verdict import Confirmed, Floor, conclude, fitted_floor, not_admissible
from raydistill.search.winner import name_winner
from raydistill.search.workplace import Workplace
from raydistill.spaces.sections import GoalConfig, dataset_config
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.spaces.units import points
from raydistill.storage.lock import study_lock
from raydistill.storage.record import SearchResult, TrialRecord, read_trials
from raydistill.storage.store import Store
from raydistill.trial.baseline import Baseline, finish_baseline, read_baseline
from raydistill.trial.confirm import finish_confirmation
from raydistill.trial.run import LOOK_FRACTIONS


def run_search(space: SearchSpace, store: Store, work: Workplace, *, accept_code_change: bool = False) -> SearchResult:
    """Run a search, or continue an earlier search of the same study, however it ended.

    Args:
        space: the search space.
        store: store of the studies; the folder of this study is `store.at(space.study)`.
        work: data root, executor and watcher; the executor is closed at the end.
        accept_code_change: continue a study that another version of the code began.

    Raises:
        StudyInUseError: another search is running on the study.
        StudyMismatchError: the study was started with a different space, different data or different code.
        BudgetError: the budget's hours are too few for one trial.
        StoreError: the store cannot be written, or a file in it is damaged.
        DataError: the data is missing or damaged.
        KeyboardInterrupt: finished work is saved; the same call continues.
    """
    store = store.absolute
    study = store.at(space.study)
    study.check_writable()
    with study_lock(study, tell=work.watcher.note) as study, closing(work.executor):
        dataset = dataset_config(space.template["dataset"])
        splits = load_splits(dataset, work.data_root)
        data_sha256 = splits.sha256
        check_resumable(space, study, data_sha256=data_sha256, accept_code_change=accept_code_change)
        study.write(SPACE_FILE, yaml.safe_dump(complete_document(space), sort_keys=False))
        config = any_trial(space, data_sha256)
        work.executor.require(needs_of_trial(config, study, work.data_root))
        needs = plan_experts(extreme_trials(space, data_sha256), store, work.data_root)
        baseline = _build_baseline(config, study, work)
        work.watcher.baseline_known(baseline)
        if not study.at("trials").folders("."):
            seconds = _reading_seconds(config, baseline, recipe_of(config, splits).steps)
            check_budget(
                space.budget, space.resources.gpus_per_trial, seconds, "training the networks that evaluate one trial takes"
            )
        if not baseline.is_admissible:
            work.watcher.note(f"The verdict will be inconclusive: {not_admissible(baseline, space.goal)}")
        prepare_experts(needs, config, store, work, study=space.study, baseline=baseline)
        with _database() as database:
            aim = _aim(space.goal, config, baseline)
            with closing(Solver(space, study, aim=aim, data_sha256=data_sha256, database=database)) as solver:
                candidates = _run_trials(solver, study, work)
                floor = fitted_floor(solver.law())
        confirmed = _confirm(candidates, study, work) if baseline.is_admissible else []
        result = _conclude(space, study, baseline, confirmed, floor)
        study.write("result.json", result.model_dump_json(indent=2) + "\n")
        name_winner(study, result)
        return result


def _reading_seconds(config: TrialConfig[Any], baseline: Baseline, steps: int) -> float:
    """Seconds of training the networks that evaluate one trial's set, estimated from the baseline's seconds per step."""
    networks = config.evaluation.networks + len(LOOK_FRACTIONS)
    return networks * steps * statistics.median(reading.seconds / reading.steps for reading in baseline.readings)


def _aim(goal: GoalConfig, config: TrialConfig[Any], baseline: Baseline) -> Aim:
    return Aim.planned(
        goal.margin_fraction,
        goal.confidence,
        select_images=baseline.select_images,
        confirm_images=baseline.confirm_images,
        networks=config.evaluation.confirm_networks,
    )


def _build_baseline(config: TrialConfig[Any], study: Store, work: Workplace) -> Baseline:
    found = read_baseline(study)
    if found is not None:
        return found
    jobs = baseline_jobs(config, study, work.data_root)
    work.run_stage("baseline", config.evaluation.baseline_networks, jobs)
    return finish_baseline(config, study, work.data_root)


def _run_trials(solver: Solver, study: Store, work: Workplace) -> list[TrialRecord]:
    work.watcher.stage("trials", max(solver.space.budget.trials, len(solver.records)))
    for record in solver.records:
        work.watcher.trial_ended(record)
    if solver.remaining > 0:
        work.executor.run_trials(solver, study, work.data_root, work.watcher)
    return solver.candidates()


def _confirm(candidates: Sequence[TrialRecord], study: Store, work: Workplace) -> list[Confirmed]:
    """Evaluate candidates on the confirm images, in the given order, until one is not lossless; see `search.ladder`."""
    confirmed: list[Confirmed] = []
    for record in candidates:
        config = read_trial_config(study.read(f"trials/{record.trial_id}/config.json"), method_configs())
        jobs = confirm_jobs(config, study, work.data_root)
        work.run_stage("confirmation", config.evaluation.confirm_networks, jobs)
        confirmed.append(Confirmed(record, finish_confirmation(config, study)))
        upper, is_lossless = confirmed[-1].confirmation.interval.upper, confirmed[-1].confirmation.is_lossless
        outcome = "confirmed" if is_lossless else "not confirmed, which ends the confirmation"
        bound = f"the upper bound of its gap is {points(upper)}"
        work.watcher.note(f"trial {record.ask_number} (IPC {record.ipc}) is {outcome}: {bound}")
        if not is_lossless:
            break
    return confirmed


def _conclude(space: SearchSpace, study: Store, baseline: Baseline, confirmed: Sequence[Confirmed], floor: Floor) -> SearchResult:
    records = [record for _, record in read_trials(study, method_configs()) if record is not None]
    return conclude(space, baseline, records, confirmed, METHODS[space.template["method"]["name"]].label_kind, floor)


@contextmanager
def _database() -> Iterator[Path]:
    """A file for the Optuna study on this machine's own disk, because SQLite's locks do not work on every shared folder."""
    with tempfile.TemporaryDirectory(prefix="raydistill-") as folder:
        yield Path(folder) / "study.db"
