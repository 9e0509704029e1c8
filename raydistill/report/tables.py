"""A study's records as pandas frames, and those as CSV, Markdown and LaTeX.

Frames and CSV hold what the records hold: fractions, bytes, multiply-accumulates, full precision, and every config field
under its own name. Markdown and LaTeX are for people: accuracies in percent, gaps and margins in points (hundredths of
accuracy), rounded, without the columns that only a script needs. The header names the unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from raydistill.baseline import Baseline, read_baseline
from raydistill.comparison import Comparison, Row
from raydistill.config import Config
from raydistill.experts.sets import ExpertSet
from raydistill.one_set import NetworkReading
from raydistill.record import SearchResult, TrialRecord, read_trials
from raydistill.report.words import telling_line
from raydistill.store import Store, StoreError
from raydistill.trial_config import TrialConfig

FORMATS = ("md", "csv", "tex")
UNFINISHED = "unfinished"
"""State of a trial without a record, verdict of a study without a result."""

IN_PERCENT = {
    "accuracy_fraction_mean": "accuracy (%)",
    "accuracy_fraction": "accuracy (%)",
    "baseline_accuracy_fraction_mean": "baseline accuracy (%)",
    "train_accuracy_fraction": "train accuracy (%)",
    "report_accuracy_fraction": "report (%)",
    "own_accuracy_fraction": "ours (%)",
    "random_accuracy_fraction": "random real (%)",
    "random_soft_accuracy_fraction": "random real, experts' labels (%)",
    "published_accuracy_fraction": "published (%)",
}
IN_POINTS = {
    "accuracy_fraction_std": "accuracy std (points)",
    "baseline_accuracy_fraction_std": "baseline accuracy std (points)",
    "gap": "gap (points)",
    "best_gap": "best gap (points)",
    "closest_gap": "closest gap (points)",
    "margin_fraction": "margin (points)",
    "draws_std": "std over draws (points)",
    "networks_std": "std over networks (points)",
    "above_random": "above random (points)",
    "above_random_low": "low",
    "above_random_high": "high",
    "above_random_soft": "above random_soft (points)",
    "above_random_soft_low": "low ",
    "above_random_soft_high": "high ",
    "published_std": "published std (points)",
    "own_std": "own std (points)",
}
FOR_SCRIPTS = frozenset(
    {"seed", "data_sha256", "code_sha256", "images_sha256", "started_at", "host", "device", "split_seed"}
    | {"distill_seconds", "evaluate_seconds", "peak_memory_bytes", "train_macs", "epoch_macs"}
)
"""Columns of the trials' CSV that people's tables leave out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRecords:
    """All that a study's tables are made from."""

    name: str
    trials: tuple[tuple[TrialConfig[Any], TrialRecord | None], ...]
    """In the order of asks; without a record while a trial runs."""
    baseline: Baseline | None
    result: SearchResult | None


def read_study(study: Store, methods: Mapping[str, type[Config]]) -> StudyRecords:
    """The records of a study that is running, stopped or done.

    Raises:
        StoreError: the folder holds no study, or a file in it is damaged.
    """
    if not study.exists("search_space.yaml"):
        raise StoreError(f"{study.root} holds no study (no search_space.yaml); give the folder <store>/<study> of a search")
    return StudyRecords(
        name=study.root.rstrip("/").rpartition("/")[2],
        trials=tuple(read_trials(study, methods)),
        baseline=read_baseline(study),
        result=_read_result(study),
    )


def trial_frame(records: StudyRecords) -> pd.DataFrame:
    """One row per trial in the order of asks: what it is, its method's fields, what was measured, the rest of its config.

    The standard deviation is over networks; cells that a trial's state leaves without a value are missing.
    """
    rows = []
    for config, record in records.trials:
        fields, measured = config_cells(config), _measured_cells(record)
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
    return _frame(rows, ("trial_id", "state", "ask_number", "dataset", "network", "method", "ipc"))


def ipc_frame(records: StudyRecords) -> pd.DataFrame:
    """One row per IPC: its trials, the seconds of all of them, and the finished one with the smallest gap (`trial_id`).

    MACs saved are those of the full data minus those of that trial's set: for one training by the recipe, which has equal
    steps, and for one pass over the data.
    """
    at_ipc: dict[int, list[TrialRecord | None]] = {}
    for config, record in records.trials:
        at_ipc.setdefault(config.ipc, []).append(record)
    rows = []
    for ipc, asked in sorted(at_ipc.items()):
        finished = [record for record in asked if record and record.gap is not None]
        best = min(finished, key=lambda record: record.gap or 0.0, default=None)
        measured = _measured_cells(best)
        row = {"ipc": ipc, "trials": len(asked), "finished": len(finished), "best_gap": measured["gap"]}
        row |= {name: measured[name] for name in ("accuracy_fraction_mean", "accuracy_fraction_std")}
        row |= {"seconds": sum(_seconds(record) for record in asked)}
        row |= {name: measured[name] for name in ("images", "set_bytes", "train_macs", "epoch_macs")}
        row |= _macs_saved(records.baseline, best)
        rows.append({**row, "trial_id": best.trial_id if best else None})
    return _frame(rows, ("ipc", "trials", "finished", "best_gap"))


def study_frame(studies: Sequence[StudyRecords]) -> pd.DataFrame:
    """One row per study, ordered by data set, method and label kind.

    Two studies of the same three (another network, margin or seed) stay two rows: a best-of over them would be no
    result of either.
    """
    frame = _frame([_study_cells(records) for records in studies], ("study",))
    return frame.sort_values(["dataset", "method", "label_kind", "study"], ignore_index=True)


def write_tables(study: Store, records: StudyRecords) -> None:
    """Write `tables/{trials,ipc}.{md,csv,tex}`."""
    for name, frame in (("trials", trial_frame(records)), ("ipc", ipc_frame(records))):
        for suffix in FORMATS:
            study.write(f"tables/{name}.{suffix}", render(frame, suffix))


def comparison_frame(comparison: Comparison) -> pd.DataFrame:
    """One row per method: accuracy over draws, and what it is above random real images of the same draws, with its interval."""
    rows = [row.model_dump() for row in comparison.rows]
    return _frame(rows, list(Row.model_fields))


def expert_set_frame(sets: Sequence[ExpertSet]) -> pd.DataFrame:
    """One row per set of experts on a store."""
    rows = [{**one.model_dump(), "studies": ", ".join(one.studies)} for one in sets]
    return _frame(rows, list(ExpertSet.model_fields))


def network_frame(readings: Sequence[NetworkReading]) -> pd.DataFrame:
    """One row per architecture that one set was read through; `networks` counts those behind mean and deviation."""
    rows = [
        {
            "network": reading.network,
            "accuracy_fraction_mean": float(np.mean(reading.accuracy_fractions)),
            "accuracy_fraction_std": _std(reading.accuracy_fractions),
            "networks": len(reading.accuracy_fractions),
            "parameters": reading.parameters,
            "recipe": reading.recipe,
            "split": reading.split,
        }
        for reading in readings
    ]
    return _frame(rows, ("network",))


def timing_frame(timings: Sequence[Config]) -> pd.DataFrame:
    """One row per measurement of `raydistill bench`; seconds and bytes."""
    return _frame([timing.model_dump() for timing in timings], [])


def score_frame(scores: Sequence[Config]) -> pd.DataFrame:
    """One row per measurement of `raydistill bench solver`; costs in trials of the smallest certifiable size."""
    return _frame([score.model_dump() for score in scores], [])


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a frame, cells under their names; fractions, bytes and seconds."""
    return _frame(rows, [])


def render(frame: pd.DataFrame, suffix: str) -> str:
    """A frame as text: `csv` as it is, `md` and `tex` as people read it.

    Raises:
        ValueError: the suffix is another.
    """
    if suffix == "csv":
        return str(frame.to_csv(index=False, lineterminator="\n"))
    if suffix not in FORMATS:
        raise ValueError(f"tables as {suffix!r}; allowed: {', '.join(FORMATS)}: give one of these")
    shown, alike = _for_people(frame)
    if suffix == "md":
        escaped = shown.map(lambda cell: cell.replace("|", "\\|"))
        # With numparse, tabulate prints the trial id 12e4567890ab as a number.
        table = str(escaped.to_markdown(index=False, disable_numparse=True))
        return f"In every row: {alike}.\n\n{table}\n" if alike else f"{table}\n"
    # Needs booktabs; the comment keeps the file one tabular, as \input wants it.
    return (f"% In every row: {alike}.\n" if alike else "") + str(shown.to_latex(index=False, escape=True))


def config_cells(config: TrialConfig[Any]) -> dict[str, Any]:
    """Each config field under its own name; a section's `name` under the section's; what clashes keeps its dotted path."""
    cells: dict[str, Any] = {}
    for field, value in config.model_dump(mode="json").items():
        for key, cell in value.items() if isinstance(value, dict) else [("name", value)]:
            column = field if key == "name" else key
            cells[f"{field}.{key}" if column in cells else column] = cell
    return cells


def _read_result(study: Store) -> SearchResult | None:
    if not study.exists("result.json"):
        return None
    try:
        return SearchResult.model_validate_json(study.read("result.json"))
    except ValidationError as error:
        cause = error.errors()[0]["msg"]
        raise StoreError(
            f"{study.path('result.json')} is damaged ({cause}); run the search again to have it written anew"
        ) from error


def _measured_cells(record: TrialRecord | None) -> dict[str, Any]:
    final = record.final if record else None
    cost = record.cost if record else None
    accuracies = final.accuracy_fractions if final else ()
    return {
        "accuracy_fraction_mean": float(np.mean(accuracies)) if accuracies else None,
        "accuracy_fraction_std": _std(accuracies),
        "gap": final.gap if final else None,
        "seconds": _seconds(record) if cost else None,
        "distill_seconds": cost.distill_seconds if cost else None,
        "evaluate_seconds": cost.evaluate_seconds if cost else None,
        "images": record.images if record and final else None,
        "set_bytes": record.set_bytes if record and final else None,
        "label_kind": record.label_kind if record and final else None,
        "train_macs": cost.train_macs if cost else None,
        "epoch_macs": cost.epoch_macs if cost else None,
        "peak_memory_bytes": cost.peak_memory_bytes if cost else None,
        "error": telling_line(record.error) if record and record.error else None,
        "images_sha256": record.images_sha256 if record else None,
        "code_sha256": record.code_sha256 if record else None,
        "device": record.device if record else None,
        "host": record.host if record else None,
        "started_at": record.started_at if record else None,
    }


def _study_cells(records: StudyRecords) -> dict[str, Any]:
    result = records.result
    config = records.trials[0][0] if records.trials else None
    finished = [record for _, record in records.trials if record and record.final]
    label_kind = result.label_kind if result else finished[0].label_kind if finished else None
    accuracies = records.baseline.accuracy_fractions if records.baseline else ()
    return {
        "study": records.name,
        "dataset": config.dataset.name if config else None,
        "method": config.method.name if config else None,
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
        "baseline_accuracy_fraction_mean": float(np.mean(accuracies)) if accuracies else None,
        "baseline_accuracy_fraction_std": _std(accuracies),
        "trials": len(records.trials),
        "seconds": sum(_seconds(record) for _, record in records.trials),
        "compression_images": result.compression_images if result else None,
        "compression_bytes": result.compression_bytes if result else None,
        "trial_id": result.winner_trial_id if result else None,
    }


def _macs_saved(baseline: Baseline | None, best: TrialRecord | None) -> dict[str, int | None]:
    cost = best.cost if best else None
    if baseline is None or cost is None:
        return {"train_macs_saved": None, "epoch_macs_saved": None}
    return {
        "train_macs_saved": baseline.train_macs - cost.train_macs,
        "epoch_macs_saved": baseline.epoch_macs - cost.epoch_macs,
    }


def _seconds(record: TrialRecord | None) -> float:
    return record.cost.distill_seconds + record.cost.evaluate_seconds if record and record.cost else 0.0


def _std(accuracies: Sequence[float]) -> float | None:
    """Sample standard deviation; none for a single network."""
    return float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None


def _frame(rows: Sequence[Mapping[str, Any]], columns_if_empty: Sequence[str]) -> pd.DataFrame:
    """A frame whose whole-number columns stay whole numbers where cells are missing."""
    columns = list(dict.fromkeys(column for row in rows for column in row)) or list(columns_if_empty)
    typed = {}
    for column in columns:
        cells = [row.get(column) for row in rows]
        present = [type(cell) for cell in cells if cell is not None]
        dtype = (
            "Int64" if present and set(present) == {int} else "float64" if present and set(present) <= {int, float} else "object"
        )
        typed[column] = pd.Series(cells, dtype=dtype)
    return pd.DataFrame(typed, columns=columns)


def _for_people(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The cells as text under headers with units, and what is the same in every row of a trial table."""
    shown = {str(c): list(frame[c]) for c in frame if str(c) not in FOR_SCRIPTS and not (len(frame) and frame[c].isna().all())}
    alike = {}
    if "state" in frame and len(frame) > 1:
        measured = set(_measured_cells(None)) - {"label_kind"}
        alike = {c: cells[0] for c, cells in shown.items() if c not in measured and len(set(map(str, cells))) == 1}
    table = {_header(c): [_cell(c, cell) for cell in cells] for c, cells in shown.items() if c not in alike}
    told = ", ".join(f"{_header(column)} {_cell(column, cell)}" for column, cell in alike.items())
    return pd.DataFrame(table, dtype=object), told


def _header(column: str) -> str:
    return IN_PERCENT.get(column) or IN_POINTS.get(column) or column


def _cell(column: str, value: Any) -> str:
    if pd.isna(value):
        return ""
    if column in IN_PERCENT or column in IN_POINTS:
        return f"{100 * value:.2f}"
    if isinstance(value, float):
        return f"{value:.1f}" if column == "seconds" else f"{value:.4g}"
    return str(value)
