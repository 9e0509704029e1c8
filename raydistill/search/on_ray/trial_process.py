"""Code that runs in a trial's process: the trial, a log line for each reading, its gauges, its name on the dashboard.

Every trial has a process of its own. Ray reads the name of an actor (its repr) only once, when the process starts, so a process
that ran several trials would keep the first one's name. Starting a process takes 4.9 s per trial on two cores, nearly all of it
imports; reusing one takes 0.07 s (`raydistill bench --tune`). In return each trial has its own row on the Actors page and its own
log, and its memory is certainly freed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.trainable import wrap_function

from raydistill.methods import method_configs
from raydistill.search.local import run_to_a_record
from raydistill.search.on_ray.gauges import TrialGauges
from raydistill.search.on_ray.memory import report_of_kills
from raydistill.search.on_ray.probe import here, refusal
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.storage.data_root import as_data_root
from raydistill.storage.record import Reading
from raydistill.storage.store import Store

REPORT_SECONDS = 10.0
"""Interval of step reports to the driver; the trial waits until the driver has received a report."""
ALIVE = "alive"
"""Key of a report that says only that the trial goes on, while it trains the networks of a reading."""
REFUSED = "refused"
"""Key of the only report of a trial whose node does not meet the study's requirements."""


def _run(config: dict[str, Any]) -> None:
    if config["question"] is not None and (refused := refusal(config["question"])) is not None:
        tune.report({REFUSED: here(refused)})
        return
    if told := report_of_kills():
        tune.report(told)
    trial = read_trial_config(config["trial"], method_configs())
    study = Store(config["study"], is_patient=True)
    name = Path(study.root).name
    teller = _Teller(name, trial, TrialGauges(name, trial))
    tell = (teller.reading, as_data_root(config["data_root"]), teller.step)
    run_to_a_record(trial, study, *tell, alive=teller.alive, most_hours=config["most_hours"])


class _Teller:
    """Reports the trial's progress to the driver, the log and the gauges."""

    def __init__(self, study: str, trial: TrialConfig[Any], gauges: TrialGauges) -> None:
        self._study = study
        self._trial = trial
        self._gauges = gauges
        self._began = self._reported = time.monotonic()

    def reading(self, reading: Reading) -> None:
        seconds = time.monotonic() - self._began
        self._gauges.reading(reading)
        self._gauges.step(reading.step, seconds)
        print(log_line(self._study, self._trial, reading, seconds), flush=True)
        tune.report(reading.model_dump(mode="json") | report_of_kills())

    def step(self, step: int, steps: int) -> None:
        now = time.monotonic()
        self._gauges.step(step, now - self._began)
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            tune.report({"step": step, "steps": steps, **report_of_kills()})

    def alive(self) -> None:
        now = time.monotonic()
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            tune.report({ALIVE: True, **report_of_kills()})


def log_line(study: str, trial: TrialConfig[Any], reading: Reading, seconds: float) -> str:
    """A reading as a log line of keys and values; accuracy and gap are fractions, seconds count from the process's start."""
    return (
        f"study={study} trial={trial.trial_id} ask_number={trial.ask_number} ipc={trial.ipc} step={reading.step} "
        f"accuracy_fraction={reading.accuracy_fraction:.4f} gap={reading.gap:.4f} seconds={seconds:.1f}"
    )


class DistillTrial(wrap_function(_run, name="distill")):  # type: ignore[misc]
    """Tune's trainable. Its repr is the trial's name on the dashboard's Actors page and in front of each line of its log."""

    def __repr__(self) -> str:
        return actor_name(json.loads(self.config["trial"]), self.config["trial_id"], self.config["chosen"])

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """CPUs and GPUs of one trial."""
        return tune.PlacementGroupFactory([{"CPU": config["cpus"], "GPU": config["gpus"]}])


def actor_name(trial: Mapping[str, Any], trial_id: str, chosen: Mapping[str, Any]) -> str:
    """A one-line name of a trial: method or label, IPC, ask number, id, and the hyper-parameters that the search varies.

    Args:
        trial: a `TrialConfig` as JSON.
        trial_id: the trial's id.
        chosen: by dotted path the values of the fields with a range.
    """
    name = f"{trial.get('label') or trial['method']['name']} ipc={trial['ipc']} trial {trial['ask_number']} ({trial_id})"
    shown = [f"{path.rpartition('.')[2]}={_short(value)}" for path, value in sorted(chosen.items()) if path != "ipc"]
    return " ".join([name, *shown])


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value)
