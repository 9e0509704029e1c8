"""`raydistill data check`: what it prints, as JSON too, and how it ends; what a search says of a person's images."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from own_images import fill, leak
from typer.testing import CliRunner, Result

from raydistill.cli import app
from raydistill.core.recipes import RECIPES

QUICK = {
    "study": "pets",
    "dataset.size": 8,
    "network.depth": 2,
    "network.width": 4,
    "evaluation.recipe": "quick_plain",
    "evaluation.networks": 2,
    "evaluation.baseline_networks": 2,
    "evaluation.confirm_networks": 2,
    "goal.margin_fraction": 0.45,  # of two classes the full data is at most 50 points above chance
    "ipc": 2,
    "method.random_inits": 1,
    "method.batch_real": 4,
    "budget.trials": 2,
}


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    fill(tmp_path / "pets" / "train", {"cat": 60, "dog": 60}, size=8)
    fill(tmp_path / "pets" / "test", {"cat": 20, "dog": 20}, size=8, seed=1)
    leak(tmp_path / "pets", 0.2)
    return tmp_path / "pets"


def of_the_space(path: Path) -> list[str]:
    overrides = {**QUICK, "dataset.path": path}
    return ["image_folder_datadam", *(word for item in overrides.items() for word in ("--set", f"{item[0]}={item[1]}"))]


def test_images_without_problems_end_with_0(leaky: Path) -> None:
    done = run("data", "check", str(leaky), "--set", "size=8")
    assert done.exit_code == 0, done.output
    assert "Twins" in done.stdout


def test_problems_end_with_1(leaky: Path) -> None:
    (leaky / "train" / "cat" / "x.png").write_bytes(b"no image")
    done = run("data", "check", str(leaky))
    assert done.exit_code == 1
    assert "Problems: 1 of 1 kind; a search refuses the images until they are solved" in done.stdout


def test_machines_get_json(leaky: Path) -> None:
    report = json.loads(run("data", "check", str(leaky), "--json").stdout)
    assert report["images"]["test"] == {"cat": 20, "dog": 20}
    assert sum(report["twins"]["with_twin"]["test"].values()) == 8


def test_a_path_where_nothing_lies_ends_with_2(tmp_path: Path) -> None:
    done = run("data", "check", str(tmp_path / "nowhere"))
    assert done.exit_code == 2
    assert "nowhere is not a folder or file" in done.stderr


def test_a_search_space_that_is_no_utf_8_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "latin1.yaml").write_bytes("study: größe\n".encode("latin-1"))
    result = run("data", "check", str(tmp_path / "latin1.yaml"))
    assert result.exit_code == 2
    assert "file: cannot be read: 'utf-8' codec can't decode byte 0xf6" in result.stderr


def test_a_search_says_in_short_what_it_reads_and_keeps_it_in_the_study(leaky: Path, tmp_path: Path) -> None:
    words = ["search", *of_the_space(leaky), "--local", "--store", str(tmp_path / "studies")]
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "Images: train 96, select 12, confirm 12, test 40; 2 classes; 8 x 8 pixels" in done.stderr
    assert "Twins across the parts" in done.stdout
    stored = json.loads((tmp_path / "studies" / "pets" / "data.json").read_text())
    assert stored["parts"] == {"train": 96, "select": 12, "confirm": 12, "test": 40}
    (tmp_path / "studies" / "pets" / "data.json").write_text("{}")
    again = run(*words)
    assert again.exit_code == 2
    assert "data.json is damaged" in again.stderr


def test_a_plan_says_in_short_what_it_reads(leaky: Path) -> None:
    done = run("plan", *of_the_space(leaky))
    assert done.exit_code == 0, done.output
    assert "Images: train 96, select 12, confirm 12, test 40; 2 classes; 8 x 8 pixels" in done.stderr
    assert "with a twin in the train part" in done.stderr


def test_a_certificate_says_that_test_images_leaked_and_verifies(
    leaky: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # K-center trains its features by the default recipe.
    monkeypatch.setitem(RECIPES, "default", dataclasses.replace(RECIPES["default"], steps=10))
    store = str(tmp_path / "studies")
    assert run("search", *of_the_space(leaky), "--local", "--store", store).exit_code == 0
    certified = run("certify", "pets", "--store", store, "--local", "--networks", "2")
    assert certified.exit_code == 0, certified.output
    assert "TWINS ACROSS THE SPLIT: of 40 test images some are in another part as well" in certified.stdout
    held = run("verify", str(tmp_path / "studies" / "pets" / "certificate.json"))
    assert held.exit_code == 0, held.output
    openings = list((tmp_path / "studies" / "test_openings").iterdir())
    assert len(openings) == 1


def test_a_search_with_every_rule_for_pixels_is_continued(leaky: Path, tmp_path: Path) -> None:
    """Lists in the section are the same in the study's space, so that the second call finds nothing changed."""
    rules = ["background=[255, 255, 255]", "value_range=[0, 4095]", "channels=1", "fit=pad", "on_bad=skip", "duplicates=drop"]
    words = ["search", *of_the_space(leaky), "--local", "--store", str(tmp_path / "studies")]
    words += [word for rule in rules for word in ("--set", f"dataset.{rule}")]
    first = run(*words)
    assert first.exit_code == 0, first.output
    assert "Twins across the parts" not in first.stdout
    again = run(*words)
    assert again.exit_code == 0, again.output
    stored = json.loads((tmp_path / "studies" / "pets" / "data.json").read_text())
    assert stored["conversions"] == {"colour_to_grey": 160}
    assert stored["twins"]["dropped"] > 0
