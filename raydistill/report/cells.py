"""A trial's config and record as cells of a table: values by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raydistill.methods import method_configs
from raydistill.report.words import telling_line
from raydistill.spaces.sections import Config, with_left_out
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.record import TrialRecord


def config_cells(config: TrialConfig[Any]) -> dict[str, Any]:
    """Each config field under its own name, a section's `name` under the section's; a name taken twice keeps its dotted path."""
    return cells_of(whole_config(config.model_dump(mode="json")))


def whole_config(document: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's config with the fields of its method that JSON leaves out at their defaults, for tables of trials that differ."""
    model = method_configs().get(document["method"]["name"], Config)
    return {**document, "method": with_left_out(model, document["method"])}


def cells_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a config that is read as JSON."""
    cells: dict[str, Any] = {}
    for field, value in document.items():
        for key, cell in value.items() if isinstance(value, dict) else [("name", value)]:
            column = field if key == "name" else key
            cells[f"{field}.{key}" if column in cells else column] = cell
    return cells


def measured_cells(record: TrialRecord | None) -> dict[str, Any]:
    """The measurements in a trial's record; None where it has no value, and everywhere without a record."""
    final = record.final if record else None
    cost = record.cost if record else None
    accuracies = final.accuracy_fractions if final else ()
    return {
        "accuracy_fraction_mean": float(np.mean(accuracies)) if accuracies else None,
        "accuracy_fraction_std": sample_std(accuracies),
        "gap": final.gap if final else None,
        "gain_over_start": _gain_over_start(record) if record else None,
        "seconds": seconds_of(record) if cost else None,
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


def _gain_over_start(record: TrialRecord) -> float | None:
    """How far the gap of a finished set is below that of its start, which one network read; none without such a reading."""
    first = record.readings[0] if record.readings else None
    return first.gap - record.gap if record.gap is not None and first is not None and first.fraction == 0 else None


def seconds_of(record: TrialRecord | None) -> float:
    """Seconds of distilling and evaluating; 0 for a trial without a cost."""
    return record.cost.seconds if record and record.cost else 0.0


def sample_std(accuracies: Sequence[float]) -> float | None:
    """Sample standard deviation; none for a single network."""
    return float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None
