"""What training costs until it is good enough, and when a set has paid for itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hand_made import trial_record
from hand_race import finding
from hand_race import result as result_of_race
from made_up import Told
from small_set import write_small_set

import raydistill
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import decode, sha256
from raydistill.errors import InputError
from raydistill.methods import method_configs
from raydistill.report.cost_tables import paid_sentence
from raydistill.report.use_tables import render_use
from raydistill.spaces.trial import read_trial_config
from raydistill.storage.record import read_trials, write_record
from raydistill.storage.store import Store
from raydistill.uses.values import About, CostArm, CostResult, CostRung, Paid, read_result


def cost(path: str, **options: Any) -> Any:
    return raydistill.evaluate_for("cost", path, **{"networks": 2, "recipe": "plain", "local": True, **options})


def test_every_schedule_is_trained_on_the_full_data_the_set_and_the_controls(small_set: str) -> None:
    """A recipe of 4 steps has rungs of 1, 2 and 4."""
    result = cost(small_set, controls=["random"])
    assert [arm.source for arm in result.arms] == ["full", "set", "random"]
    assert {tuple(rung.steps for rung in arm.rungs) for arm in result.arms} == {(1, 2, 4)}
    assert {len(rung.accuracy_fractions) for arm in result.arms for rung in arm.rungs} == {2}
    assert read_result(Store(f"{small_set}/uses"), "cost") == result


def test_multiply_adds_are_those_of_the_images_that_pass(small_set: str) -> None:
    """Batches of 64 of the 797 train images, of 30 of the set; three passes for each."""
    result = cost(small_set, controls=["none"])
    full, of_set = result.arms
    assert [rung.macs for rung in full.rungs] == [3 * result.forward_macs * steps * 64 for steps in (1, 2, 4)]
    assert [rung.macs for rung in of_set.rungs] == [3 * result.forward_macs * steps * 30 for steps in (1, 2, 4)]
    assert (full.images, of_set.images, full.ipc, of_set.ipc) == (797, 30, None, 3)


def test_the_target_is_the_full_datas_accuracy_with_all_steps_less_the_margin(small_set: str) -> None:
    result = cost(small_set, controls=["none"])
    full = result.arms[0]
    assert result.target_accuracy_fraction == full.rungs[-1].accuracy_fraction - result.margin_fraction
    assert full.chosen is not None  # its last rung reaches it by itself


def test_a_set_outside_a_study_has_the_work_of_its_making_but_no_seconds(small_set: str) -> None:
    assert [(one.what, one.measure) for one in cost(small_set, controls=["none"]).paid] == [("making", "macs")]


def test_a_second_run_trains_nothing(small_set: str) -> None:
    first, told = cost(small_set, controls=["none"]), Told()
    assert cost(small_set, controls=["none"], watcher=told) == first
    assert told.all("job") == []


def test_the_control_is_that_which_the_race_found(study_with_control: Path) -> None:
    """The race's smallest lossless control has four images of each class; its set is read, not made again."""
    told = Told()
    result = cost(str(study_with_control / "winner"), watcher=told)
    assert [(arm.source, arm.ipc, arm.images) for arm in result.arms[1:]] == [("set", 3, 30), ("random", 4, 40)]
    assert [stage for stage, _ in told.all("stage")] == ["networks"]


def test_the_seconds_of_making_and_of_the_search_are_those_of_the_study(study_with_control: Path) -> None:
    paid = cost(str(study_with_control / "winner")).paid
    seconds = {one.what: one.cost for one in paid if one.measure == "seconds"}
    assert seconds == {"making": 10.0, "search": 300.0}


def test_a_control_with_labels_by_experts_stands_beside_a_set_of_a_method_without(tmp_path: Path) -> None:
    """No config of that control can be made from the set's; its set is that of the race."""
    method = "{name: random_soft, experts: 1, expert_epochs: 1}"
    study, told = write_study_with_control(tmp_path / "store" / "study", method, torch.randn(40, 10)), Told()
    assert cost(str(study / "winner"), dry_run=True, watcher=told) is None
    assert "18 networks convnet at" in told.all("note")[0]
    assert "expert" not in told.all("note")[0]
    assert [arm.source for arm in cost(str(study / "winner")).arms] == ["full", "set", "random_soft"]


def test_seconds_of_a_set_that_was_made_on_another_device_are_left_out(study_with_control: Path) -> None:
    for record in read_trials(Store(str(study_with_control)), method_configs()):
        assert record[1] is not None
        write_record(Store(str(study_with_control)), record[1].model_copy(update={"device": "NVIDIA T4"}))
    result = cost(str(study_with_control / "winner"))
    assert [(one.what, one.measure) for one in result.paid] == [("making", "macs")]
    assert result.other_device == "NVIDIA T4"


@pytest.fixture
def study_with_control(tmp_path: Path) -> Path:
    """A study whose winner has three images of each digit, and whose smallest lossless control has four."""
    return write_study_with_control(tmp_path / "store" / "study")


def write_study_with_control(study: Path, method: str = "{name: random}", labels: torch.Tensor | None = None) -> Path:
    (study / "trials").mkdir(parents=True)
    (study / "search_space.yaml").write_text("study: study\n")
    fixed = ["ipc=4", "evaluation.recipe=plain", "evaluation.networks=2", f"method={method}"]
    winner = write_trial_of_set(study, write_small_set(study / "winner"))
    control = write_trial_of_set(study, write_small_set(study.parent / "control", labels, fixed=fixed, ipc=4))
    found = finding()
    found["control"] = {**found["distilled"], "arm": "random", "trial_id": control, "ipc": 4}
    (study / "result.json").write_text(json.dumps(result_of_race(10, winner_trial_id=winner, finding=found)))
    return study


def write_trial_of_set(study: Path, folder: str) -> str:
    """Write the trial that made a set, which took 10 s; returns its id."""
    data = Path(folder, "images.safetensors").read_bytes()
    config = read_trial_config(json.dumps(decode(data)[1].config), method_configs())
    store = Store(str(study))
    write_record(store, trial_record(config, (0.97,), images_sha256=sha256(data)))
    store.write(f"trials/{config.trial_id}/images.safetensors", data)
    return config.trial_id


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": 1}, r"given --networks 1 for cost, which looks for the shortest schedule .*: give at least 2"),
        (
            {"split": "test", "reason": "a test"},
            r"given --split test for cost; schedules are chosen by what the networks read, so it uses the select images alone",
        ),
        ({"network": "mlp"}, r"--network is for --protocol transfer or continual, not for cost: leave it out"),
    ],
)
def test_what_it_cannot_do_is_named(small_set: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cost(small_set, **options)


def test_a_dry_run_says_how_long_it_takes(small_set: str) -> None:
    told = Told()
    assert cost(small_set, controls=["none"], dry_run=True, watcher=told) is None
    assert "12 networks convnet at" in told.all("note")[0]


ABOUT = About(**{**dict.fromkeys(About.model_fields, "x"), "ipc": 3, "commit": None, "versions": {}})  # type: ignore[arg-type]


def arm(source: str, accuracies: tuple[float, float], macs: int, chosen: int | None) -> CostArm:
    rungs = tuple(
        CostRung(steps=8 * (n + 1), accuracy_fractions=(a, a), macs=macs * (n + 1), seconds=2.0 * (n + 1))
        for n, a in enumerate(accuracies)
    )
    return CostArm(source=source, ipc=None if source == "full" else 3, images=30, rungs=rungs, chosen=chosen)


def by_hand(**changes: Any) -> CostResult:
    """The full data needs 8 steps for 10 billion, the set 16 for 8 billion: 2 billion saved."""
    fields: dict[str, Any] = {
        "arms": (
            arm("full", (0.93, 0.95), 10_000_000_000, 0),
            arm("set", (0.80, 0.92), 4_000_000_000, 1),
            arm("random", (0.5, 0.6), 4_000_000_000, None),
        ),
        "paid": (
            Paid(what="making", measure="macs", cost=9e9, trainings=5),
            Paid(what="search", measure="seconds", cost=65.0, trainings=None),
        ),
        **changes,
    }
    return CostResult(about=ABOUT, networks=2, margin_fraction=0.03, target_accuracy_fraction=0.92, forward_macs=1000, **fields)


def test_what_a_training_saves_is_told_by_the_cheapest_schedules() -> None:
    assert by_hand().saved("macs") == 2_000_000_000
    assert by_hand().saved("seconds") == -2.0
    assert by_hand(arms=(by_hand().arms[0], by_hand().arms[2])).saved("macs") is None


def test_people_see_the_shortest_schedule_of_each_source() -> None:
    said = render_use(by_hand(), "md")
    assert "the shortest of 2 schedules (8 to 16 steps) that reaches 92.00 %" in said
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in said.splitlines()]
    assert ["full data", "30", "8", "93.00 +- 0.00", "10", "2"] in rows
    assert ["the set", "30", "16", "92.00 +- 0.00", "8", "4"] in rows
    assert "not reached; 16 steps give 60.00 +- 0.00" in said
    assert "\\begin{tabular}" in render_use(by_hand(), "tex")


def test_what_is_paid_for_is_said_in_words() -> None:
    assert paid_sentence(by_hand()) == (
        "Paid for: making it, counted in multiply-adds (9 billion multiply-adds), after 5 trainings; all trials of the "
        "search, counted in seconds (1 min 05 s), never, because a training on it saves none."
    )
    assert paid_sentence(by_hand(paid=())) == "What the set cost is not recorded."
    lossy = (by_hand().arms[0], by_hand().arms[2])
    assert paid_sentence(by_hand(arms=lossy)) == ("No schedule on the set reaches the target, so nothing is saved or paid for.")


def test_experts_of_a_method_are_not_in_what_is_paid_for() -> None:
    about = ABOUT.model_copy(update={"method": "datm"})
    said = paid_sentence(by_hand().model_copy(update={"about": about}))
    assert said.startswith("Paid for: making it, without its experts, counted in multiply-adds (9 billion")


def test_people_are_told_that_seconds_of_another_device_are_left_out() -> None:
    left_out = " Seconds are left out: the set was made on another device than these networks (NVIDIA T4)."
    assert paid_sentence(by_hand(paid=(), other_device="NVIDIA T4")) == f"What the set cost is not recorded.{left_out}"
    assert paid_sentence(by_hand(other_device="NVIDIA T4")).endswith(f"saves none.{left_out}")


def test_scripts_see_a_row_per_schedule() -> None:
    rows = json.loads(render_use(by_hand(), "json"))
    assert [(row["source"], row["steps"]) for row in rows][:3] == [("full", 8), ("full", 16), ("set", 8)]
    assert [row["is_cheapest_that_reaches"] for row in rows] == [True, False, False, True, False, False]
    assert {row["train_macs_saved"] for row in rows if row["source"] == "set"} == {2_000_000_000}
    assert {row["trainings_until_making_macs_paid"] for row in rows} == {5, None}


def test_a_longer_recipe_has_five_schedules(small_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "plain", replace(RECIPES["plain"], steps=16))  # type: ignore[type-var]
    result = cost(small_set, controls=["none"])
    assert [rung.steps for rung in result.arms[0].rungs] == [1, 2, 4, 8, 16]
