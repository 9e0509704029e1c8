"""The walk of docs/own-data.md with a person's own images: init, data check, search, report, load_set.

Once with made-up pictures, in seconds, and once with CIFAR-10 as JPEG folders where they are, in minutes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from own_images import fill
from typer.testing import CliRunner, Result

import raydistill
from raydistill.cli import app
from raydistill.core.recipes import RECIPES

CLASSES = {"airplane": 300, "automobile": 200, "frog": 120}
"""Of different size on purpose."""
ARCHIVE = "cifar10_jpeg.zip"
ROOT = os.environ.get("RAYDISTILL_DATA")
"""Read before the tests, which are to know nothing of the user's environment."""
SHORT = {"evaluation.recipe": "quick_plain", "evaluation.networks": 2, "evaluation.baseline_networks": 2, "budget.trials": 5}
TINY = {**SHORT, "evaluation.confirm_networks": 2, "network.width": 4, "ipc.high": 4}
TINY |= {"methods.dm.random_inits": 2, "goal.margin_fraction": 0.5}


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def walk(images: Path, overrides: Mapping[str, object], *options: str) -> None:
    """Every command of the walk, each of which must end well."""
    space, store = images.parent / "space.yaml", images.parent / "studies"
    options_of_search = [word for name, value in overrides.items() for word in ("--set", f"{name}={value}")]
    for words in (
        ["init", str(images), "--out", str(space), *options],
        ["data", "check", str(space)],
        ["search", str(space), "--local", "--store", str(store), *options_of_search],
        ["report", images.name, "--store", str(store)],
    ):
        done = run(*words)
        assert done.exit_code == 0, (words, done.output)
    study = store / images.name
    kept = json.loads((study / "data.json").read_text())
    result = json.loads((study / "result.json").read_text())
    assert kept["classes"] == sorted(kept["classes"])
    assert list(study.glob("*.html"))
    trial = next(path.parent for path in sorted(study.glob("trials/*/images.safetensors")))
    loaded = raydistill.load_set(study / "winner" if result["winner_trial_id"] else trial)
    assert set(loaded.labels.tolist()) == {0, 1, 2}


def test_the_walk_with_made_up_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "quick_plain", dataclasses.replace(RECIPES["quick_plain"], steps=30))
    walk(fill(tmp_path / "pictures", {name: count // 2 for name, count in CLASSES.items()}, size=8), TINY, "--method", "dm")


@pytest.mark.slow
def test_the_walk_with_photographs_as_jpeg_takes_minutes(tmp_path: Path) -> None:
    """300, 200 and 120 of three classes of CIFAR-10, in 16 x 16 pixels."""
    archive = Path(ROOT or "nowhere") / ARCHIVE
    if not archive.is_file():
        pytest.skip(f"needs {ARCHIVE}, CIFAR-10 as JPEG folders (train/airplane/0000.jpg ..), in the folder RAYDISTILL_DATA")
    with zipfile.ZipFile(archive) as packed:
        for name, count in CLASSES.items():
            (tmp_path / "animals" / name).mkdir(parents=True)
            files = sorted(file for file in packed.namelist() if file.startswith(f"train/{name}/") and file.endswith(".jpg"))
            for file in files[:count]:
                (tmp_path / "animals" / name / Path(file).name).write_bytes(packed.read(file))
    few = {"evaluation.confirm_networks": 4, "methods.datadam.random_inits": 30, "methods.dm.random_inits": 30}
    walk(tmp_path / "animals", {**SHORT, **few}, "--set", "size=16")
