"""A whole race in this process, with networks of width 4 trained for 5 steps: confirmation of both sides, draws, finding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import KNOWN, Told, workplace
from resealed import content

from raydistill.core.recipes import RECIPES
from raydistill.methods import METHODS
from raydistill.search import driver
from raydistill.search.driver import run_search
from raydistill.search.solver import Solver
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import SearchSpace
from raydistill.storage.record import TrialRecord
from raydistill.storage.result import Finding, SearchResult
from raydistill.storage.store import Store
from raydistill.trial import baseline, draws

TEXT = """
study: race
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 4}
methods: [{name: dm, random_inits: 3, batch_real: 8}]
controls: [random, k_means]
ipc: {low: 1, high: 6}
evaluation: {recipe: default, networks: 2, baseline_networks: 2, confirm_networks: 2}
goal: {margin_fraction: 0.9}
budget: {trials: 3}
"""


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Far too short to be admissible, so that is not asked."""
    monkeypatch.setitem(RECIPES, "default", replace(RECIPES["plain"], name="default", steps=5))
    monkeypatch.setattr(baseline, "is_admissible", lambda *_: True)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def race() -> SearchSpace:
    settings = {name: method.control.settings for name, method in METHODS.items() if method.control is not None}
    return parse_space(TEXT, replace(KNOWN, controls=settings))


def search(folder: Path, watcher: Any = None) -> tuple[SearchResult, Finding]:
    result = run_search(race(), Store(str(folder)), workplace(watcher))
    assert result.finding is not None
    return result, result.finding


@pytest.fixture
def no_lossless_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """No control becomes a candidate, so that the controls are drawn anew."""
    candidates = Solver.candidates

    def of_methods(solver: Solver, *, are_controls: bool = False) -> list[TrialRecord]:
        return [] if are_controls else candidates(solver)

    monkeypatch.setattr(Solver, "candidates", of_methods)


def test_every_arm_is_tried_and_both_sides_are_confirmed_at_their_shares(tmp_path: Path) -> None:
    result, finding = search(tmp_path)
    records = [json.loads(path.read_text()) for path in tmp_path.glob("race/trials/*/record.json")]
    assert {record["config"]["method"]["name"] for record in records} == {"dm", "random", "k_means"}
    assert finding.distilled is not None
    assert finding.control is not None
    assert (finding.distilled.gap_interval.confidence, finding.control.gap_interval.confidence) == (0.975, 0.9875)
    assert (finding.claim == "not_needed") == (finding.control.ipc <= finding.distilled.ipc)
    assert content(Store(str(tmp_path)), "race/result.json") == json.loads(result.model_dump_json())


@pytest.mark.usefixtures("no_lossless_control")
def test_a_control_that_is_not_lossy_in_new_draws_leaves_it_open(tmp_path: Path) -> None:
    told = Told()
    _, finding = search(tmp_path, told)
    assert finding.claim == "not_shown"
    (control,) = finding.controls_at
    assert (control.is_lossy, control.gap_interval.networks, control.gap_interval.confidence) == (False, 2, 0.9875)
    assert sorted(path.name for path in tmp_path.glob("race/controls/*/*")) == ["config.json", "draw-0.json", "draw-1.json"]
    assert (f"{control.arm} at IPC {control.ipc}", 2) in told.all("stage")
    assert any("is not shown to be lossy, so distilling is not shown to be needed" in note for note in told.all("note"))


@pytest.mark.usefixtures("no_lossless_control")
def test_all_controls_lossy_is_needed_and_a_second_search_draws_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The margin of the draws alone is set below any gap."""
    control_at = driver.control_at
    monkeypatch.setattr(driver, "control_at", lambda config, interval, margin: control_at(config, interval, -2.0))
    _, finding = search(tmp_path)
    assert finding.claim == "needed"
    assert {control.arm for control in finding.controls_at} == {"random", "k_means"}
    monkeypatch.setattr(draws, "distil", lambda *_: pytest.fail("drawn again"))
    assert search(tmp_path)[1] == finding
