"""Fails every write of a small search in turn, runs the search again, and compares its records with those of an undisturbed one.

    python benchmarks/write_faults.py [--every N]

Each run takes a fresh study and lets the n-th write, fsync or rename below it fail with "no space left on device", for every n up
to the number that an undisturbed search makes. The search must then end with one message that names the file, leave no half file,
and come to the same records when it is run again. Without Ray, one thread, three trials on digits with networks of a few steps.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import torch

from raydistill.catalogue import load_space
from raydistill.core.recipes import RECIPES
from raydistill.errors import RaydistillError
from raydistill.search.driver import run_search
from raydistill.search.local import LocalExecutor
from raydistill.search.watcher import SilentWatcher
from raydistill.search.workplace import Workplace
from raydistill.storage.store import Store

Operation = Literal["write", "fsync", "rename"]
OPERATIONS: tuple[Operation, ...] = ("write", "fsync", "rename")
SMALL = (
    "study=small",
    "network.depth=2",
    "network.width=4",
    "method.random_inits=3",
    "method.batch_real=8",
    "ipc.high=4",
    "evaluation={recipe: default, networks: 2, baseline_networks: 2, confirm_networks: 2}",
    "goal.margin_fraction=0.9",
    "budget.trials=3",
)
NOT_COMPARED = ("cost", "started_at", "host", "file_sha256")
"""Keys of a record that differ between any two runs."""


@dataclass
class Fault:
    """Lets one operation below a folder fail once."""

    folder: Path
    operation: Operation | None
    at: int
    """Which one, counted from 0."""
    seen: Counter[str]

    def strikes(self, operation: Operation, path: str) -> bool:
        """Count an operation on a path; whether it is the one that fails."""
        if not os.path.abspath(path).startswith(f"{self.folder}{os.sep}"):
            return False
        number = self.seen[operation]
        self.seen[operation] += 1
        return operation == self.operation and number == self.at


@contextmanager
def struck(fault: Fault) -> Iterator[None]:
    """Failing writes, fsyncs and renames."""
    fdopen, fsync, rename = os.fdopen, os.fsync, os.replace

    def full(path: str) -> OSError:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def opened(descriptor: int, *given: Any, **named: Any) -> Any:
        file, path = fdopen(descriptor, *given, **named), os.readlink(f"/proc/self/fd/{descriptor}")
        if fault.strikes("write", path):
            file.close()
            raise full(path)
        return file

    def synced(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if fault.strikes("fsync", path):
            raise full(path)
        fsync(descriptor)

    def renamed(source: str, target: str) -> None:
        if fault.strikes("rename", str(target)):
            raise full(str(target))
        rename(source, target)

    with patch.object(os, "fdopen", opened), patch.object(os, "fsync", synced), patch.object(os, "replace", renamed):
        yield


def search(folder: Path) -> None:
    """The small search, in this process."""
    space = load_space("digits_datadam", list(SMALL), None)
    work = Workplace(executor=LocalExecutor(), data_root=None, watcher=SilentWatcher())
    run_search(space, Store(str(folder)), work)


def records(folder: Path) -> dict[str, Any]:
    """What must be the same, by trial, and the answers of the result."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "small" / "trials").glob("*/record.json")):
        record = json.loads(path.read_text())
        found[path.parent.name] = {key: value for key, value in record.items() if key not in NOT_COMPARED}
    result = json.loads((folder / "small" / "result.json").read_text())
    found["result"] = {key: result[key] for key in ("verdict", "winner_trial_id", "trials", "gap_interval")}
    return found


def half_files(folder: Path) -> list[str]:
    """Temporary files that were left behind."""
    return [str(path) for path in (folder / "small").rglob(".*.*") if path.is_file()]


def outcome(operation: Operation, at: int, undisturbed: dict[str, Any]) -> str:
    """What became of a search whose operation number `at` failed: `same`, or what was wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with struck(Fault(folder, operation, at, Counter())):
                search(folder)
            said = "ended"
        except RaydistillError as error:
            said = "told" if str(folder) in str(error) or "No space left" in str(error) else f"no file named: {error}"
        except Exception as error:  # noqa: BLE001  # it is what is looked for
            return f"traceback: {type(error).__name__}: {error}"
        if left := half_files(folder):
            return f"half files: {left}"
        search(folder)
        if records(folder) != undisturbed:
            return "other records"
        return said


def main() -> None:
    """Print a row per operation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="strike only every so many operations")
    every = parser.parse_args().every
    torch.set_num_threads(1)
    with short_recipe():
        with tempfile.TemporaryDirectory() as name:
            counted = Fault(Path(name), None, -1, Counter())
            with struck(counted):
                search(Path(name))
            undisturbed = records(Path(name))
        print("| operation | in an undisturbed search | failed in turn | outcome |\n|---|---|---|---|")
        for operation in OPERATIONS:
            struck_at = range(0, counted.seen[operation], every)
            outcomes = Counter(outcome(operation, at, undisturbed) for at in struck_at)
            told = ", ".join(f"{said}: {count}" for said, count in outcomes.most_common())
            print(f"| {operation} | {counted.seen[operation]} | {len(struck_at)} | {told} |", flush=True)


@contextmanager
def short_recipe() -> Iterator[None]:
    """Networks of five steps; far too short to be admissible, so that is not asked."""
    short = replace(RECIPES["plain"], name="default", steps=5)
    always: Callable[..., bool] = lambda *_: True  # noqa: E731
    with patch.dict(RECIPES, {"default": short}), patch("raydistill.trial.baseline.is_admissible", always):
        yield


if __name__ == "__main__":
    main()
