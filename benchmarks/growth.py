"""How reading a study and choosing its next trial grow with the number of records.

    python benchmarks/growth.py --records 1000,10000 --told 100,1000

Makes studies of made-up records in a temporary folder and runs `raydistill tables` and `raydistill status` on them, each in a new
process. Then a solver is told so many trials, and its next choices are timed. Prints medians of seconds, and the memory of a
process at its largest. Nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from raydistill.catalogue import known
from raydistill.search.distributions import complete_document
from raydistill.search.proposal import Aim
from raydistill.search.solver import Solver
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import Range, SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import Baseline, BaselineReading
from raydistill.storage.record import Cost, Reading, TrialRecord, pack_bits
from raydistill.storage.store import Store
from raydistill.storage.versioned import sealed_json

SELECT, CONFIRM = 250, 300
SPACES: dict[str, dict[str, Any]] = {
    "one method": {"method": {"name": "datadam", "lr_images": {"low": 0.1, "high": 10.0, "log": True}}, "controls": []},
    "a race": {
        "methods": [{"name": "datadam", "lr_images": {"low": 0.1, "high": 10.0, "log": True}}, {"name": "dm", "batch_real": 64}]
    },
}
"""A space of one arm, and one of two methods and the default controls."""


def space_of(kind: str, trials: int, *, budget: Mapping[str, float] | None = None, **sections: Any) -> SearchSpace:
    """The space whose trials are made up; `budget` beside the trials, and further sections."""
    document = {
        "study": "made-up",
        "dataset": {"name": "digits"},
        "network": {"name": "convnet", "depth": 2, "width": 32},
        "ipc": {"low": 1, "high": 60},
        "goal": {"margin_fraction": 0.03},
        "budget": {"trials": trials, **(budget or {})},
        **SPACES[kind],
        **sections,
    }
    facts = replace(known(None), data_facts=lambda _: DataFacts(smallest_class=79, confirm_images=CONFIRM, shape=(1, 8, 8)))
    return parse_space(yaml.safe_dump(document), facts)


def made_up_trials(space: SearchSpace, count: int) -> Iterator[tuple[TrialConfig[Any], TrialRecord]]:
    """Trials at random places whose gap follows a law of IPC, with noise; in a race each arm has as many."""
    random = np.random.default_rng(0)
    for number in range(count):
        arm = space.arms[number % len(space.arms)]
        values: dict[str, Any] = {}
        for path, dimension in arm.ranges.items():
            assert isinstance(dimension, Range)
            value = float(np.exp(random.uniform(np.log(dimension.low), np.log(dimension.high))))
            values[path] = round(value) if dimension.whole else value
        config = arm.trial(ask_number=number, values=values, data_sha256="d" * 64)
        yield config, made_up_record(config, random)


def made_up_record(config: TrialConfig[Any], random: np.random.Generator) -> TrialRecord:
    """The record of a trial whose gap follows a law of IPC, with noise."""
    gap = 0.1 / np.sqrt(config.ipc) + 0.005 * random.standard_normal()
    correct = random.random((5, SELECT)) < 0.97 - gap
    accuracies = tuple(correct.mean(axis=1).tolist())
    readings = [
        Reading(step=step, fraction=step / 100, accuracy_fractions=accuracies, gap=0.97 - float(np.mean(accuracies)), loss=0.5)
        for step in (0, 50, 100)
    ]
    return TrialRecord(
        trial_id=config.trial_id,
        state="finished",
        config=json.loads(config.canonical_json()),
        readings=tuple(readings),
        select_correct=pack_bits(correct),
        images=10 * config.ipc,
        set_bytes=2570 * config.ipc,
        cost=Cost(distill_seconds=10.0, evaluate_seconds=2.0, peak_memory_bytes=10**9, train_macs=10**9, epoch_macs=10**7),
        code_sha256="c" * 64,
        versions={},
        device="cpu",
        host="here",
        started_at="2026-11-23T00:00:00+00:00",
    )


def made_up_baseline() -> Baseline:
    """Five networks that are right on 97 % of the images."""
    random = np.random.default_rng(1)
    right = [random.random((5, images)) < 0.97 for images in (SELECT, CONFIRM)]
    select, confirm = map(pack_bits, right)
    readings = [
        BaselineReading(seed=n, steps=1000, select_correct=a, confirm_correct=b, seconds=1.0)
        for n, (a, b) in enumerate(zip(select, confirm, strict=True))
    ]
    return Baseline(
        recipe="default",
        steps=1000,
        doubled_moves_by=0.0,
        is_admissible=True,
        accuracy_fractions=tuple(right[0].mean(axis=1).tolist()),
        readings=tuple(readings),
        select_images=SELECT,
        confirm_images=CONFIRM,
        train_images=797,
        train_bytes=51805,
        train_macs=10**9,
        epoch_macs=10**7,
        code_sha256="c" * 64,
    )


def write_study(folder: Path, space: SearchSpace, count: int) -> None:
    """A study with so many records; files are written without waiting for the disk."""
    (folder / "baseline").mkdir(parents=True)
    (folder / "search_space.yaml").write_text(yaml.safe_dump(complete_document(space)))
    (folder / "baseline" / "baseline.json").write_text(made_up_baseline().model_dump_json(indent=2))
    for config, record in made_up_trials(space, count):
        trial = folder / "trials" / config.trial_id
        trial.mkdir(parents=True)
        (trial / "config.json").write_text(config.canonical_json())
        (trial / "record.json").write_text(sealed_json(record))


def run(*words: str) -> tuple[float, int]:
    """Seconds and largest resident mebibytes of a command in a process of its own."""
    started = time.perf_counter()
    with open(os.devnull, "w") as nowhere:
        actions = [(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1)]
        process = os.posix_spawn(sys.executable, [sys.executable, "-m", "raydistill", *words], os.environ, file_actions=actions)
        _, status, usage = os.wait4(process, 0)
    if status:
        sys.exit(f"raydistill {' '.join(words)} ended with exit code {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_maxrss // 1024


def time_reading(kind: str, count: int, repetitions: int) -> None:
    """Print the seconds of the commands that read a study."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "made-up"
        write_study(study, space_of(kind, count), count)
        for command in ("tables", "status"):
            taken = [run(command, str(study)) for _ in range(repetitions)]
            seconds, memory = (statistics.median(values) for values in zip(*taken, strict=True))
            print(f"{kind}, {count} records: {command} {seconds:.2f} s, {memory} MiB", flush=True)


def time_choosing(kind: str, told: int, repetitions: int) -> None:
    """Print the seconds of a solver's start from so many records, and of its next choices."""
    space = space_of(kind, told + repetitions + 1)
    with tempfile.TemporaryDirectory() as folder:
        write_study(Path(folder) / "made-up", space, told)
        aim = Aim(margin=space.goal.margin_fraction, half_width=0.01, shift_deviation=0.008, lossy_width=0.01)
        started = time.perf_counter()
        database = Path(folder) / "local.db"
        solver = Solver(space, Store(f"{folder}/made-up"), aim=aim, data_sha256="d" * 64, database=database)
        start, taken = time.perf_counter() - started, []
        record = solver.records[0]
        for _ in range(repetitions):
            began = time.perf_counter()
            config = solver.ask()
            taken.append(time.perf_counter() - began)
            assert config is not None
            own = {"trial_id": config.trial_id, "config": json.loads(config.canonical_json())}
            solver.tell(record.model_copy(update=own))
        solver.close()
    print(f"{kind}, {told} told: start {start:.2f} s, choice {statistics.median(taken):.3f} s", flush=True)


def main() -> None:
    """Print what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", default="1000,10000", help="sizes of the studies that are read; empty for none")
    parser.add_argument("--told", default="100,1000", help="trials told before the choices; empty for none")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    for kind in SPACES:
        for count in filter(None, options.records.split(",")):
            time_reading(kind, int(count), options.repetitions)
        for told in filter(None, options.told.split(",")):
            time_choosing(kind, int(told), options.repetitions)


if __name__ == "__main__":
    main()
