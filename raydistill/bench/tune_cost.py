"""Measures the overhead of Ray Tune: the time between the ends of two trials minus the trial's own work."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from raydistill.catalogue import load_space
from raydistill.search.driver import run_search
from raydistill.search.on_ray import RayExecutor
from raydistill.search.workplace import Workplace
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import Baseline
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import Reading, TrialRecord
from raydistill.storage.store import Store

TINY = (
    "network.width=4",
    "evaluation={recipe: plain, networks: 2, baseline_networks: 2, confirm_networks: 2}",
    "goal.margin_fraction=0.5",
    "resources.max_concurrent_trials=1",
)
"""Settings for trials of about a second, one at a time."""


class TuneCost(Config):
    """Overhead of Ray Tune, in seconds."""

    trials: int
    first_trial_seconds: float
    """Overhead of the first trial: Tune's start, and a process with its imports."""
    next_trial_seconds: float
    """Overhead of each later trial; median."""
    work_seconds: float
    """A trial's own work; median."""


class _Clock:
    """A watcher that records when trials start and end."""

    def __init__(self) -> None:
        self.began = 0.0
        self.ends: list[float] = []
        self.work: list[float] = []

    def stage(self, name: str, total: int) -> None:
        if name == "trials":
            self.began = time.perf_counter()

    def jobs_found(self, count: int) -> None:
        pass

    def job_done(self) -> None:
        pass

    def baseline_known(self, baseline: Baseline) -> None:
        pass

    def trial_asked(self, config: TrialConfig[Any]) -> None:
        pass

    def trial_started(self, config: TrialConfig[Any]) -> None:
        pass

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        pass

    def step(self, config: TrialConfig[Any], step: int, steps: int) -> None:
        pass

    def trial_ended(self, record: TrialRecord) -> None:
        assert record.cost is not None, record.error
        self.ends.append(time.perf_counter())
        self.work.append(record.cost.seconds)

    def note(self, text: str) -> None:
        pass


def time_tune(trials: int = 6, data_root: DataRoot = None) -> TuneCost:
    """Run a search with tiny trials on a Ray cluster on this machine, and measure the overhead."""
    space = load_space("digits_random", [*TINY, f"budget.trials={trials}"], data_root)
    clock = _Clock()
    with tempfile.TemporaryDirectory(prefix="raydistill-bench-") as folder:
        work = Workplace(executor=RayExecutor(None, space.resources), data_root=data_root, watcher=clock)
        run_search(space, Store(folder), work)
    return tune_cost(clock.began, clock.ends, clock.work)


def tune_cost(began: float, ends: Sequence[float], work: Sequence[float]) -> TuneCost:
    """The overhead of trials that ran one after the other.

    Args:
        began: start of the first trial, in seconds.
        ends: end of each trial, in seconds; at least two.
        work: seconds of each trial's own work.
    """
    spent = [end - begin for begin, end in zip([began, *ends], ends, strict=False)]
    added = [whole - own for whole, own in zip(spent, work, strict=True)]
    return TuneCost(
        trials=len(ends),
        first_trial_seconds=added[0],
        next_trial_seconds=statistics.median(added[1:]),
        work_seconds=statistics.median(work),
    )
