"""Builds the experts before the trials that read them: which sets are needed, their cost, and their training as parallel jobs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from raydistill.core.expert_fields import ExpertFields
from raydistill.core.recipes import recipe_of
from raydistill.data.splits import Splits, splits_of
from raydistill.errors import StudyInUseError
from raydistill.experts.build import build_expert, build_scores, check_disk
from raydistill.experts.files import StoredExperts, missing
from raydistill.experts.need import FOLDER, ExpertNeed, needs_of
from raydistill.experts.sets import note_use
from raydistill.search.jobs import network_jobs
from raydistill.search.pace import baseline_pace, trial_pace
from raydistill.search.watcher import Watcher
from raydistill.search.workplace import Workplace
from raydistill.spaces.space import Arm, Choices, Range, SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.spaces.units import rough
from raydistill.storage.baseline import Baseline
from raydistill.storage.data_root import DataRoot
from raydistill.storage.lock import study_lock
from raydistill.storage.store import Store


def extreme_trials(space: SearchSpace, data_sha256: str) -> list[TrialConfig[Any]]:
    """Trials that together read every expert, and every epoch, that any trial of the space can read.

    These are, for each arm that reads experts, all combinations of choices, each with all ranges at their lower and at their
    upper ends. That is enough because settings of experts cannot be ranges, and the epochs that are read grow with each field
    that determines them.
    """
    return [trial for arm in space.arms if issubclass(arm.method_config, ExpertFields) for trial in _ends(arm, data_sha256)]


def _ends(arm: Arm, data_sha256: str) -> Iterator[TrialConfig[Any]]:
    choices = {path: allowed.values for path, allowed in arm.ranges.items() if isinstance(allowed, Choices)}
    ranges = {path: allowed for path, allowed in arm.ranges.items() if isinstance(allowed, Range)}
    combinations = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    for end in ({path: r.low for path, r in ranges.items()}, {path: r.high for path, r in ranges.items()}):
        for combination in combinations:
            yield arm.trial(ask_number=0, values={**end, **combination}, data_sha256=data_sha256)


def plan_experts(
    configs: Sequence[TrialConfig[Any]], store: Store, data_root: DataRoot, *, rebuild_damaged: bool = False
) -> list[ExpertNeed]:
    """The expert sets that trials on the same data read, after checks that need no training.

    Raises:
        ExpertsError: a trial reads epochs after the experts' last one.
        StoreError: an expert is damaged and `rebuild_damaged` is False, or the disk has too little space for the missing ones.
    """
    needs = needs_of(configs, splits_of(configs[0], data_root)) if configs else []
    check_disk(needs, store, rebuild_damaged=rebuild_damaged)
    return needs


def prepare_experts(
    needs: Sequence[ExpertNeed],
    config: TrialConfig[Any],
    store: Store,
    work: Workplace,
    *,
    study: str | None = None,
    baseline: Baseline | None = None,
    rebuild_damaged: bool = False,
) -> None:
    """Build the missing experts, after reporting what that costs.

    Args:
        needs: from `plan_experts`.
        config: one of the trials; determines data, threads and device.
        store: the store with `experts/`.
        work: runs the jobs, in the stages `difficulty scores` and `experts`.
        study: name of the study, recorded as a user of the sets; None records nothing.
        baseline: its seconds per step are used to estimate the time; None measures a few steps.
        rebuild_damaged: rebuild damaged experts instead of raising an error.

    Raises:
        StoreError: an expert is damaged.
    """
    for need in needs:
        with _held(need, store, work.watcher) as held:
            scores, experts = missing(need, held, rebuild_damaged=rebuild_damaged)
            pace = _pace(config, splits_of(config, work.data_root), baseline) if scores or experts else None
            work.watcher.note(_cost(need, len(experts), len(scores), pace))
            note_use(need, held, study)
            stages = (("difficulty scores", "scores", build_scores, scores), ("experts", "expert", build_expert, experts))
            for stage, kind, build, indices in stages:
                train = partial(build, need=need)
                jobs = network_jobs(f"{kind} {need.settings.key}", train, indices, config, held, work.data_root)
                work.run_missing(stage, jobs)
            _tell_of_oddities(need, held, work.watcher)


@contextmanager
def _held(need: ExpertNeed, store: Store, watcher: Watcher) -> Iterator[Store]:
    """Lock an expert set, so that only one search at a time builds it; yields the store through which it must be written."""
    folder = replace(store.at(FOLDER, need.settings.key), is_patient=True)
    with ExitStack() as stack:
        try:
            held = stack.enter_context(study_lock(folder, wait_seconds=0, tell=watcher.note))
        except StudyInUseError:
            watcher.note(f"experts {need.settings.key} are being built by another search; waiting for it")
            held = stack.enter_context(study_lock(folder, wait_seconds=math.inf, tell=watcher.note))
        yield replace(held, root=store.root)


def _cost(need: ExpertNeed, experts: int, scores: int, seconds_per_image: float | None) -> str:
    """One sentence about an expert set and the cost of building the missing experts."""
    size = f"{need.count} networks of {need.settings.epochs} epochs, {need.size_bytes / 1e6:.1f} MB"
    what = f"experts {need.settings.key}: {size}"
    if not experts:
        return f"{what}; all exist"
    passes = need.passes(experts, scores)
    scored = f" after {scores} networks that score the images" if scores else ""
    seconds = None if seconds_per_image is None else seconds_per_image * passes * need.train_images
    time = "" if seconds is None else f", about {rough(seconds)} one at a time"
    return f"{what}; {experts} to train{scored}: {passes} passes over {need.train_images} images{time}"


def _pace(config: TrialConfig[Any], splits: Splits, baseline: Baseline | None) -> float | None:
    return trial_pace(config, splits) if baseline is None else baseline_pace(baseline, recipe_of(config, splits))


def _tell_of_oddities(need: ExpertNeed, store: Store, watcher: Watcher) -> None:
    experts, key = StoredExperts(need, store), need.settings.key
    if other := experts.other_code:
        watcher.note(
            f"experts {key} were trained by another version of the code (hash "
            f"{', '.join(sorted(code[:12] for code in other))}); to train them again: raydistill experts prune {key}"
        )
    if collapsed := experts.collapsed:
        which = ", ".join(f"{index} ({100 * accuracy:.1f} %)" for index, accuracy in collapsed.items())
        watcher.note(
            f"experts {key}: the final accuracy of these experts on the train split is below half of the median, so they help "
            f"little: {which}; try a lower method.expert_lr or another method.expert_seed"
        )
