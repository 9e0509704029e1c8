"""A study with what one trial of it needs, and the trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raydistill.search.experts import plan_experts, prepare_experts
from raydistill.search.local import LocalExecutor
from raydistill.search.watcher import SilentWatcher
from raydistill.search.workplace import Workplace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.record import TrialRecord
from raydistill.storage.store import Store
from raydistill.trial import baseline
from raydistill.trial.run import run_trial


def new_study(folder: Path, config: TrialConfig[Any]) -> Store:
    """A study with a baseline of two networks, and the experts of the trial."""
    study = Store(str(folder / "store" / "study"))
    for index in range(2):
        baseline.train_baseline_networks(config, [index], study)
    baseline.finish_baseline(config, study)
    work = Workplace(executor=LocalExecutor(), data_root=None, watcher=SilentWatcher())
    prepare_experts(plan_experts([config], study.parent, None), config, study.parent, work)
    return study


def run(config: TrialConfig[Any], study: Store) -> TrialRecord:
    return run_trial(config, study, lambda reading: None)
