"""The scripts that measure levers and draw them, on digits at the smallest size."""

from __future__ import annotations

import csv
import io
import re
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from raydistill.core.recipes import RECIPES

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@dataclass
class Ended:
    """What a script printed, and its exit status."""

    stdout: str
    stderr: str
    returncode: int


def run(script: str, *words: str) -> Ended:
    """Run a script in this process, which has imported what it needs; networks take ten steps."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.syspath_prepend(str(BENCHMARKS))
        patch.setattr(sys, "argv", [script, *words])
        patch.setitem(RECIPES, "quick_plain", replace(RECIPES["quick_plain"], steps=10))
        try:
            runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            err.write("" if isinstance(end.code, int) else str(end.code))
    return Ended(out.getvalue(), err.getvalue(), code)


SMALL = ["digits", "--set", "network.width=2", "--recipe", "quick_plain", "--networks", "1"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What is printed for two sizes, with readings on the way, and the file of all readings."""
    file = tmp_path_factory.mktemp("levers") / "readings.csv"
    ended = run(
        "levers.py",
        *SMALL,
        "--draws",
        "2",
        "--ipc",
        "1",
        "2",
        "--rows",
        "dm",
        "--at",
        "0",
        "5",
        "--csv",
        str(file),
        "--full",
        "--method",
        "random_inits=10",
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, file


def test_every_row_has_a_line_with_its_gain_over_random(measured: tuple[str, Path]) -> None:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in measured[0].splitlines()]
    assert [line[:2] for line in lines[2:]] == [
        ["all train images", ""],
        ["all train images, twice the steps", ""],
        ["random", "1"],
        ["dm [random_inits=10]", "1"],
        ["random", "2"],
        ["dm [random_inits=10]", "2"],
    ]
    assert [bool(line[5]) for line in lines[2:]] == [False, False, False, True, False, True]


def test_readings_on_the_way_are_kept_beside_the_last_of_as_many_updates_as_asked(measured: tuple[str, Path]) -> None:
    with measured[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["update"] for row in rows if row["row"].startswith("dm") and row["ipc"] == "1"] == ["0", "5", "10"] * 2


def test_a_further_draw_joins_those_of_the_file_which_are_not_made_again(measured: tuple[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    lines = measured[1].read_text().splitlines()
    file.write_text("\n".join(line.replace("random,1,0,0,", "random,1,0,0,100.00 ") for line in lines) + "\n")
    ended = run("levers.py", *SMALL, "--draws", "3", "--ipc", "1", "--rows", "--csv", str(file))
    assert ended.returncode == 0, ended.stderr
    added = file.read_text().splitlines()[len(lines) :]
    assert [line.split(",")[:4] for line in added] == [["random", "1", "2", "0"]]
    rows = list(csv.DictReader(file.open(newline="")))
    means = [
        np.mean([float(one) for one in row["accuracies_percent"].split()])
        for row in rows
        if row["row"] == "random" and row["ipc"] == "1"
    ]
    assert ended.stdout.splitlines()[-1].split(" | ")[2] == f"{np.mean(means):.2f}"


def test_a_file_of_sets_that_were_read_otherwise_is_refused(measured: tuple[str, Path]) -> None:
    otherwise = ["network.width=3" if word == "network.width=2" else word for word in SMALL]
    ended = run("levers.py", *otherwise, "--draws", "2", "--ipc", "1", "--rows", "--csv", str(measured[1]))
    assert ended.returncode == 1
    assert "network.width=2 networks=1', this run of 'digits" in ended.stderr


def test_a_file_of_a_version_that_did_not_write_how_it_was_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("row,ipc,draw,update,accuracies_percent,seconds_to_make\nrandom,1,0,0,50.00,0.0\n")
    ended = run("levers.py", *SMALL, "--draws", "2", "--ipc", "1", "--rows", "--csv", str(tmp_path / "old.csv"))
    assert ended.returncode == 1
    assert "old.csv is of 'no record of it', this run of 'digits" in ended.stderr


def test_a_shipped_space_is_known_by_its_name_alone_as_in_the_files_that_are_there(measured: tuple[str, Path]) -> None:
    with measured[1].open(newline="") as file:
        assert {line["read_by"] for line in csv.DictReader(file)} == {
            "digits evaluation.recipe=quick_plain network.width=2 networks=1"
        }


def test_a_file_of_sets_that_were_made_before_the_space_was_edited_is_refused(tmp_path: Path) -> None:
    space, file = tmp_path / "my.yaml", tmp_path / "readings.csv"
    lines = ["study: my", "dataset: {name: digits}", "network: {name: convnet, depth: 2, width: 2}", "method: {name: random}"]
    lines += ["goal: {margin_fraction: 0.1}", "ipc: {low: 1, high: 4}", "budget: {trials: 20}"]
    space.write_text("\n".join(lines))
    words = [str(space), *SMALL[3:], "--draws", "2", "--ipc", "1", "--rows", "--csv", str(file)]
    assert [run("levers.py", *words).returncode for _ in range(2)] == [0, 0]
    assert len(file.read_text().splitlines()) == 3
    space.write_text("\n".join(lines).replace("width: 2", "width: 3"))
    ended = run("levers.py", *words)
    assert ended.returncode == 1
    assert re.search(r"networks=1 sha256=\w{12}', this run of '\S+my.yaml .* sha256=\w{12}': give another file", ended.stderr)


def test_two_rows_are_compared_by_draw(tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    draws = {("dm", 10): ["90 92", "92 92", "94 96"], ("random", 20): ["90 90", "90 90", "92 92"]}
    file.write_text("row,ipc,draw,update,accuracies_percent,seconds_to_make,read_by\n")
    with file.open("a") as opened:
        for (row, ipc), accuracies in draws.items():
            opened.writelines(f"{row},{ipc},{draw},0,{words},1.0,a space\n" for draw, words in enumerate(accuracies))
    ended = run("paired.py", str(file), "dm", "random", "--ipc", "10", "20")
    # By draw 1, 2 and 3: a mean of 2, a deviation of 1, and Student's 97.5 % quantile of two degrees of freedom is 4.303.
    assert ended.stdout == f"2.00 points, {2 - 4.303 / 3**0.5:.2f} to {2 + 4.303 / 3**0.5:.2f}, 3 draws\n"
    ended = run("paired.py", str(file), "dm", "random")
    assert ended.returncode == 2
    assert "has 0 draws of both rows at these sizes: two are the least" in ended.stderr


def test_a_draw_that_a_stopped_run_left_on_its_way_is_not_compared(tmp_path: Path) -> None:
    """Draws 1 and 2 of `dm` gain 5 and 7 points after 200 updates: 6 with an interval of 12.706 (one degree of freedom) times 1.

    Draw 3 was read after 20 updates only, where it is 20 points below.
    """
    file = tmp_path / "readings.csv"
    lines = ["row,ipc,draw,update,accuracies_percent,seconds_to_make,read_by"]
    lines += [f"random,10,{draw},0,90.00,0.1,a space" for draw in (0, 1, 2)]
    lines += ["dm,10,0,20,70.00,5,a space", "dm,10,0,200,95.00,50,a space", "dm,10,1,200,97.00,50,a space"]
    lines += ["dm,10,2,20,70.00,5,a space"]
    file.write_text("\n".join(lines) + "\n")
    ended = run("paired.py", str(file), "dm", "random")
    assert ended.stdout == f"6.00 points, {6 - 12.706:.2f} to {6 + 12.706:.2f}, 2 draws\n"


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
