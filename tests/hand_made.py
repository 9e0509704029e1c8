"""A study written by hand: small numbers, so that each cell of a table can be worked out on paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from raydistill.methods.configs.datadam import DataDAMConfig
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import DatasetConfig, EvaluationConfig, GoalConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import Baseline
from raydistill.storage.record import Cost, Reading, State, TrialRecord, code_sha256, write_record
from raydistill.storage.result import GapBounds, SearchResult
from raydistill.storage.store import Store

SMALL: dict[str, Any] = {
    "study": "tiny",
    "dataset": {"name": "digits"},
    "network": {"name": "convnet", "depth": 2, "width": 8},
    "method": {"name": "datadam", "random_inits": 2, "lr_images": {"low": 0.1, "high": 10.0, "log": True}},
    "ipc": {"low": 1, "high": 60, "log": True},
    "goal": {"margin_fraction": 0.02},
    "controls": [],
    "budget": {"trials": 2},
}
"""A space whose trials take a moment on digits."""
STORED: dict[str, Any] = {
    "study": "by-hand",
    "seed": 0,
    "dataset": {"name": "digits"},
    "network": {"name": "convnet"},
    "ipc": 10,
    "resources": {},
    "method": {"name": "datadam"},
    "evaluation": {"baseline_networks": 3, "confirm_networks": 4},
    "goal": {"margin_fraction": 0.02},
    "controls": [],
    "budget": {"trials": 6},
}
"""What `status` reads of the space that a study was started with."""
FIXED = ["ipc=3", "method.lr_images=0.1", "evaluation.recipe=plain", "evaluation.networks=2"]
"""Overrides that leave it without ranges."""


def trial_config(ask_number: int, ipc: int, lr_images: float = 1.0) -> TrialConfig[Any]:
    return TrialConfig[DataDAMConfig](
        seed=ask_number,
        ask_number=ask_number,
        dataset=DatasetConfig(name="digits"),
        data_sha256="d" * 64,
        network=ConvNetConfig(name="convnet", depth=2, width=32),
        method=DataDAMConfig(name="datadam", lr_images=lr_images),
        ipc=ipc,
        evaluation=EvaluationConfig(),
        goal=GoalConfig(margin_fraction=0.02),
    )


def trial_record(
    config: TrialConfig[Any], accuracies: tuple[float, ...], state: State = "finished", **changes: Any
) -> TrialRecord:
    """A trial that took 10 + 2 seconds and whose gap is taken to 0.98."""
    reading = Reading(step=9, fraction=1.0, accuracy_fractions=accuracies, gap=0.98 - sum(accuracies) / len(accuracies), loss=0.5)
    cost = Cost(
        distill_seconds=10.0, evaluate_seconds=2.0, peak_memory_bytes=1000, train_macs=400 * config.ipc, epoch_macs=4 * config.ipc
    )
    fields = {
        "trial_id": config.trial_id,
        "state": state,
        "config": json.loads(config.canonical_json()),
        "readings": (reading,),
        "images": 10 * config.ipc,
        "set_bytes": 2570 * config.ipc,
        "cost": cost,
        "code_sha256": "c" * 64,
        "versions": {},
        "device": "cpu",
        "host": "here",
        "started_at": "2026-11-23T00:00:00+00:00",
    }
    return TrialRecord.model_validate({**fields, **changes})


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ended(ask_number: int, ipc: int, accuracy: float = 0.97, **changes: Any) -> tuple[TrialConfig[Any], TrialRecord]:
    """A trial and its record."""
    config = trial_config(ask_number, ipc)
    return config, trial_record(config, (accuracy,), **changes)


def baseline() -> Baseline:
    return Baseline(
        recipe="default: SGD",
        steps=1000,
        doubled_moves_by=0.001,
        is_admissible=True,
        accuracy_fractions=(0.97, 0.99),
        readings=(),
        select_images=250,
        confirm_images=300,
        train_images=797,
        train_bytes=51805,
        train_macs=100_000,
        epoch_macs=1_000,
        code_sha256=code_sha256(),
    )


class HandMade:
    """Builds one study's folder."""

    def __init__(self, folder: Path) -> None:
        self.study = Store(str(folder))
        sections = ("dataset", "network", "method", "evaluation", "goal", "budget", "resources")
        self.study.write_json("search_space.yaml", {"study": "by-hand", "seed": 0, "ipc": 10, **{name: {} for name in sections}})
        self.study.write("baseline/baseline.json", baseline().model_dump_json())
        self.asked = 0

    def trial(self, ipc: int, accuracies: tuple[float, ...] | None = (0.98,), *, lr_images: float = 1.0, **changes: Any) -> str:
        """Add a trial, unfinished if its accuracies are None; returns its id."""
        config = trial_config(self.asked, ipc, lr_images)
        self.asked += 1
        self.study.write(f"trials/{config.trial_id}/config.json", config.canonical_json())
        if accuracies is not None:
            write_record(self.study, trial_record(config, accuracies, **changes))
        return config.trial_id

    def result(self, **changes: Any) -> SearchResult:
        """Write the result of a search that found IPC 10; returns it."""
        fields = {
            "study": "by-hand",
            "dataset": "digits",
            "method": "datadam",
            "label_kind": "hard",
            "verdict": "lossless",
            "reason": "the bound is within the margin",
            "smallest_lossless_ipc": 10,
            "winner_trial_id": "0123456789ab",
            "largest_lossy_ipc": 4,
            "largest_lossy_trials": 3,
            "largest_ipc_tried": 60,
            "closest_gap": 0.005,
            "margin_fraction": 0.02,
            "confidence": 0.95,
            "gap_interval": GapBounds(gap=0.01, lower=0.002, upper=0.018, confidence=0.95, networks=10, images=300),
            "confirmed_candidates": 1,
            "baseline_accuracy_fraction": (0.97, 0.99),
            "baseline_admissible": True,
            "trials": {"finished": 2, "crashed": 1, "pruned": 0},
            "compression_images": 7.97,
            "compression_bytes": 2.0,
            "seconds": 100.0,
        }
        result = SearchResult.model_validate({**fields, **changes})
        self.study.write("result.json", result.model_dump_json(indent=2))
        return result
