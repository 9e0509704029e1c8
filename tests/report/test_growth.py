"""Reading a study takes work in proportion to its records: each file is read once, and each folder listed a few times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from fsspec.implementations.local import LocalFileSystem
from hand_made import STORED, HandMade
from typer.testing import CliRunner

from raydistill.cli import app
from raydistill.report.status import read_status
from raydistill.storage.record import Reading, TrialRecord
from raydistill.storage.store import Store

RESULTS = {"baseline/baseline.json", "result.json", "manifest.json"}
"""What is read beside trials and space."""


def read(study: Store) -> None:
    read_status(study)


def tabulate(study: Store) -> None:
    assert CliRunner().invoke(app, ["tables", study.root]).exit_code == 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Reads by file, listings of one folder and of all, and how often a gap is read."""
    counts: Counter[str] = Counter()
    true_read, true_ls, true_find, true_gap = Store.read, LocalFileSystem.ls, LocalFileSystem.find, TrialRecord.gap.fget

    def counting_read(store: Store, name: str) -> bytes:
        counts[f"read {store.path(name)}"] += 1
        return true_read(store, name)

    def counting_ls(system: LocalFileSystem, path: str, **options: object) -> object:
        counts[f"list {path}"] += 1
        return true_ls(system, path, **options)

    def counting_find(system: LocalFileSystem, path: str, **options: object) -> object:
        counts["find"] += 1
        return true_find(system, path, **options)

    def counting_gap(record: TrialRecord) -> float | None:
        counts["gap"] += 1
        return true_gap(record)

    monkeypatch.setattr(Store, "read", counting_read)
    monkeypatch.setattr(LocalFileSystem, "ls", counting_ls)
    monkeypatch.setattr(LocalFileSystem, "find", counting_find)
    monkeypatch.setattr(TrialRecord, "gap", property(counting_gap))
    return counts


def study_of(folder: Path, trials: int) -> Store:
    """Trials at five IPCs, all ended, of a search that goes on."""
    made = HandMade(folder)
    budget = {"budget": {"trials": 1000}}
    made.study.write("search_space.yaml", yaml.safe_dump({**STORED, **budget}))
    for number in range(trials):
        readings = (Reading(step=9, fraction=1.0, accuracy_fractions=(0.97,), gap=0.01, loss=0.5),)
        made.trial(1 + number % 5, readings=readings)
    return made.study


@pytest.mark.parametrize(("command", "others"), [(read, {"search_space.yaml", "command.json", *RESULTS}), (tabulate, RESULTS)])
def test_each_file_is_read_once_and_each_folder_listed_a_few_times(
    command: Callable[[Store], None], others: set[str], tmp_path: Path, counted: Counter[str]
) -> None:
    study = study_of(tmp_path / "study", 20)
    counted.clear()
    command(study)
    reads = {name.removeprefix(f"read {study.root}/"): n for name, n in counted.items() if name.startswith("read ")}
    assert reads.keys() - others == {f"trials/{i}/{name}.json" for i in study.folders("trials") for name in ("config", "record")}
    assert {name for name, times in reads.items() if times > 1} <= {"search_space.yaml"}
    assert reads.keys() >= others
    assert counted["find"] <= 1
    assert max(times for name, times in counted.items() if name.startswith("list ")) <= 3


@pytest.mark.parametrize("command", [read, tabulate])
def test_twice_the_records_are_twice_the_work(command: Callable[[Store], None], tmp_path: Path, counted: Counter[str]) -> None:
    totals = []
    for trials in (20, 40, 80):
        study = study_of(tmp_path / str(trials), trials)
        counted.clear()
        command(study)
        totals.append(counted.total())
    first, second = totals[1] - totals[0], totals[2] - totals[1]
    assert second == 2 * first
