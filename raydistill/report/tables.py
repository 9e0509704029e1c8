"""Records as pandas frames, one row each: trials, IPCs, studies, comparisons, experts, networks, timings.

A frame keeps the values of the records: fractions, bytes, multiply-accumulates, at full precision, and every config field under
its own name. `rendering` turns frames into text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from raydistill.comparison.rows import Comparison, Row
from raydistill.errors import StoreError
from raydistill.methods import METHODS
from raydistill.report.cells import config_cells, measured_cells, sample_std, seconds_of
from raydistill.report.rendering import FORMATS, frame_of, render
from raydistill.search.verdict import select_interval
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import Baseline, read_baseline
from raydistill.storage.layout import SPACE_FILE
from raydistill.storage.manifest import damages
from raydistill.storage.record import TrialRecord, read_trials
from raydistill.storage.result import SearchResult, read_result
from raydistill.storage.store import Store
from raydistill.uses.values import CostResult
from raydistill.uses.values import read_result as read_use

if TYPE_CHECKING:
    import pandas as pd

    from raydistill.experts.sets import ExpertSet
    from raydistill.sets.evaluating import NetworkReading

UNFINISHED = "unfinished"
"""State of a trial without a record, verdict of a study without a result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRecords:
    """Everything that a study's tables are made from."""

    name: str
    trials: tuple[tuple[TrialConfig[Any], TrialRecord | None], ...]
    """In the order of asks; a running trial has no record yet."""
    baseline: Baseline | None
    result: SearchResult | None
    damaged: tuple[str, ...] = ()
    """A sentence for each file that is not as the search left it."""
    costs: Mapping[str, CostResult] = field(default_factory=dict)
    """What `evaluate --protocol cost` found, by the hash of the set's file; most sets have none."""

    @property
    def last_result(self) -> SearchResult | None:
        """The result, if it is one of all trials that are there; None while a search is extended, and where that was cut off."""
        records = [record for _, record in self.trials if record is not None]
        is_whole = len(records) == len(self.trials) and self.result is not None and self.result.is_of(records)
        return self.result if is_whole else None


def read_study(study: Store, methods: Mapping[str, type[Config]]) -> StudyRecords:
    """The records of a study, whether it runs, has stopped or is done.

    Raises:
        StoreError: the folder holds no study, or a file in it is damaged.
    """
    if not study.exists(SPACE_FILE):
        raise StoreError(f"{study.root} holds no study (no search_space.yaml); give the folder <store>/<study> of a search")
    result, trials = read_result(study), tuple(read_trials(study, methods))
    return StudyRecords(
        name=study.root.rstrip("/").rpartition("/")[2],
        trials=trials,
        baseline=read_baseline(study),
        result=result,
        damaged=_damage_of(study, result),
        costs=read_costs(study, trials),
    )


def read_costs(study: Store, trials: Sequence[tuple[TrialConfig[Any], TrialRecord | None]]) -> dict[str, CostResult]:
    """The training costs that were measured on sets of trials with the recipe of the trial, by the hash of the set's file.

    Raises:
        StoreError: a result is damaged.
    """
    recipes = {record.images_sha256: str(config.evaluation.recipe) for config, record in trials if record is not None}
    uses = study.at("uses")
    found = [read_use(uses.at(folder), "cost") for folder in uses.folders(".")]
    costs = [cost for cost in found if isinstance(cost, CostResult)]
    return {cost.about.set_sha256: cost for cost in costs if recipes.get(cost.about.set_sha256) == cost.about.recipe}


def _damage_of(study: Store, result: SearchResult | None) -> tuple[str, ...]:
    """A sentence for each file that is gone or changed since the search ended."""
    return tuple(found.in_words(study) for found in damages(study, result.winner_trial_id if result else None, every=False))


def refuse_damaged(records: StudyRecords) -> None:
    """Refuse to make tables of a study whose files are not as the search left them.

    Raises:
        StoreError: some are gone or changed; all are named.
    """
    if records.damaged:
        listed = "\n".join(f"  {line}" for line in records.damaged)
        raise StoreError(
            f"study {records.name} is damaged:\n{listed}\n"
            "Restore these files, or run the search again, which makes again what it can"
        )


def trial_frame(records: StudyRecords) -> pd.DataFrame:
    """One row per trial in the order of asks: what it is, its method's fields, what was measured, the rest of its config.

    The standard deviation is over networks; a cell is missing where a trial's state gives it no value.
    """
    rows = []
    for config, record in records.trials:
        fields, measured = config_cells(config), measured_cells(record)
        first = (
            "ask_number",
            "dataset",
            "network",
            "method",
            "ipc",
            *(f for f in type(config.method).model_fields if f in fields),
        )
        leading = {"trial_id": config.trial_id, "state": record.state if record else UNFINISHED} | {f: fields[f] for f in first}
        rows.append(leading | measured | {field: cell for field, cell in fields.items() if field not in leading})
    return frame_of(rows, ("trial_id", "state", "ask_number", "dataset", "network", "method", "ipc"))


def ipc_frame(records: StudyRecords) -> pd.DataFrame:
    """One row per IPC, and per arm in a race: its trials, their seconds, and the finished one with the smallest gap (`trial_id`).

    `gap_low` and `gap_high` are the one-sided bounds of that gap at the goal's confidence, over networks and select images.
    `train_macs_saved` and `train_seconds_saved` are what one training on that trial's set saves, full data and set each with
    the shortest schedule that is good enough, and `trainings_until_paid` the trainings that pay for its making; they are missing
    where `evaluate --protocol cost` was not run on it with the trial's recipe, or a side misses the target. `epoch_macs_saved` is
    of one pass forward.
    """
    arms = list(dict.fromkeys(config.arm for config, _ in records.trials))
    at_ipc: dict[tuple[str, int], list[TrialRecord | None]] = {}
    for config, record in records.trials:
        at_ipc.setdefault((config.arm, config.ipc), []).append(record)
    rows = []
    for (arm, ipc), asked in sorted(at_ipc.items(), key=lambda item: (arms.index(item[0][0]), item[0][1])):
        finished = [record for record in asked if record and record.gap is not None]
        best = min(finished, key=lambda record: record.gap or 0.0, default=None)
        measured = measured_cells(best)
        of: dict[str, Any] = {"arm": arm} if len(arms) > 1 else {}
        row = of | {"ipc": ipc, "trials": len(asked), "finished": len(finished), "best_gap": measured["gap"]}
        row |= _gap_bounds(records.baseline, best)
        row |= {name: measured[name] for name in ("accuracy_fraction_mean", "accuracy_fraction_std")}
        row |= {"seconds": sum(seconds_of(record) for record in asked)}
        row |= {name: measured[name] for name in ("images", "set_bytes", "train_macs", "epoch_macs")}
        row |= _saved(records, best)
        rows.append({**row, "trial_id": best.trial_id if best else None})
    return frame_of(rows, ("ipc", "trials", "finished", "best_gap"))


def study_frame(studies: Sequence[StudyRecords]) -> pd.DataFrame:
    """One row per study, ordered by data set, method and label kind.

    Two studies that share all three (but not network, margin or seed) stay two rows: a best-of over them would be the result
    of neither.
    """
    frame = frame_of([_study_cells(records) for records in studies], ("study",))
    return frame.sort_values(["dataset", "method", "label_kind", "study"], ignore_index=True)


def write_tables(study: Store, records: StudyRecords) -> list[pd.DataFrame]:
    """Write `tables/{trials,ipc}.{md,csv,tex}`; returns the two frames."""
    frames = {"trials": trial_frame(records), "ipc": ipc_frame(records)}
    for name, frame in frames.items():
        for suffix in FORMATS:
            study.write(f"tables/{name}.{suffix}", render(frame, suffix))
    return list(frames.values())


def comparison_frame(comparison: Comparison) -> pd.DataFrame:
    """One row per method: accuracy over draws, and its difference to random real images of the same draws, with an interval."""
    rows = [row.model_dump() for row in comparison.rows]
    return frame_of(rows, list(Row.model_fields))


def expert_set_frame(sets: Sequence[ExpertSet]) -> pd.DataFrame:
    """One row per set of experts on a store."""
    from raydistill.experts.sets import ExpertSet

    rows = [{**one.model_dump(), "studies": ", ".join(one.studies)} for one in sets]
    return frame_of(rows, list(ExpertSet.model_fields))


def network_frame(readings: Sequence[NetworkReading]) -> pd.DataFrame:
    """One row per architecture that one set was evaluated with; `networks` counts those behind mean and deviation."""
    rows = [
        {
            "network": reading.network,
            "accuracy_fraction_mean": float(np.mean(reading.accuracy_fractions)),
            "accuracy_fraction_std": sample_std(reading.accuracy_fractions),
            "networks": len(reading.accuracy_fractions),
            "parameters": reading.parameters,
            "recipe": reading.recipe,
            "split": reading.split,
            "metric": reading.metric,
        }
        for reading in readings
    ]
    return frame_of(rows, ("network",))


def timing_frame(timings: Sequence[Config]) -> pd.DataFrame:
    """One row per measurement of `raydistill bench`; seconds and bytes."""
    return frame_of([timing.model_dump() for timing in timings])


def score_frame(scores: Sequence[Config]) -> pd.DataFrame:
    """One row per measurement of `raydistill bench solver`; costs in trials of the smallest certifiable size."""
    return frame_of([score.model_dump() for score in scores])


def _study_cells(records: StudyRecords) -> dict[str, Any]:
    result = records.last_result
    config = records.trials[0][0] if records.trials else None
    finished = [record for _, record in records.trials if record and record.final]
    label_kind = result.label_kind if result else finished[0].label_kind if finished else None
    accuracies = records.baseline.accuracy_fractions if records.baseline else ()
    arms = dict.fromkeys(config.arm for config, _ in records.trials)
    methods = dict.fromkeys(config.arm for config, _ in records.trials if METHODS[config.method.name].control is None)
    return {
        "study": records.name,
        "dataset": config.dataset.name if config else None,
        "method": result.method if result else ", ".join(methods or arms) or None,
        "label_kind": label_kind,
        "network": config.network.name if config else None,
        "verdict": result.verdict if result else UNFINISHED,
        "smallest_lossless_ipc": result.smallest_lossless_ipc if result else None,
        "largest_lossy_ipc": result.largest_lossy_ipc if result else None,
        "largest_lossy_trials": result.largest_lossy_trials if result else None,
        "largest_ipc_tried": result.largest_ipc_tried if result else None,
        "closest_gap": result.closest_gap if result else None,
        "margin_fraction": config.goal.margin_fraction if config else None,
        "confidence": config.goal.confidence if config else None,
        "earlier_looks": result.earlier_looks if result else None,
        "baseline_accuracy_fraction_mean": float(np.mean(accuracies)) if accuracies else None,
        "baseline_accuracy_fraction_std": sample_std(accuracies),
        "trials": len(records.trials),
        "seconds": sum(seconds_of(record) for _, record in records.trials),
        "compression_images": result.compression_images if result else None,
        "compression_bytes": result.compression_bytes if result else None,
        "trial_id": result.winner_trial_id if result else None,
    }


def _gap_bounds(baseline: Baseline | None, best: TrialRecord | None) -> dict[str, float | None]:
    if baseline is None or best is None or min(len(best.select_correct), len(baseline.readings)) < 2:
        return {"gap_low": None, "gap_high": None}
    interval = select_interval(best, baseline)
    return {"gap_low": interval.lower, "gap_high": interval.upper}


def _saved(records: StudyRecords, best: TrialRecord | None) -> dict[str, float | None]:
    baseline, cost = records.baseline, best.cost if best else None
    trained = records.costs.get((best.images_sha256 or "") if best else "")
    paid = {one.measure: one.trainings for one in trained.paid if one.what == "making"} if trained else {}
    return {
        "train_macs_saved": trained.saved("macs") if trained else None,
        "train_seconds_saved": trained.saved("seconds") if trained else None,
        "trainings_until_paid": paid.get("macs"),
        "epoch_macs_saved": None if baseline is None or cost is None else baseline.epoch_macs - cost.epoch_macs,
    }
