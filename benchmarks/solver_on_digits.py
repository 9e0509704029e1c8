"""The strategies of `raydistill bench solver` with real trials: DataDAM on digits, with the same confirmation for all.

    python benchmarks/solver_on_digits.py --store /tmp/solver          # all strategies, seed 0: half an hour on one core
    python benchmarks/solver_on_digits.py --store /tmp/solver --strategies law,grid --seeds 0,1

A killed run continues when it is started again: records and costs of trials are in the store. One trial runs at a time, on one
thread; costs are CPU seconds, which depend less on other work on the machine than wall-clock time. ASHA is emulated as in the
simulation: a trial that it would have stopped half-way keeps its half-way reading and half of its cost. Its rung also has the
trials that stopped themselves as hopeless.

The true gaps are not known, so the rate of false claims is measured only in the simulation. Test images are not used.
"""

from __future__ import annotations

import argparse
import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from raydistill.catalogue import load_space
from raydistill.data.splits import load_splits
from raydistill.search.distributions import any_trial, field, from_parameter, from_place
from raydistill.search.jobs import Job, baseline_jobs, confirm_jobs
from raydistill.search.ladder import Rung, ladder
from raydistill.search.local import LocalExecutor
from raydistill.search.proposal import Aim
from raydistill.search.simulation.problems import Outcome
from raydistill.search.simulation.race import STRATEGIES, Trial, run_trials
from raydistill.search.simulation.strategies import Task
from raydistill.search.watcher import SilentWatcher
from raydistill.spaces.sections import dataset_config
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import Baseline, read_baseline
from raydistill.storage.record import TrialRecord
from raydistill.storage.store import Store
from raydistill.trial.baseline import finish_baseline
from raydistill.trial.confirm import finish_confirmation
from raydistill.trial.run import run_trial

SPACE = "digits_datadam"
T = TypeVar("T")


class Row(NamedTuple):
    """The result of one search."""

    strategy: str
    seed: int
    trials: int
    claim: int | None
    """Smallest confirmed IPC."""
    upper: float | None
    """Upper bound of its gap, a fraction."""
    confirmed: int
    """Number of candidates that were tested on the confirm images."""
    search_seconds: float
    confirm_seconds: float


class RealProblem:
    """Digits with the interface of a simulated problem, as `Task` and `run_trials` use it."""

    is_distilled = True

    def __init__(self, space: SearchSpace, study: Store, baseline: Baseline) -> None:
        """Use a study with an existing baseline."""
        self.number = space.seed
        (self._arm,), self._study = space.arms, study
        self._data_sha256 = load_splits(dataset_config(space.shared["dataset"]), None).sha256
        where = field(self._arm)
        self.dimensions, self.lowest, self.highest = len(where.options), where.lowest, where.highest
        evaluation = any_trial(self._arm, self._data_sha256).evaluation
        select_images, confirm_images = baseline.effective_images
        self._confidence = space.goal.confidence
        self.aim = Aim.planned(
            space.goal.margin_fraction,
            self._confidence,
            lossy_confidence=self._confidence,
            select_images=select_images,
            confirm_images=confirm_images,
            networks=evaluation.networks,
            confirm_networks=evaluation.confirm_networks,
        )
        self.configs: dict[int, TrialConfig[Any]] = {}

    def run(self, number: int, place: NDArray[np.float64], ipc: int) -> Outcome:
        """Run a real trial, or read its record if it exists."""
        chosen = from_place(self._arm, place.tolist(), ipc)
        values = {path: from_parameter(self._arm.ranges[path], parameter) for path, parameter in chosen.items()}
        config = self._arm.trial(ask_number=number, values=values, data_sha256=self._data_sha256)
        self.configs[number] = config
        name = f"trials/{config.trial_id}"
        self._study.write(f"{name}/config.json", config.canonical_json())
        record, seconds = timed(self._study, f"{name}/cpu_seconds.json", lambda: run_trial(config, self._study, lambda _: None))
        return as_outcome(record, seconds)

    def confirm(self, number: int) -> tuple[float, float]:
        """Upper bound of the gap of trial `number`'s set on the confirm images, and the CPU seconds of the confirmation."""
        config = self.configs[number]

        def run() -> None:
            LocalExecutor().run_jobs(confirm_jobs(config, self._study, None), SilentWatcher())

        _, seconds = timed(self._study, f"trials/{config.trial_id}/confirm_seconds.json", run)
        return finish_confirmation(config, self._study, self._confidence).interval.upper, seconds


def timed(study: Store, name: str, work: Callable[[], T]) -> tuple[T, float]:
    """The result of some work, and the CPU seconds of its first run, which are stored under a name."""
    began = time.process_time()
    done = work()
    if not study.exists(name):
        study.write_json(name, time.process_time() - began)
    return done, float(study.read_json(name))


def as_outcome(record: TrialRecord, seconds: float) -> Outcome:
    """A record as an outcome of the simulation; the true gap is not known."""
    gaps = [reading.gap for reading in record.readings]
    half_way = next((reading.gap for reading in record.readings if reading.fraction == 0.5), math.inf)
    return Outcome(
        gap=gaps[-1] if record.state in ("finished", "pruned") and gaps else None,
        is_finished=record.state == "finished",
        is_out_of_memory=record.state == "out_of_memory",
        half_way=half_way,
        is_hopeless=False,
        true_gap=math.nan,
        cost=seconds,
    )


def search(strategy: str, seed: int, budget: int, store: Store) -> Row:
    """One search and its confirmation, from the largest candidate down."""
    space = load_space(SPACE, [f"seed={seed}", f"study={SPACE}-{strategy}-{seed}", "resources.cpus_per_trial=1"], None)
    study = store.at(space.study)
    problem = RealProblem(space, study, baseline_of(space, store, study))
    trials = run_trials(problem, STRATEGIES[strategy](Task(problem, budget)), budget, workers=1)  # type: ignore[arg-type]
    claim, upper, confirmed, confirm_seconds = None, None, 0, 0.0
    for rung in ladder(rungs(trials), problem.aim.margin):
        bound, seconds = problem.confirm(rung.number)
        confirmed, confirm_seconds = confirmed + 1, confirm_seconds + seconds
        if bound > problem.aim.margin:
            break
        claim, upper = rung.ipc, bound
    return Row(strategy, seed, len(trials), claim, upper, confirmed, sum(t.outcome.cost for t in trials), confirm_seconds)


def rungs(trials: Sequence[Trial]) -> list[Rung]:
    """Finished trials as candidates."""
    return [Rung(t.seen.ipc, t.seen.gap, t.seen.number) for t in trials if t.seen.is_finished and t.seen.gap is not None]


def baseline_of(space: SearchSpace, store: Store, study: Store) -> Baseline:
    """The baseline, trained once per store, because it does not depend on the search."""
    shared = store.at("baseline-of-all")
    config = any_trial(space.arms[0], load_splits(dataset_config(space.shared["dataset"]), None).sha256)
    if read_baseline(shared) is None:
        jobs: Sequence[Job] = baseline_jobs(config, shared, None)
        LocalExecutor().run_jobs(jobs, SilentWatcher())
        finish_baseline(config, shared, None)
    shutil.copytree(shared.local_path("baseline"), study.local_path("baseline"), dirs_exist_ok=True)
    baseline = read_baseline(study)
    assert baseline is not None
    return baseline


def as_markdown(row: Row) -> str:
    """A line of the table."""
    claim = "none" if row.claim is None else str(row.claim)
    upper = "" if row.upper is None else f"{100 * row.upper:.2f}"
    seconds = (f"{row.search_seconds:.0f}", f"{row.confirm_seconds:.0f}")
    return f"| {' | '.join((row.strategy, str(row.seed), str(row.trials), claim, upper, str(row.confirmed), *seconds))} |"


def main() -> None:
    """Run the requested searches, and print each row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, type=Path, help="folder for the trials")
    parser.add_argument("--strategies", default=",".join(STRATEGIES), help="joined by commas")
    parser.add_argument("--seeds", default="0", help="joined by commas")
    parser.add_argument("--trials", type=int, default=12, help="budget of each search")
    given = parser.parse_args()
    heads = ("strategy", "seed", "trials", "IPC confirmed", "upper bound (points)", "confirmed", "search (s)", "confirmation (s)")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for seed in map(int, given.seeds.split(",")):
        for strategy in given.strategies.split(","):
            print(as_markdown(search(strategy, seed, given.trials, Store(str(given.store)).absolute)), flush=True)


if __name__ == "__main__":
    main()
