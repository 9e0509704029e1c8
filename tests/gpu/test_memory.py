"""What `plan` says that a trial holds on the device, beside what it holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hand_made import SMALL
from new_study import new_study, run

from raydistill.catalogue import load_space
from raydistill.core.recipes import RECIPES
from raydistill.search import plan
from raydistill.search.plan import plan_search
from raydistill.sets.distilling import only_trial

METHODS = {
    "datadam": "{name: datadam, random_inits: 4, batch_real: 16}",
    "dm": "{name: dm, random_inits: 4, batch_real: 16}",
    "dc": "{name: dc, random_inits: 1, steps_per_init: 2, model_steps: 1, batch_real: 8}",
    "datm": "{name: datm, experts: 2, expert_epochs: 3, target_epochs: 1, window_width: 2, window_growth: 0, iterations: 4, "
    "student_steps: 2}",
    "random": "{name: random}",
}
SMALL_SHAPE, LARGER = ("network.width=4", "ipc=2"), ("network.width=16", "ipc=8")
CASES = [(method, shape) for method in METHODS for shape in (SMALL_SHAPE, LARGER) if (method, shape) != ("datm", LARGER)]


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "plain", replace(RECIPES["plain"], steps=3))
    monkeypatch.setattr(plan, "DISTIL_STEPS", 2)
    monkeypatch.setattr(plan, "RECIPE_STEPS", 2)


@pytest.mark.parametrize(("method", "shape"), CASES, ids=[f"{method}, {', '.join(shape)}" for method, shape in CASES])
def test_the_forecast_of_memory_is_within_a_tenth_of_the_trials(
    method: str, shape: tuple[str, str], gpu_of_this_machine: torch.device, tmp_path: Path
) -> None:
    evaluation = "evaluation={recipe: plain, networks: 2, baseline_networks: 2, confirm_networks: 2}"
    given = ["resources.gpus_per_trial=1", "goal.margin_fraction=0.9", evaluation, f"method={METHODS[method]}", *shape]
    space = load_space(SMALL, given, None, for_search=False)
    forecast = plan_search(space, None, at_once=1)
    config = only_trial(space, None)
    record = run(config, new_study(tmp_path, config))
    assert record.state == "finished", record.error
    assert record.cost is not None
    assert forecast.trial_memory_of == "cuda"
    assert forecast.trial_memory_bytes == pytest.approx(record.cost.peak_memory_bytes, rel=0.1)
