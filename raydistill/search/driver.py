"""Runs one search from start to verdict: checks, baseline, trials, confirmation, result. A repeated call continues it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from raydistill.core.recipes import recipe_of
from raydistill.data.inspect import inspect_images
from raydistill.data.own.record import read_report, write_report
from raydistill.data.own.words import short_lines
from raydistill.data.splits import Splits, load_splits
from raydistill.methods import METHODS, method_configs
from raydistill.search.allowance import check_budget
from raydistill.search.distributions import any_trial, complete_document
from raydistill.search.estimate import Part
from raydistill.search.experts import extreme_trials, plan_experts, prepare_experts
from raydistill.search.finding import Evidence, confidence_of, control_at, factors_drawn, find, gather
from raydistill.search.jobs import baseline_jobs, confirm_jobs, draw_jobs
from raydistill.search.needs import needs_of_trial
from raydistill.search.pace import (
    CONFIRMED_CANDIDATES,
    baseline_pace,
    both,
    distilling_seconds,
    images_passed,
    middle_trial,
    networks_that_read,
    times,
    trial_pace,
)
from raydistill.search.proposal import Aim
from raydistill.search.repair import check_result, looks_before, repair_study, result_or_none
from raydistill.search.resume import as_started, check_resumable
from raydistill.search.solver import Solver
from raydistill.search.verdict import Confirmed, Floor, conclude, fitted_floor, not_admissible
from raydistill.search.winner import name_winner
from raydistill.search.workplace import Workplace
from raydistill.spaces.sections import ImageFolderConfig, dataset_config
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.spaces.units import points
from raydistill.storage.baseline import Baseline, read_baseline
from raydistill.storage.given import write_given
from raydistill.storage.layout import OPTUNA_FILE, RESULT_FILE, SPACE_FILE
from raydistill.storage.lock import study_lock
from raydistill.storage.looks import looks_at, note_look
from raydistill.storage.manifest import forget, write_manifest
from raydistill.storage.record import TrialRecord, read_trials
from raydistill.storage.result import ControlAt, SearchResult
from raydistill.storage.scratch import scratch_folder
from raydistill.storage.store import Store
from raydistill.storage.versioned import write_stored
from raydistill.trial.baseline import finish_baseline
from raydistill.trial.confirm import finish_confirmation
from raydistill.trial.draws import gap_of_draws


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
        space = as_started(space, study)
        dataset = dataset_config(space.shared["dataset"])
        splits = load_splits(dataset, work.data_root)
        data_sha256 = splits.sha256
        made_anew = repair_study(study, work.watcher)
        check_resumable(space, study, data_sha256=data_sha256, accept_code_change=accept_code_change)
        forget(study, made_anew)
        study.write(SPACE_FILE, yaml.safe_dump(complete_document(space), sort_keys=False))
        if isinstance(dataset, ImageFolderConfig):
            _record_images(study, dataset, work)
        if work.given is not None:
            write_given(study, work.given)
        config = any_trial(space.arms[0], data_sha256)
        work.executor.require(needs_of_trial(config, study, work.data_root))
        needs = plan_experts(extreme_trials(space, data_sha256), store, work.data_root)
        if not study.at("trials").folders("."):
            work.tell_estimate(_parts(space, config, splits, study))
        baseline = _build_baseline(config, study, work)
        work.watcher.baseline_known(baseline)
        if not study.at("trials").folders("."):
            seconds = _reading_seconds(config, baseline, splits)
            check_budget(
                space.budget, space.resources.gpus_per_trial, seconds, "training the networks that evaluate one trial takes"
            )
        if not baseline.is_admissible:
            work.watcher.note(f"The verdict will be inconclusive: {not_admissible(baseline, space.goal)}")
        prepare_experts(needs, config, store, work, study=space.study, baseline=baseline)
        with _database() as database:
            aim = _aim(space, config, baseline)
            passed = partial(images_passed, classes=len(splits.class_names), recipe=recipe_of(config, splits))
            with closing(Solver(space, study, aim=aim, data_sha256=data_sha256, database=database, work=passed)) as solver:
                _run_trials(solver, study, work)
                candidates, of_controls = solver.candidates(), solver.candidates(are_controls=True)
                floor = fitted_floor(solver.law())
            result = _conclude(space, study, baseline, candidates, of_controls, floor, work, data_sha256)
            before = result_or_none(study)
            result = result.model_copy(update={"earlier_looks": looks_before(before, result, looks_at(study))})
            if not accept_code_change:
                check_result(before, result, study)
            write_stored(study, RESULT_FILE, result)
            name_winner(study, result)
            solver.show(result)
            write_manifest(study, solver.records)
        return result


def _record_images(study: Store, dataset: ImageFolderConfig, work: Workplace) -> None:
    """Keep what is known about a person's images in a new study, and say it in short."""
    report = read_report(study)
    if report is None:
        report = inspect_images(dataset, work.data_root)
        write_report(study, report)
    for line in short_lines(report):
        work.watcher.note(line)


def _parts(space: SearchSpace, config: TrialConfig[Any], splits: Splits, study: Store) -> list[Part]:
    """All that a new search does but experts, whose own note says how long they take; a race's arms in equal parts."""
    recipe, classes, evaluation = recipe_of(config, splits), len(splits.class_names), config.evaluation
    built = read_baseline(study)
    pace = trial_pace(config, splits) if built is None else baseline_pace(built, recipe)
    middles = [middle_trial(arm, splits.sha256) for arm in space.arms]
    reading = [times(pace, networks_that_read(one, classes) * recipe.images_seen(classes * one.decoded_ipc)) for one in middles]
    making = [distilling_seconds(one, splits) for one in middles]
    trials = [both(make, read) for make, read in zip(making, reading, strict=True)]
    # A control is drawn anew with each of its factors, at one IPC at least.
    draws = [
        both(make, times(pace, recipe.images_seen(classes * one.ipc * factor**2)))
        for arm, one, make in zip(space.arms, middles, making, strict=True)
        if arm.is_control
        for factor in factors_drawn(arm)
    ]
    on_set = statistics.mean(recipe.images_seen(classes * one.decoded_ipc) for one in middles)
    # Each network of the baseline trains once with the recipe's steps and once with twice as many.
    full = 3 * recipe.images_seen(len(splits.train.labels))
    return [
        Part(
            jobs=0 if built is not None else evaluation.baseline_networks,
            what="networks on the full data, to compare with,",
            seconds_each=times(pace, full),
        ),
        Part(jobs=space.budget.trials, what="trials", seconds_each=_mean_of_all(trials)),
        Part(
            jobs=CONFIRMED_CANDIDATES * evaluation.confirm_networks,
            what="networks to confirm the candidates",
            seconds_each=times(pace, on_set),
        ),
        Part(
            jobs=evaluation.confirm_networks * len(draws),
            what="draws of controls",
            seconds_each=_mean_of_all(draws),
        ),
    ]


def _mean_of_all(seconds: Sequence[float | None]) -> float | None:
    """The mean; None where one is not known, or there is none."""
    known = [one for one in seconds if one is not None]
    return statistics.mean(known) if known and len(known) == len(seconds) else None


def _trials_left(solver: Solver) -> Part:
    """The trials of a search that goes on, at the mean cost of those that ended."""
    costs = [r.cost.seconds for r in solver.records if r.cost is not None]
    return Part(jobs=solver.remaining, what="trials to go", seconds_each=statistics.mean(costs) if costs else None)


def _reading_seconds(config: TrialConfig[Any], baseline: Baseline, splits: Splits) -> float:
    """Seconds of training the networks that evaluate one trial's set, estimated from the baseline's seconds per step."""
    steps = networks_that_read(config, len(splits.class_names)) * recipe_of(config, splits).steps
    return steps * statistics.median(reading.seconds / reading.steps for reading in baseline.readings)


def _aim(space: SearchSpace, config: TrialConfig[Any], baseline: Baseline) -> Aim:
    select_images, confirm_images = baseline.effective_images
    select_counts, confirm_counts = baseline.class_counts
    return Aim.planned(
        space.goal.margin_fraction,
        confidence_of(space, "distilled"),
        lossy_confidence=space.goal.confidence,
        select_images=select_images,
        confirm_images=confirm_images,
        networks=config.evaluation.networks,
        confirm_networks=config.evaluation.confirm_networks,
        baseline_networks=len(baseline.readings),
        select_counts=select_counts,
        confirm_counts=confirm_counts,
    )


def _build_baseline(config: TrialConfig[Any], study: Store, work: Workplace) -> Baseline:
    found = read_baseline(study)
    if found is not None:
        return found
    jobs = baseline_jobs(config, study, work.data_root)
    work.run_stage("baseline", config.evaluation.baseline_networks, jobs)
    return finish_baseline(config, study, work.data_root)


def _run_trials(solver: Solver, study: Store, work: Workplace) -> None:
    work.watcher.stage("trials", max(solver.space.budget.trials, len(solver.records)))
    for record in solver.records:
        work.watcher.trial_ended(record)
    if solver.remaining > 0:
        if solver.records:
            work.tell_estimate([_trials_left(solver)])
        work.executor.run_trials(solver, study, work.data_root, work.watcher)


def _conclude(
    space: SearchSpace,
    study: Store,
    baseline: Baseline,
    candidates: Sequence[TrialRecord],
    of_controls: Sequence[TrialRecord],
    floor: Floor,
    work: Workplace,
    data_sha256: str,
) -> SearchResult:
    """Confirm the candidates of both sides, draw the controls anew where that decides the finding, and write down the result."""
    records = [record for _, record in read_trials(study, method_configs()) if record is not None]
    evidence = Evidence()
    if baseline.is_admissible:
        if candidates or of_controls:
            note_look(study, records)
        evidence = gather(
            space,
            records,
            candidates,
            of_controls,
            data_sha256=data_sha256,
            confirm=partial(_confirm, study=study, work=work),
            draw=partial(_draw_control, study=study, work=work),
        )
    finding = find(space, baseline, evidence)
    label_kind = METHODS[space.methods[0].method].label_kind
    confirmed, controls = evidence.distilled, evidence.controls
    return conclude(space, baseline, records, confirmed, label_kind, floor, controls=controls, finding=finding)


def _confirm(record: TrialRecord, confidence: float, *, study: Store, work: Workplace) -> Confirmed:
    """Evaluate a candidate on the confirm images."""
    config = read_trial_config(json.dumps(record.config), method_configs())
    jobs = confirm_jobs(config, study, work.data_root)
    work.run_stage("confirmation", config.evaluation.confirm_networks, jobs)
    confirmation = finish_confirmation(config, study, confidence)
    outcome = "confirmed" if confirmation.is_lossless else "not confirmed, which ends the confirmation"
    bound = f"the upper bound of its gap is {points(confirmation.interval.upper)}"
    of = f" of {record.arm}" if record.config.get("label") else ""
    work.watcher.note(f"trial {record.ask_number}{of} (IPC {record.ipc}) is {outcome}: {bound}")
    return Confirmed(record, confirmation)


def _draw_control(config: TrialConfig[Any], confidence: float, *, study: Store, work: Workplace) -> ControlAt:
    """Draw a control anew and evaluate the draws on the confirm images."""
    jobs = draw_jobs(config, study, work.data_root)
    work.run_stage(config.arm_and_size, config.evaluation.confirm_networks, jobs)
    found = control_at(config, gap_of_draws(config, study, confidence), config.goal.margin_fraction)
    outcome = "lossy" if found.is_lossy else "not shown to be lossy, so distilling is not shown to be needed"
    bound = f"the lower bound of its gap is {points(found.gap_interval.lower)}"
    work.watcher.note(f"{config.arm_and_size} is {outcome}: {bound}")
    return found


@contextmanager
def _database() -> Iterator[Path]:
    """A file for the Optuna study on this machine's own disk, because SQLite's locks do not work on every shared folder."""
    with scratch_folder() as folder:
        yield folder / OPTUNA_FILE
