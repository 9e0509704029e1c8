"""Searches whose method reads experts: built once before the trials, shared by the next study, refused where none can serve."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up import workplace

from raydistill.catalogue import load_space
from raydistill.core.recipes import RECIPES
from raydistill.errors import SpaceError
from raydistill.search.driver import run_search
from raydistill.search.experts import extreme_trials
from raydistill.search.watcher import SilentWatcher
from raydistill.spaces.space import SearchSpace
from raydistill.storage.store import Store

SMALL: dict[str, Any] = {
    "study": "first",
    "dataset": {"name": "digits"},
    "network": {"name": "convnet", "depth": 2, "width": 4},
    "method": {
        "name": "datm",
        "experts": 3,
        "expert_epochs": 6,
        "expert_batch": 256,
        "iterations": 3,
        "student_steps": 2,
        "window_start": {"low": 0, "high": 2},
        "window_width": 2,
        "window_growth": 0,
        "lr_images": {"low": 1.0, "high": 100.0, "log": True},
    },
    "ipc": {"low": 1, "high": 4},
    "evaluation": {"recipe": "plain", "networks": 1, "baseline_networks": 2, "confirm_networks": 2},
    "goal": {"margin_fraction": 0.9},
    "controls": [],
    "budget": {"trials": 2},
}


@pytest.fixture(autouse=True)
def short_recipe(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty steps instead of 500, where all is trained in this process: Ray's workers would not know of it."""
    if request.node.get_closest_marker("ray") is None:
        monkeypatch.setitem(RECIPES, "plain", replace(RECIPES["plain"], steps=20))


class Counted(SilentWatcher):
    """Counts the jobs of each stage that were really run."""

    def __init__(self) -> None:
        self.name = ""
        self.jobs: Counter[str] = Counter()
        self.notes: list[str] = []

    def stage(self, name: str, total: int) -> None:
        self.name = name

    def job_done(self) -> None:
        self.jobs[self.name] += 1

    def note(self, text: str) -> None:
        self.notes.append(text)


def space(**changes: Any) -> SearchSpace:
    method = changes.pop("method", {})
    return load_space({**SMALL, **changes, "method": {**SMALL["method"], **method}}, [], None)


def search(folder: Path, executor: Any = None, **changes: Any) -> Counted:
    watcher = Counted()
    run_search(space(**changes), Store(str(folder)), workplace(watcher, executor))
    return watcher


def built_at(folder: Path) -> dict[str, str]:
    return {path.name: json.loads(path.read_text())["built_at"] for path in folder.glob("experts/*/expert-*.json")}


def test_a_search_builds_its_experts_once_and_a_second_study_reuses_them(tmp_path: Path) -> None:
    first = search(tmp_path)
    assert first.jobs["experts"] == 3
    assert any("passes over 797 images, about" in note for note in first.notes)
    before = built_at(tmp_path)
    second = search(tmp_path, study="second")
    assert second.jobs["experts"] == 0
    assert built_at(tmp_path) == before
    records = [json.loads(path.read_text()) for path in tmp_path.glob("*/trials/*/record.json")]
    assert len(records) == 4
    assert {record["label_kind"] for record in records} == {"soft"}
    assert len({record["experts_sha256"] for record in records}) == 1
    assert {path.stem for path in tmp_path.glob("experts/*/uses/*.json")} == {"first", "second"}
    result = json.loads((tmp_path / "first" / "result.json").read_text())
    assert result["label_kind"] == "soft"


def test_a_trial_begun_on_experts_that_were_built_anew_begins_anew(tmp_path: Path) -> None:
    """What a killed process left names other experts; its checkpoint, which cannot even be read, is not looked at."""
    search(tmp_path, budget={"trials": 1})
    (path,) = tmp_path.glob("first/trials/*/record.json")
    before = json.loads(path.read_text())["images_sha256"]
    path.unlink()
    left = {"step": 0, "steps": 9, "readings": [], "seconds": {}, "experts_sha256": "of others"}
    path.with_name("progress.json").write_text(json.dumps(left))
    path.with_name("checkpoint.safetensors").write_bytes(b"half of a distillation")
    search(tmp_path, budget={"trials": 1})
    assert json.loads(path.read_text())["images_sha256"] == before


@pytest.mark.ray
@pytest.mark.usefixtures("small_cluster")
def test_trials_on_two_workers_train_each_expert_once(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from raydistill.search.on_ray import RayExecutor
    from raydistill.spaces.sections import ResourcesConfig

    executor = RayExecutor(None, ResourcesConfig(max_concurrent_trials=2))
    watcher = search(tmp_path, executor, budget={"trials": 4}, evaluation={**SMALL["evaluation"], "recipe": "quick_plain"})
    assert watcher.jobs["experts"] == 3
    assert len(built_at(tmp_path)) == 3
    assert len(list(tmp_path.glob("first/trials/*/record.json"))) == 4


def test_the_extreme_trials_reach_the_ends_of_every_window() -> None:
    read = [config.method.epochs_read() for config in extreme_trials(space(), "")]
    assert [(epochs[0], epochs[-1]) for epochs in read] == [(0, 3), (2, 5)]


def test_a_method_without_experts_has_no_extreme_trials() -> None:
    assert extreme_trials(load_space("digits_datadam", [], None), "") == []


def test_every_combination_of_choices_is_among_the_extreme_trials() -> None:
    trials = extreme_trials(space(method={"expert_lr": {"choices": [0.01, 0.05]}}), "")
    assert {trial.method.expert_lr for trial in trials} == {0.01, 0.05}


def test_a_search_over_an_expert_setting_builds_a_set_for_each_choice(tmp_path: Path) -> None:
    watcher = search(tmp_path, method={"expert_lr": {"choices": [0.01, 0.05]}})
    assert watcher.jobs["experts"] == 6
    assert len(list(tmp_path.glob("experts/*"))) == 2


def test_a_range_over_an_expert_setting_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"method\.expert_lr: a range; every value needs its own experts.*: write one value"):
        space(method={"expert_lr": {"low": 0.01, "high": 0.05}})


def test_a_window_that_is_too_long_at_its_upper_ends_is_refused() -> None:
    """Each range alone would fit: 0 to 4 with a width of 2, and a width of 4 from 0; together they read epoch 9."""
    with pytest.raises(SpaceError, match=r"method\.expert_epochs: given 6; the window reads up to epoch 9"):
        space(method={"window_start": {"low": 0, "high": 4}, "window_width": {"low": 2, "high": 4}})


def test_a_window_too_long_for_one_of_the_choices_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"method\.expert_epochs: given 4; the window reads up to epoch 5"):
        search(tmp_path, method={"expert_epochs": {"choices": [6, 4, 8]}})
    assert not list(tmp_path.glob("first/baseline/*"))
