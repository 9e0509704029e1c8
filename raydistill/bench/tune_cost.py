"""What Ray Tune adds to a trial: seconds between two ends that the trial itself does not account for."""

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
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import Reading, TrialRecord
from raydistill.storage.store import Store
from raydistill.trial.baseline import Baseline

TINY = (
    "network.width=4",
    "evaluation={recipe: plain, networks: 2, baseline_networks: 2, confirm_networks: 2}",
    "goal.margin_fraction=0.5",
    "resources.max_concurrent_trials=1",
)
"""Trials of a second or so, one at a time."""


class TuneCost(Config):
    """Seconds that are not the trials' own work."""

    trials: int
    first_trial_seconds: float
    """Before and after the first trial's work: Tune's start, and a process with its imports."""
    next_trial_seconds: float
    """The same for each later one; median."""
    work_seconds: float
    """A trial's own work; median."""


class _Clock:
    """A watcher that notes when the trials begin and end."""

    def __init__(self) -> None:
        self.began = 0.0
        self.ends: list[float] = []
        self.work: list[float] = []

    def stage(self, name: str, total: int) -> None:
        if name == "trials":
            self.began = time.perf_counter()

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
        self.work.append(record.cost.distill_seconds + record.cost.evaluate_seconds)

    def note(self, text: str) -> None:
        pass


def time_tune(trials: int = 6, data_root: DataRoot = None) -> TuneCost:
    """Run a search of tiny trials on a Ray cluster of this machine, and take its time."""
    space = load_space("digits_random", [*TINY, f"budget.trials={trials}"], data_root)
    clock = _Clock()
    with tempfile.TemporaryDirectory(prefix="raydistill-bench-") as folder:
        work = Workplace(executor=RayExecutor(None, space.resources), data_root=data_root, watcher=clock)
        run_search(space, Store(folder), work)
    return tune_cost(clock.began, clock.ends, clock.work)


def tune_cost(began: float, ends: Sequence[float], work: Sequence[float]) -> TuneCost:
    """What lies between the ends of trials that ran one after the other, less their own `work`; seconds, two trials at least."""
    spent = [end - begin for begin, end in zip([began, *ends], ends, strict=False)]
    added = [whole - own for whole, own in zip(spent, work, strict=True)]
    return TuneCost(
        trials=len(ends),
        first_trial_seconds=added[0],
        next_trial_seconds=statistics.median(added[1:]),
        work_seconds=statistics.median(work),
    )
