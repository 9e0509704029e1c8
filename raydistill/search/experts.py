"""Experts, built before the trials that read them: which sets, what they cost, and their networks as jobs side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from raydistill.core.experts import ExpertFields
from raydistill.core.recipes import Recipe, recipe_of
from raydistill.data.splits import splits_of
from raydistill.errors import StudyInUseError
from raydistill.experts.build import build_expert, build_scores, check_disk
from raydistill.experts.files import StoredExperts, missing
from raydistill.experts.need import FOLDER, ExpertNeed, needs_of
from raydistill.experts.sets import note_use
from raydistill.search.jobs import network_jobs
from raydistill.search.watcher import Watcher
from raydistill.search.workplace import Workplace
from raydistill.spaces.space import Choices, Range, SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.lock import study_lock
from raydistill.storage.store import Store
from raydistill.trial.baseline import Baseline


def extreme_trials(space: SearchSpace, data_sha256: str) -> list[TrialConfig[Any]]:
    """Trials that together read every expert, and every epoch of one, that some trial of the space can read.

    All combinations of choices, each with all ranges at their lower ends and with all at their upper ends: settings of experts
    are no ranges, and the epochs that are read grow with each field that shapes them. None where the method reads no experts.
    """
    if not issubclass(space.method_config, ExpertFields):
        return []
    choices = {path: allowed.values for path, allowed in space.ranges.items() if isinstance(allowed, Choices)}
    ranges = {path: allowed for path, allowed in space.ranges.items() if isinstance(allowed, Range)}
    ends = [{path: r.low for path, r in ranges.items()}, {path: r.high for path, r in ranges.items()}]
    combinations = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    return [
        space.trial(ask_number=0, values={**end, **combination}, data_sha256=data_sha256)
        for end in ends
        for combination in combinations
    ]


def plan_experts(
    configs: Sequence[TrialConfig[Any]], store: Store, data_root: DataRoot, *, rebuild_damaged: bool = False
) -> list[ExpertNeed]:
    """The expert sets that trials on the same data read, checked before anything is trained.

    Raises:
        ExpertsError: a window is longer than its trajectory.
        StoreError: an expert is damaged and not to be rebuilt, or the disk has too little room for what is missing.
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
    """Build what is missing of the sets, and say beforehand what that costs.

    Args:
        needs: as `plan_experts` gives them.
        config: one of the trials; says what data, threads and device to use.
        store: holds `experts/` beside the studies.
        work: runs the jobs, in the stages `difficulty scores` and `experts`.
        study: noted as a user of the sets.
        baseline: gives the seconds that a training step takes; None leaves times unsaid.
        rebuild_damaged: build damaged ones again instead of refusing.

    Raises:
        StoreError: an expert is damaged.
    """
    pace = None if baseline is None else _seconds_per_image(baseline, recipe_of(config, splits_of(config, work.data_root)))
    for need in needs:
        with _held(need, store, work.watcher):
            scores, experts = missing(need, store, rebuild_damaged=rebuild_damaged)
            work.watcher.note(_cost(need, len(experts), len(scores), pace))
            note_use(need, store, study)
            stages = (("difficulty scores", "scores", build_scores, scores), ("experts", "expert", build_expert, experts))
            for stage, kind, build, indices in stages:
                train = partial(build, need=need)
                jobs = network_jobs(f"{kind} {need.settings.key}", train, indices, config, store, work.data_root)
                work.run_missing(stage, jobs)
        _tell_of_oddities(need, store, work.watcher)


@contextmanager
def _held(need: ExpertNeed, store: Store, watcher: Watcher) -> Iterator[None]:
    """One search at a time builds a set."""
    folder = store.at(FOLDER, need.settings.key)
    with ExitStack() as stack:
        try:
            stack.enter_context(study_lock(folder, wait_seconds=0))
        except StudyInUseError:
            watcher.note(f"experts {need.settings.key} are being built by another search; waiting for it")
            stack.enter_context(study_lock(folder, wait_seconds=math.inf, tell=watcher.note))
        yield


def _cost(need: ExpertNeed, experts: int, scores: int, seconds_per_image: float | None) -> str:
    """What a set is, and what building the rest of it takes, in one sentence."""
    size = f"{need.count} networks of {need.settings.epochs} epochs, {need.size_bytes / 1e6:.1f} MB"
    what = f"experts {need.settings.key}: {size}"
    if not experts:
        return f"{what}; all there"
    passes = need.passes(experts, scores)
    scored = f" after {scores} networks that score the images" if scores else ""
    seconds = None if seconds_per_image is None else seconds_per_image * passes * need.train_images
    time = "" if seconds is None else f", about {seconds:.0f} s in all at the baseline's pace"
    return f"{what}; {experts} to train{scored}: {passes} passes over {need.train_images} images{time}"


def _seconds_per_image(baseline: Baseline, recipe: Recipe) -> float:
    images = sum(reading.steps for reading in baseline.readings) * recipe.batch
    return sum(reading.seconds for reading in baseline.readings) / images


def _tell_of_oddities(need: ExpertNeed, store: Store, watcher: Watcher) -> None:
    experts, key = StoredExperts(need, store), need.settings.key
    if other := experts.other_code:
        watcher.note(
            f"experts {key} were trained by other code (hash {', '.join(sorted(code[:12] for code in other))}); "
            f"to have them built anew: raydistill experts prune {key}"
        )
    if collapsed := experts.collapsed:
        which = ", ".join(f"{index} ({100 * accuracy:.1f} %)" for index, accuracy in collapsed.items())
        watcher.note(
            f"experts {key}: these ended below half of the others' accuracy on the train part and teach little: {which}; "
            "a lower method.expert_lr or another method.expert_seed trains others"
        )
