"""The forecast of a search: its arithmetic, its errors, its output."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hand_made import SMALL
from typer.testing import CliRunner

from raydistill.catalogue import load_space
from raydistill.cli import app
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import SyntheticSet
from raydistill.errors import BudgetError
from raydistill.report.summary import forecast_lines
from raydistill.search import plan
from raydistill.search.plan import Forecast, Stage, plan_search

QUICK = ["evaluation={recipe: plain, networks: 2, baseline_networks: 3, confirm_networks: 4}", "ipc.high=4"]


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "plain", dataclasses.replace(RECIPES["plain"], steps=30))


def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole distillation takes 100 seconds per image, a network 10 on a set and 10 on the full data."""

    def probe(config: Any, *_: Any, **options: Any) -> Any:
        made = SyntheticSet(images=torch.zeros(1, 1, 1, 250 * config.ipc), labels=torch.zeros(0), ipc=1)
        return made, 100.0 * config.ipc, True

    monkeypatch.setattr(plan, "probe_trial", probe)
    monkeypatch.setattr(plan, "_network_seconds", lambda *_: 10.0)


def test_a_forecast_is_the_measured_pieces_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPC 1 to 4, so 2 in the middle: a trial is 200 s and 2 + 2 networks of 10 s, at IPC 4 it is 440. Baseline 3 x 30 s; trials
    5 x 240 s; confirmation 3 x 4 x 10 s; two at once: 2 x 30 + 3 x 240 + 6 x 10 = 840 s. Disk: 4000 bytes x (2 x 5 + 2)."""
    measured(monkeypatch)
    forecast = plan_search(load_space(SMALL, [*QUICK, "budget.trials=5"], None), None, at_once=2)
    assert [(s.name, s.jobs, s.seconds_each) for s in forecast.stages] == [
        ("baseline", 3, 30.0),
        ("trials", 5, 240.0),
        ("confirmation", 12, 10.0),
    ]
    assert forecast.largest_trial_seconds == 440.0
    assert forecast.hours == pytest.approx(840 / 3600)
    assert forecast.disk_bytes == 48_000
    assert (forecast.at_once, forecast.trial_memory_of) == (2, "cpu")


def test_a_control_is_drawn_with_each_of_its_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    """At IPC 2 a network sees batches of 20 images with factor 1 and of 64 of the 80 with factor 2: 42 / 20 x 10 s, and 200 s."""
    measured(monkeypatch)
    control = "controls=[{name: random, factor: {choices: [1, 2]}}]"
    forecast = plan_search(load_space(SMALL, [*QUICK, "budget.trials=5", control], None), None, at_once=1)
    assert (forecast.stages[-1].name, forecast.stages[-1].jobs) == ("draws of random", 8)
    assert forecast.stages[-1].seconds_each == pytest.approx(221.0)


def test_hours_that_do_not_hold_a_trial_and_its_confirmation_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """240 s and 4 networks of 10 s, one at once: 280 s, 0.078 hours."""
    measured(monkeypatch)
    with pytest.raises(BudgetError, match=r"budget.hours is 0.07, but one trial .* takes about 0.078 hours: raise it"):
        plan_search(load_space(SMALL, [*QUICK, "budget.hours=0.07"], None), None, at_once=1)


@pytest.mark.parametrize("method", ["{name: datadam, random_inits: 20, batch_real: 8}", "{name: random}"])
def test_a_probe_measures_every_piece(method: str) -> None:
    """Random images take no steps, so their distillation takes no time."""
    forecast = plan_search(load_space(SMALL, [*QUICK, f"method={method}"], None), None)
    assert all(stage.seconds_each > 0 for stage in forecast.stages)
    assert forecast.trial_memory_bytes > 50 * 2**20
    assert forecast.disk_bytes > 4 * 10 * 64 * 4


def test_experts_are_a_stage_of_the_forecast_although_none_is_trained() -> None:
    """The probe is given random networks in their place; they come after the baseline, whose pace they are forecast by."""
    short = "target_epochs: 1, iterations: 3, student_steps: 4"
    method = f"{{name: datm, experts: 4, expert_epochs: 2, window_width: 1, window_growth: 0, {short}}}"
    pad = method.replace("datm", "pad").replace("}", ", score_networks: 2, score_epochs: 1}")
    stages = []
    for given in (method, pad):
        forecast = plan_search(load_space(SMALL, [*QUICK, f"method={given}"], None), None)
        stages.append({stage.name: stage for stage in forecast.stages})
    assert [list(names) for names in stages] == [["baseline", "experts", "trials", "confirmation"]] * 2
    assert stages[0]["experts"].jobs == 4
    assert stages[0]["experts"].seconds_each > 0


def test_what_is_measured_is_told_before_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch)
    told: list[str] = []
    plan_search(load_space(SMALL, QUICK, None), None, 1, told.append)
    assert told == [
        "Reading digits",
        "Measuring datadam at IPC 4: up to 5 steps, and a network on the set",
        "Measuring datadam at IPC 2: up to 5 steps, and a network on the set",
        "Measuring a network on the full data",
    ]


def test_the_command_prints_the_forecast_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(yaml.safe_dump(SMALL))
    words = [word for override in QUICK for word in ("--set", override)]
    result = CliRunner().invoke(app, ["plan", "x.yaml", "--trials", "7", "--at-once", "2", *words])
    assert result.exit_code == 0, result.output
    assert "Trials         7 jobs of about" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]


def test_a_forecast_in_words() -> None:
    stages = (Stage(name="baseline", jobs=3, seconds_each=30.0), Stage(name="trials", jobs=5, seconds_each=240.0))
    forecast = Forecast(
        stages=stages,
        largest_trial_seconds=440.0,
        at_once=2,
        hours=0.25,
        disk_bytes=3 * 2**20,
        trial_memory_bytes=300 * 2**20,
        trial_memory_of="cpu",
    )
    assert forecast_lines(forecast).splitlines() == [
        "Baseline       3 jobs of about 30 s",
        "Trials         5 jobs of about 4 min 00 s",
        "Largest trial  about 7 min 20 s",
        "Wall-clock     about 15 min 00 s, 2 at once",
        "Disk           at most 3.0 MiB",
        "Memory         300 MiB a trial (cpu)",
    ]
