"""Spaces, records and baselines made without training, for tests of the search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from raydistill.methods import method_configs
from raydistill.search.local import LocalExecutor
from raydistill.search.proposal import Aim
from raydistill.search.workplace import Workplace
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.known import Known
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import Baseline, BaselineReading
from raydistill.storage.record import Cost, Reading, State, TrialRecord, code_sha256, pack_bits
from raydistill.storage.store import Store

KNOWN = Known(
    methods=method_configs(),
    datasets=("digits",),
    recipes=("default", "plain", "quick_plain"),
    data_facts=lambda _: DataFacts(smallest_class=79, confirm_images=300),
    smallest_margin=lambda *_: 0.0,
)

SPACE = """
study: made-up
seed: 0
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 4}
method:
  name: datadam
  lr_images: {low: 0.1, high: 10.0, log: true}
  random_inits: {low: 10, high: 20}
  init: {choices: [real, noise]}
ipc: {low: 1, high: 60}
goal: {margin_fraction: 0.02}
controls: []
budget: {trials: 4}
"""


AIM = Aim(margin=0.02, half_width=0.005, shift_deviation=0.004, lossy_width=0.005)


def space(*overrides: str, text: str = SPACE) -> SearchSpace:
    return parse_space(text, KNOWN, overrides=overrides)


def workplace(watcher: Any = None, executor: Any = None) -> Workplace:
    """This process, with the data in its default folder, and a watcher that remembers."""
    return Workplace(executor=executor or LocalExecutor(), data_root=None, watcher=watcher or Told())


def record(config: TrialConfig[Any], gap: float | None, state: State = "finished", **changes: Any) -> TrialRecord:
    """A record of 3 seconds; no readings if the gap is None."""
    reading = {"step": 9, "fraction": 1.0, "accuracy_fractions": (0.5,), "gap": gap, "loss": 0.1}
    fields: dict[str, Any] = {
        "trial_id": config.trial_id,
        "state": state,
        "config": json.loads(config.canonical_json()),
        "readings": () if gap is None else (Reading.model_construct(**reading),),
        "images": 10 * config.ipc,
        "set_bytes": 100 * config.ipc,
        "cost": Cost(distill_seconds=2.0, evaluate_seconds=1.0, peak_memory_bytes=1, train_macs=1, epoch_macs=1),
        "code_sha256": code_sha256(),
        "versions": {},
        "device": "cpu",
        "host": "here",
        "started_at": "2026-11-23T00:00:00+00:00",
    }
    return TrialRecord.model_construct(**{**fields, **changes})


def correct(right: Sequence[int], images: int = 100) -> Any:
    """(R, images) booleans: network r gets the first `right[r]` images right."""
    return np.array([np.arange(images) < count for count in right])


def baseline(*, is_admissible: bool = True, right: tuple[int, int] = (98, 96)) -> Baseline:
    """Two networks that get 98 and 96 of 100 images right, or so many; 797 train images in 51,805 bytes."""
    packed = pack_bits(correct(right))
    rows = [
        BaselineReading(seed=i, steps=9, select_correct=bits, confirm_correct=bits, seconds=1.0) for i, bits in enumerate(packed)
    ]
    return Baseline(
        recipe="made up",
        steps=9,
        doubled_moves_by=0.0 if is_admissible else 0.01,
        is_admissible=is_admissible,
        accuracy_fractions=(right[0] / 100, right[1] / 100),
        readings=tuple(rows),
        select_images=100,
        confirm_images=100,
        train_images=797,
        train_bytes=51805,
        train_macs=1,
        epoch_macs=1,
        code_sha256=code_sha256(),
    )


def write_config(study: Store, config: TrialConfig[Any]) -> None:
    study.write(f"trials/{config.trial_id}/config.json", config.canonical_json())


class Told:
    """A watcher that records its calls."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def stage(self, name: str, total: int) -> None:
        self.events.append(("stage", (name, total)))

    def jobs_found(self, count: int) -> None:
        self.events.append(("found", count))

    def job_done(self) -> None:
        self.events.append(("job", None))

    def baseline_known(self, baseline: Baseline) -> None:
        self.events.append(("baseline", baseline.is_admissible))

    def trial_asked(self, config: TrialConfig[Any]) -> None:
        self.events.append(("asked", config.ask_number))

    def trial_started(self, config: TrialConfig[Any]) -> None:
        self.events.append(("started", config.ask_number))

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        self.events.append(("reading", (config.ask_number, reading)))

    def step(self, config: TrialConfig[Any], step: int, steps: int) -> None:
        self.events.append(("step", (config.ask_number, step, steps)))

    def trial_ended(self, record: TrialRecord) -> None:
        self.events.append(("ended", (record.ask_number, record.state)))

    def note(self, text: str) -> None:
        self.events.append(("note", text))

    def all(self, kind: str) -> list[Any]:
        return [what for event, what in self.events if event == kind]
