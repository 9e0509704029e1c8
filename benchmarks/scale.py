"""The driver of a search with 500 workers and 10,000 trials: its time per trial, its memory, how long workers wait for it.

    python benchmarks/scale.py [--at 100,1000,5000,10000] [--workers 500] [--kind "a race"] [--sampler law] [--profile]
    python benchmarks/scale.py --whole 10000 [--workers 500] ...

Nothing is trained, and no worker runs: a trial's record is made up, and written as a worker writes it. All that the driver does
is real and measured: asking (the sampler, `config.json`, `study.db`), reading the record of a trial that ended, telling it
(`spent.json`, `study.db` and its copies), and the live table of a terminal. Ray Tune is not part of it; `raydistill bench tune`
measures what it adds.

The trials that ended before are put into the driver's memory without their files, and `study.db` holds only the later ones: none
of what is timed reads a file of an earlier trial. With `--whole` no trial is put there: the driver serves all of them.

The share of time in which workers wait follows from the measured seconds: the driver serves one trial at a time, and a worker
whose trial ended waits until the driver has told that trial and asked for the next. Between the measured numbers of trials the
seconds are taken to grow evenly; with `--whole` each trial has its own.
"""

from __future__ import annotations

import argparse
import cProfile
import heapq
import os
import pstats
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parent))
from growth import SPACES, made_up_baseline, made_up_record, made_up_trials, space_of

from raydistill.report.progress import RichWatcher
from raydistill.search.outcome import read_outcome
from raydistill.search.proposal import Aim
from raydistill.search.sampler import config_parameters
from raydistill.search.solver import Solver
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.record import TrialRecord, read_record, write_record
from raydistill.storage.store import Store

AIM = Aim(margin=0.03, half_width=0.01, shift_deviation=0.008, lossy_width=0.01)
SPREAD = 0.3
"""Standard deviation of the logarithm of a trial's duration."""
TRIALS = 10_000
MEASURED = 50
"""Trials over which a mean is taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seconds:
    """Of the driver for one trial: by the clock, and of the processor, without waiting for disk or core."""

    clock: float
    cpu: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """The driver's work for one trial."""

    ask: Seconds
    """The proposal, with the files that are written for it."""
    tell: Seconds
    """Reading its record and telling it."""
    show: Seconds
    """The live table: asked, started, three readings, ended."""

    @property
    def clock(self) -> float:
        """All of it, by the clock."""
        return self.ask.clock + self.tell.clock + self.show.clock

    @property
    def cpu(self) -> float:
        """All of it, of the processor."""
        return self.ask.cpu + self.tell.cpu + self.show.cpu


class Stopwatch:
    """Seconds of the blocks that it times."""

    def __init__(self) -> None:
        self._clock = self._cpu = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time a block."""
        clock, cpu = time.perf_counter(), time.process_time()
        yield
        self._clock += time.perf_counter() - clock
        self._cpu += time.process_time() - cpu

    @property
    def seconds(self) -> Seconds:
        """All blocks together."""
        return Seconds(clock=self._clock, cpu=self._cpu)


def space_for(kind: str, trials: int, sampler: str) -> SearchSpace:
    """A space with a budget in trials, hours and GPU hours, so that all are counted."""
    budget = {"hours": 1000.0, "gpu_hours": 1e6}
    return space_of(kind, trials, budget=budget, search={"sampler": sampler}, resources={"gpus_per_trial": 1})


def drive(
    space: SearchSpace, folder: Path, *, told: int, measured: int, workers: int, profile: cProfile.Profile | None = None
) -> tuple[list[Served], list[str]]:
    """Run part of a search: `told` trials have ended, all workers are busy, and then so many trials end.

    Returns:
        The driver's work for each of these, and the ids of all trials that were asked for.
    """
    study, random, served = Store(str(folder / "study")), np.random.default_rng(2), []
    with open(os.devnull, "w") as nowhere:
        watcher = RichWatcher(Console(file=nowhere, force_terminal=True, width=120))
        solver = Solver(space, study, aim=AIM, data_sha256="d" * 64, database=folder / "study.db")
        with closing(watcher):
            watcher.baseline_known(made_up_baseline())
            watcher.stage("trials", space.budget.trials)
            for config, record in made_up_trials(space, told):
                put_into(solver, config, record)
                watcher._tally.trial_ended(record)
            running = [start(solver, watcher, Stopwatch(), Stopwatch()) for _ in range(workers)]
            ids = [config.trial_id for config in running]
            if profile is not None:
                profile.enable()
            for _ in range(measured):
                config = running.pop(0)
                write_record(study, made_up_record(config, random))  # the worker's part
                one, new = serve(solver, watcher, study, config)
                served.append(one)
                running.append(new)
                ids.append(new.trial_id)
            if profile is not None:
                profile.disable()
    return served, ids


def put_into(solver: Solver, config: TrialConfig[Any], record: TrialRecord) -> None:
    """Make a trial one that ended, as the solver has it when it continues a study."""
    solver._configs[config.ask_number], solver._records[config.ask_number] = config, record
    outcome = read_outcome(record, solver.space.goal.margin_fraction)
    params, found = config_parameters(solver.space, config)
    solver._study.add_trial(
        optuna.trial.create_trial(
            state=outcome.state,
            value=outcome.value,
            params=params,
            distributions=found,
            user_attrs={"ask_number": config.ask_number, **outcome.notes},
            constraints=None if outcome.constraint is None else {"gap": outcome.constraint},
        )
    )


def start(solver: Solver, watcher: RichWatcher, asking: Stopwatch, showing: Stopwatch) -> TrialConfig[Any]:
    """Ask for a trial, and show that it starts."""
    with asking.running():
        config = solver.ask()
    assert config is not None
    with showing.running():
        watcher.trial_asked(config)
        watcher.trial_started(config)
    return config


def serve(solver: Solver, watcher: RichWatcher, study: Store, config: TrialConfig[Any]) -> tuple[Served, TrialConfig[Any]]:
    """A trial has ended: it is read, told and shown, and the next is asked for and given back."""
    asking, telling, showing = Stopwatch(), Stopwatch(), Stopwatch()
    with telling.running():
        record = read_record(study, config.trial_id)
        assert record is not None
        solver.tell(record)
    with showing.running():
        for reading in record.readings:
            watcher.reading(config, reading)
        watcher.trial_ended(record)
    new = start(solver, watcher, asking, showing)
    return Served(ask=asking.seconds, tell=telling.seconds, show=showing.seconds), new


def waiting_share(seconds: Sequence[float], workers: int, mean_seconds: float) -> float:
    """Share of the workers' time in which they wait for the driver, until the last trial is handed out.

    Args:
        seconds: of the driver, by trial.
        workers: trials at the same time.
        mean_seconds: mean duration of a trial.
    """
    factors = np.random.default_rng(2).lognormal(-(SPREAD**2) / 2, SPREAD, len(seconds))
    free_at = [(0.0, worker) for worker in range(min(workers, len(seconds)))]
    driver_free = waited = worked = 0.0
    for own, factor in zip(seconds, factors.tolist(), strict=True):
        since, worker = heapq.heappop(free_at)
        driver_free = max(driver_free, since) + own
        waited += driver_free - since
        worked += mean_seconds * factor
        heapq.heappush(free_at, (driver_free + mean_seconds * factor, worker))
    return waited / (waited + worked)


def peak_mebibytes() -> int:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def milliseconds(served: Sequence[Served]) -> list[float]:
    """Means over trials: asking, telling, the live table and all together in CPU time, then all by the clock."""
    parts = [[one.ask.cpu, one.tell.cpu, one.show.cpu, one.cpu, one.clock] for one in served]
    return [1000 * statistics.mean(column) for column in zip(*parts, strict=True)]


def print_waiting(by_cpu: Sequence[float], by_clock: Sequence[float], workers: int) -> None:
    """Print the share of waiting for trials of one and of ten minutes.

    Args:
        by_cpu: seconds of the driver's processor, by trial.
        by_clock: the same by the clock.
        workers: trials at the same time.
    """
    for minutes in (1, 10):
        cpu, clock = (100 * waiting_share(seconds, workers, 60.0 * minutes) for seconds in (by_cpu, by_clock))
        print(f"{len(by_cpu)} trials of {minutes} min: workers wait {cpu:.1f} % of their time by CPU, {clock:.1f} % by the clock")


def measure_parts(options: argparse.Namespace, at: Sequence[int], profile: cProfile.Profile | None) -> None:
    """Print the driver's seconds at some numbers of ended trials, and the waiting that follows."""
    means = []
    print("| trials ended | ask (ms of CPU) | read and tell | live table | together | by the clock (ms) | peak memory (MiB) |")
    print("|---|---|---|---|---|---|---|")
    for told in at:
        space = space_for(options.kind, told + options.workers + MEASURED + 1, options.sampler)
        with tempfile.TemporaryDirectory() as folder:
            profiled = profile if told == at[-1] else None
            served, _ = drive(space, Path(folder), told=told, measured=MEASURED, workers=options.workers, profile=profiled)
        means.append(milliseconds(served))
        print(f"| {told} | " + " | ".join(f"{mean:.1f}" for mean in means[-1]) + f" | {peak_mebibytes()} |", flush=True)
    by_cpu, by_clock = (np.interp(np.arange(TRIALS), at, [row[column] / 1000 for row in means]).tolist() for column in (3, 4))
    print_waiting(by_cpu, by_clock, options.workers)


def measure_whole(options: argparse.Namespace, profile: cProfile.Profile | None) -> None:
    """Print the driver's seconds for every tenth part of a whole search, and the waiting that follows."""
    space = space_for(options.kind, options.whole + options.workers + 1, options.sampler)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        served, _ = drive(space, Path(folder), told=0, measured=options.whole, workers=options.workers, profile=profile)
    seconds = time.perf_counter() - began
    print("| trials | ask (ms of CPU) | read and tell | live table | together | by the clock (ms) | longest by the clock (ms) |")
    print("|---|---|---|---|---|---|---|")
    for first in range(0, options.whole, step := max(1, options.whole // 10)):
        part = served[first : first + step]
        longest = 1000 * max(one.clock for one in part)
        means = " | ".join(f"{mean:.1f}" for mean in milliseconds(part))
        print(f"| {first + 1} to {first + len(part)} | {means} | {longest:.0f} |")
    print(f"{seconds:.0f} s, peak memory {peak_mebibytes()} MiB")
    print_waiting([one.cpu for one in served], [one.clock for one in served], options.workers)


def main() -> None:
    """Print what the driver needs for a trial, and the waiting that follows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", default="100,1000,5000,10000", help="numbers of trials that have ended")
    parser.add_argument(
        "--whole", type=int, metavar="TRIALS", help="serve every trial of a search with so many, in place of --at"
    )
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--kind", choices=list(SPACES), default="one method")
    parser.add_argument("--sampler", default="law", choices=["law", "tpe", "random"])
    parser.add_argument("--profile", action="store_true", help="print the largest parts at the last number")
    options = parser.parse_args()
    print(f"{options.kind}, sampler {options.sampler}, {options.workers} workers\n")
    profile = cProfile.Profile() if options.profile else None
    if options.whole:
        measure_whole(options, profile)
    else:
        measure_parts(options, [int(one) for one in options.at.split(",")], profile)
    if profile is not None:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)


if __name__ == "__main__":
    main()
