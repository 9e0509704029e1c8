"""A race from its space to its finding, in this process; a trial takes a moment, and the gaps are made up where they matter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
import yaml
from made_up import AIM, Told, record, workplace

from raydistill.catalogue import known
from raydistill.core.lossless import GapInterval
from raydistill.core.recipes import RECIPES
from raydistill.errors import StudyMismatchError
from raydistill.search import driver
from raydistill.search.driver import run_search
from raydistill.search.solver import Solver
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import SearchSpace
from raydistill.storage.record import TrialRecord, write_record
from raydistill.storage.result import SearchResult
from raydistill.storage.store import Store
from raydistill.trial import baseline
from raydistill.trial.confirm import Confirmation

SPACE = """
study: race
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 4}
methods:
  - {name: datadam, random_inits: {low: 2, high: 3}, batch_real: 8, lr_images: {low: 0.1, high: 1.0, log: true}}
  - {label: long, name: dm, random_inits: 3, batch_real: 8}
controls: [random, k_means]
ipc: {low: 1, high: 6}
evaluation: {recipe: default, networks: 2, baseline_networks: 2, confirm_networks: 2}
goal: {margin_fraction: 0.9}
budget: {trials: 5}
"""
LABELS = ["datadam", "long", "random", "k_means"]


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Far too short to be admissible, so that is not asked."""
    monkeypatch.setitem(RECIPES, "default", replace(RECIPES["plain"], name="default", steps=5))
    monkeypatch.setattr(baseline, "is_admissible", lambda *_: True)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def race(*overrides: str, text: str = SPACE) -> SearchSpace:
    return parse_space(text, known(None), overrides=overrides)


def search(folder: Path, searched: SearchSpace | None = None, watcher: Any = None) -> SearchResult:
    return run_search(searched or race(), Store(str(folder)), workplace(watcher))


def arms_asked(folder: Path) -> dict[int, str]:
    """Label of the arm of every trial by ask number."""
    configs = [json.loads(path.read_text()) for path in folder.glob("race/trials/*/config.json")]
    return {config["ask_number"]: config.get("label") or config["method"]["name"] for config in configs}


def view(folder: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="race", storage=f"sqlite:///{folder}/race/study.db").get_trials()


def test_every_arm_is_tried_the_controls_first(tmp_path: Path) -> None:
    search(tmp_path)
    asked = arms_asked(tmp_path)
    assert [asked[number] for number in range(4)] == ["random", "k_means", "datadam", "long"]
    assert len(asked) == 5


def test_a_control_within_the_margin_at_the_same_ipc_makes_distilling_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a margin of 0.9 every set is lossless; those of methods that are smaller than the smallest control are left out."""
    candidates = Solver.candidates

    def without_smaller(solver: Solver, *, are_controls: bool = False) -> list[TrialRecord]:
        smallest = min(record.ipc for record in candidates(solver, are_controls=True))
        return [record for record in candidates(solver, are_controls=are_controls) if record.ipc >= smallest]

    monkeypatch.setattr(Solver, "candidates", without_smaller)
    result = search(tmp_path)
    assert result.finding is not None
    assert (result.verdict, result.finding.claim) == ("lossless", "not_needed")
    assert result.finding.control is not None
    assert result.smallest_lossless_ipc == result.finding.control.ipc
    assert result.method == result.finding.control.arm


def test_controls_that_are_lossy_in_new_draws_make_distilling_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Confirmations find methods lossless and controls lossy, and so do the draws; each has its share of the confidence."""
    asked: list[tuple[str, float]] = []

    def finish(config: Any, study: Any, confidence: float) -> Confirmation:
        is_control = config.method.name in ("random", "k_means")
        asked.append(("control" if is_control else "distilled", confidence))
        upper = 0.95 if is_control else 0.5
        interval = GapInterval(gap=0.4, lower=0.3, upper=upper, confidence=confidence, networks=2, images=300)
        return Confirmation(interval=interval, is_lossless=not is_control, accuracy_fractions=(0.5, 0.5))

    def draws(config: Any, study: Any, confidence: float) -> GapInterval:
        asked.append(("lossy", confidence))
        return GapInterval(gap=0.95, lower=0.92, upper=0.98, confidence=confidence, networks=2, images=300)

    monkeypatch.setattr(driver, "finish_confirmation", finish)
    monkeypatch.setattr(driver, "gap_of_draws", draws)
    told = Told()
    result = search(tmp_path, watcher=told)
    assert result.finding is not None
    assert result.finding.claim == "needed"
    assert {c.arm for c in result.finding.controls_at} == {"random", "k_means"}
    assert result.method in ("datadam", "long")
    shares = {claim: {round(confidence, 6) for kind, confidence in asked if kind == claim} for claim, _ in asked}
    assert shares == {"distilled": {0.975}, "control": {0.9875}, "lossy": {0.9875}}
    drawn = [stage for stage, _ in told.all("stage") if " at IPC " in stage]
    assert len(drawn) == 2
    (folder, *_) = (tmp_path / "race" / "controls").iterdir()
    assert {path.name for path in folder.iterdir()} == {"config.json", "draw-0.json", "draw-1.json"}


def test_a_finished_race_repeats_nothing(tmp_path: Path) -> None:
    first = search(tmp_path)
    told = Told()
    assert search(tmp_path, watcher=told) == first
    assert told.all("started") == []


def test_the_optuna_study_has_the_arm_and_its_parameters(tmp_path: Path) -> None:
    search(tmp_path)
    by_arm = {trial.params["arm"]: set(trial.params) for trial in view(tmp_path)}
    assert by_arm["datadam"] == {"arm", "ipc", "datadam.random_inits", "datadam.lr_images"}
    assert by_arm["long"] == by_arm["random"] == by_arm["k_means"] == {"arm", "ipc"}


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_a_sampler_of_optuna_races_too(tmp_path: Path, sampler: str) -> None:
    result = search(tmp_path, race(f"search.sampler={sampler}", "budget.trials=6"))
    asked = arms_asked(tmp_path)
    assert [asked[number] for number in range(4)] == LABELS
    assert (sum(result.trials.values()), len(view(tmp_path))) == (6, 6)


@pytest.mark.parametrize("sampler", ["law", "tpe"])
def test_the_same_history_gives_the_same_asks_after_a_restart(tmp_path: Path, sampler: str) -> None:
    def asks(folder: Path, restart_after: int) -> list[str]:
        searched = race("budget.trials=10", f"search.sampler={sampler}")
        found = []
        for count in (restart_after, 10):
            study = Store(str(folder))
            with closing(Solver(searched, study, aim=AIM, data_sha256="d", database=folder / "disk" / "study.db")) as solver:
                while len(found) < count:
                    config = solver.ask()
                    assert config is not None
                    found.append(config.trial_id)
                    ended = record(config, 0.1 / config.ipc)
                    write_record(study, ended)
                    solver.tell(ended)
        return found

    assert asks(tmp_path / "a", 0) == asks(tmp_path / "b", 6)


@pytest.mark.ray
@pytest.mark.usefixtures("small_cluster")
def test_ray_and_one_process_race_to_the_same_finding(tmp_path: Path) -> None:
    """A worker does not have this process's short recipe, so both take one that is in the package."""
    from raydistill.search.on_ray.executor import RayExecutor

    searched = race("resources.max_concurrent_trials=1", "evaluation.recipe=quick_plain", "budget.trials=4")
    search(tmp_path / "local", searched)
    run_search(searched, Store(str(tmp_path / "ray")), workplace(executor=RayExecutor(None, searched.resources)))
    local, on_ray = (
        {
            record["config"]["ask_number"]: (record["trial_id"], record["images_sha256"], record["readings"])
            for path in (tmp_path / where).glob("race/trials/*/record.json")
            for record in [json.loads(path.read_text())]
        }
        for where in ("local", "ray")
    )
    assert local == on_ray
    findings = [json.loads((tmp_path / where / "race" / "result.json").read_text())["finding"] for where in ("local", "ray")]
    assert findings[0] == findings[1]


def test_a_study_of_an_older_version_continues_without_controls(tmp_path: Path) -> None:
    """Such a study's space names no controls and no sampler."""
    alone = [line for line in SPACE.splitlines() if "long" not in line]
    without = "\n".join(alone).replace("controls: [random, k_means]", "controls: []")
    first = search(tmp_path, race("budget.trials=2", text=without))
    path = tmp_path / "race" / "search_space.yaml"
    stored = yaml.safe_load(path.read_text())
    del stored["controls"], stored["search"]
    path.write_text(yaml.safe_dump(stored))
    by_default = "\n".join(alone).replace("controls: [random, k_means]\n", "")
    again = search(tmp_path, race("budget.trials=6", text=by_default))
    assert first.finding is not None
    assert again.finding is not None
    assert again.finding.claim == "no_controls"
    assert set(arms_asked(tmp_path).values()) == {"datadam"}
    assert sum(again.trials.values()) == 6


def test_controls_that_are_given_do_not_join_a_study_that_has_none(tmp_path: Path) -> None:
    without = SPACE.replace("controls: [random, k_means]", "controls: []")
    search(tmp_path, race("budget.trials=2", text=without))
    with pytest.raises(StudyMismatchError, match=r"controls\.random\.name: was not given, is now \"random\""):
        search(tmp_path)
