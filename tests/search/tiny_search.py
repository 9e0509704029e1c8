"""A search with networks of width 4, on a Ray cluster or in one process, and what it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
from made_up import space, workplace

from raydistill.search.driver import run_search
from raydistill.search.local import LocalExecutor
from raydistill.spaces.space import SearchSpace
from raydistill.storage.store import Store

TINY = """
study: made-up
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 4}
method:
  name: datadam
  lr_images: {low: 0.1, high: 1.0, log: true}
  random_inits: {low: 4, high: 8}
  batch_real: 8
ipc: {low: 1, high: 12}
evaluation: {recipe: quick_plain, networks: 2, baseline_networks: 2, confirm_networks: 2}
goal: {margin_fraction: 0.5}
controls: []
budget: {trials: 3}
resources: {max_concurrent_trials: 1}
"""


def tiny(*overrides: str) -> SearchSpace:
    return space(*overrides, text=TINY)


def search(folder: Path, *overrides: str, watcher: Any = None, local: bool = False) -> Any:
    from raydistill.search.on_ray import RayExecutor

    searched = tiny(*overrides)
    executor = LocalExecutor() if local else RayExecutor(None, searched.resources)
    return run_search(searched, Store(str(folder)), workplace(watcher, executor))


def records(folder: Path) -> dict[int, dict[str, Any]]:
    """Every record by ask number, without times and host; each ask must have exactly one."""
    found: dict[int, dict[str, Any]] = {}
    for path in (folder / "made-up" / "trials").glob("*/record.json"):
        record = json.loads(path.read_text())
        number = record["config"]["ask_number"]
        assert number not in found
        found[number] = {key: value for key, value in record.items() if key not in ("cost", "started_at", "host", "file_sha256")}
    return found


def states(folder: Path) -> list[str]:
    storage = f"sqlite:///{folder}/made-up/study.db"
    return [t.state.name for t in optuna.load_study(study_name="made-up", storage=storage).get_trials()]
