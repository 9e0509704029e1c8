"""What is certified, and whether it can be: all that is checked before anything is trained or the test split is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raydistill.core.paired_gap import planned_half_width
from raydistill.core.synthetic import SyntheticSet
from raydistill.data.splits import Splits, count_test_images, splits_of
from raydistill.errors import CertifyError
from raydistill.methods import method_configs
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import Baseline, read_baseline
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import TrialRecord, code_sha256, read_trials
from raydistill.storage.result import SearchResult, read_result
from raydistill.storage.store import Store
from raydistill.trial.confirm import read_set


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialChoice:
    """Which trial of a study a person means."""

    trial_id: str | None = None
    """Names a finished trial; None takes the search's winner."""
    accept_code_change: bool = False
    """Take it although other code made it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Candidate:
    """A trial of a finished search, with what the study knows of it."""

    config: TrialConfig[Any]
    record: TrialRecord
    synthetic: SyntheticSet
    result: SearchResult
    baseline: Baseline
    splits: Splits
    records: tuple[TrialRecord, ...]
    """Of all trials of the study."""


def find_candidate(study: Store, choice: TrialChoice, data_root: DataRoot) -> Candidate:
    """The trial to certify or to ablate, checked against the study's hashes.

    Args:
        study: of a finished search.
        choice: which of its trials.
        data_root: folder or URI of the data files.

    Raises:
        CertifyError: the search has not ended, or not since it was extended; it has no winner and none is named; the trial has no
            set; or other code made it.
        StoreError: a file of the study is damaged, or the set is not the one that the trial wrote.
        DataError: the data is not the data of the study.
    """
    result = read_result(study)
    if result is None:
        raise CertifyError(f"{study.root} has no result.json, so its search has not ended; run the search again to its end")
    trials = {config.trial_id: (config, record) for config, record in read_trials(study, method_configs())}
    records = tuple(record for _, record in trials.values() if record is not None)
    if not result.is_of(records):
        raise CertifyError(
            f"{study.root} has trials that ended after its result.json was written, so its search was extended and has not "
            "ended; run the search again to its end"
        )
    chosen = choice.trial_id or result.winner_trial_id
    if chosen is None:
        raise CertifyError(
            f"study {study.root} has no candidate: its verdict is {result.verdict.replace('_', ' ')} ({result.reason}); continue "
            "the search with a larger --trials, or name a finished trial with --trial ID"
        )
    config, record = trials.get(chosen, (None, None))
    if config is None or record is None or record.final is None:
        finished = ", ".join(i for i, (_, r) in trials.items() if r is not None and r.final is not None) or "none"
        raise CertifyError(
            f"trial {chosen} is not a finished trial of {study.root}; finished: {finished}: name one of these with --trial"
        )
    baseline = read_baseline(study)
    if baseline is None:
        raise CertifyError(f"{study.root} has no baseline to compare with; run the search again to build it")
    if not choice.accept_code_change:
        _check_code(study, record, baseline)
    splits = splits_of(config, data_root)
    return Candidate(
        config=config,
        record=record,
        synthetic=read_set(study, chosen),
        result=result,
        baseline=baseline,
        splits=splits,
        records=records,
    )


def check_test_images(candidate: Candidate, networks: int, data_root: DataRoot) -> None:
    """Check, without opening it, that the test split is large enough for the margin.

    Raises:
        CertifyError: it is not, or there are too few networks.
    """
    if networks < 2:
        raise CertifyError(
            f"given {networks} networks; one pair does not show how pairs vary: give --networks 2 or more, better 10"
        )
    goal = candidate.config.goal
    counts = count_test_images(candidate.config.dataset, data_root)
    images, is_balanced = sum(counts), goal.metric == "balanced_accuracy"
    if images and is_balanced and min(counts) < 2:
        few = candidate.splits.class_names[counts.index(min(counts))]
        raise CertifyError(
            f"the goal is of balanced accuracy, and class {few} has too few test images ({min(counts)}), where two show how they "
            "vary: nothing was trained and the test split stays sealed; add test images of this class"
        )
    least = planned_half_width(images, networks, goal.confidence, counts if is_balanced else ()) if images else 1.0
    if goal.margin_fraction < least:
        raise CertifyError(
            f"the margin is {goal.margin_fraction:g}, and {images} test images with {networks} pairs of networks can decide no "
            f"margin below {least:.4f} at confidence {goal.confidence:g}: nothing was trained and the test split stays sealed; "
            "give more --networks, or search with a larger margin or more test images"
        )


def _check_code(study: Store, record: TrialRecord, baseline: Baseline) -> None:
    other = {record.code_sha256, baseline.code_sha256} - {code_sha256()}
    if other:
        raise CertifyError(
            f"study {study.root} was searched by other code (hash {sorted(other)[0][:12]}, now {code_sha256()[:12]}), and a "
            "certificate needs the same code for both: go back to that code, search again, or accept the change with "
            "--accept-code-change, which the certificate states"
        )
