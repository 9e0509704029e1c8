"""Every registered method distils a folder of one's own images, with the fields that `raydistill init` writes, cut short."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from own_images import fill

import raydistill
from raydistill.core.recipes import RECIPES
from raydistill.data.inspect import inspect_images
from raydistill.methods import METHODS
from raydistill.search.first_space import Machine, Start, write_text
from raydistill.spaces.sections import ImageFolderConfig

SHORTER: dict[str, Any] = {
    "random_inits": 2,
    "steps_per_init": 2,
    "model_steps": 2,
    "training_steps": 3,
    "window": 2,
    "iterations": 2,
    "student_steps": 2,
    "window_start": 0,
    "window_width": 2,
    "window_growth": 0,
    "experts": 2,
    "expert_epochs": 4,
    "expert_all_from_epoch": 1,
    "expert_drop_epochs": [2, 3],
    "score_networks": 1,
    "score_epochs": 1,
    "lr_images": 1.0,
    "lr_labels": 1.0,
    "lr_lr": 0.0001,
    "mmd_weight": 0.01,
    "frequencies": 40,
    "pool": 2,
    "pool_steps": 3,
    "shallow_fraction": 0.25,
    "init": "real",
}
"""One value where the written space has a range, and small numbers of steps."""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    pets = fill(tmp_path_factory.mktemp("own") / "pets", {"cat": 100, "dog": 70}, size=8)
    config = ImageFolderConfig(name="image_folder", path=str(pets), size=8)
    return Start(config=config, report=inspect_images(config), smallest_class=40, machine=Machine(cores=2, has_gpu=False))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_distils_a_folder(name: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "default", replace(RECIPES["default"], steps=10))
    document = yaml.safe_load(write_text(replace(start, methods=(name,)), start.config.path))
    method = document.pop("methods")[0] if "methods" in document else document.pop("method")
    document.pop("controls", None)
    document["method"] = {field: SHORTER.get(field, value) for field, value in method.items()}
    document["network"]["width"] = 4
    document["ipc"] = 2
    made = raydistill.distill(document, out=tmp_path / "set", store=tmp_path)
    assert made is not None
    loaded = raydistill.load_set(tmp_path / "set")
    assert loaded.images.shape == (4, 3, 8, 8)
    assert loaded.images.isfinite().all()
