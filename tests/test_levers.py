"""The scripts that measure levers and draw them, on digits at the smallest size."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(BENCHMARKS / script), *words], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What is printed for two sizes, with readings on the way, and the file of all readings."""
    file = tmp_path_factory.mktemp("levers") / "readings.csv"
    small = ["--set", "network.width=2", "--recipe", "quick_plain", "--networks", "1", "--draws", "2"]
    ended = run(
        "levers.py",
        "digits",
        *small,
        "--ipc",
        "1",
        "2",
        "--rows",
        "dm",
        "--at",
        "0",
        "100",
        "--csv",
        str(file),
        "--full",
        "--method",
        "random_inits=120",
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, file


def test_every_row_has_a_line_with_its_gain_over_random(measured: tuple[str, Path]) -> None:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in measured[0].splitlines()]
    assert [line[:2] for line in lines[2:]] == [
        ["all train images", ""],
        ["all train images, twice the steps", ""],
        ["random", "1"],
        ["dm [random_inits=120]", "1"],
        ["random", "2"],
        ["dm [random_inits=120]", "2"],
    ]
    assert [bool(line[5]) for line in lines[2:]] == [False, False, False, True, False, True]


def test_readings_on_the_way_are_kept_beside_the_last_of_as_many_updates_as_asked(measured: tuple[str, Path]) -> None:
    with measured[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["update"] for row in rows if row["row"].startswith("dm") and row["ipc"] == "1"] == ["0", "100", "120"] * 2


def test_readings_become_a_picture(measured: tuple[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    ended = run("curves.py", str(measured[1]), str(tmp_path / "curve.svg"))
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "curve.svg").read_bytes().startswith(b"<?xml")


def test_sets_of_two_sizes_make_no_picture_over_updates(measured: tuple[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    ended = run("curves.py", str(measured[1]), str(tmp_path / "curve.svg"), "--over", "update")
    assert ended.returncode == 1
    assert "holds sets of IPC 1, 2: measure one size for a picture over updates" in ended.stderr
