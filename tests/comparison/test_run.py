"""Comparing methods in pairs: seeds, arithmetic by hand, resuming, and what is refused."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import Told

import raydistill
from raydistill.catalogue import load_space
from raydistill.comparison import run as compare
from raydistill.comparison.rows import Outcome, method_of, paired_interval, rows_of
from raydistill.comparison.run import CompareJob, finish_comparison, methods_named, middle_of, open_where_wanted, plan_comparison
from raydistill.core.contract import NoCheckpoint
from raydistill.core.recipes import RECIPES
from raydistill.errors import CompareError, DivergedError, InputError, StoreError
from raydistill.methods import METHODS
from raydistill.search.local import LocalExecutor
from raydistill.spaces.space import Choices, Range, SearchSpace
from raydistill.storage.sealed import unseal
from raydistill.storage.store import Store
from raydistill.trial.distillation import distil

DEVICE = torch.device("cpu")
SMALL = ["network.width=8", "evaluation.networks=2"]


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> SearchSpace:
    """The shipped one, with twenty steps of training; K-center trains its features by the default recipe."""
    for name in ("quick", "default"):
        monkeypatch.setitem(RECIPES, name, replace(RECIPES["plain"], name=name, steps=20))
    return load_space("digits_datadam", [*SMALL, "method.random_inits=4", "method.batch_real=8"], None)


def plan(space: SearchSpace, folder: Path, **given: Any) -> list[CompareJob]:
    arguments: dict[str, Any] = {"methods": ["datadam"], "ipc": 3, "draws": 2, **given}
    return plan_comparison(space, store=Store(str(folder)), **arguments)


def test_a_space_of_random_soft_compares_another_methods_sets_with_random_soft_too(tmp_path: Path) -> None:
    """By the experts of that method; the space's own stands beside it only if it is asked for."""
    space = load_space("digits_random_soft", [], None)
    jobs = plan(space, tmp_path, methods=["digits_datm"])
    assert {job.config.method.name for job in jobs} == {"datm", "random_soft", "random"}
    own, asked = (plan(space, tmp_path, methods=names)[0].config for names in (["random_soft"], ["random_soft", "digits_datm"]))
    assert own.method == asked.method
    labelled = load_space("digits_dm", ["method.label=mine"], None)
    assert [job.config.arm for job in plan(labelled, tmp_path, methods=["mine", "datadam"])][:3] == ["dm", "datadam", "random"]


def test_random_of_a_draw_is_the_start_of_every_method_of_that_draw(space: SearchSpace, tmp_path: Path) -> None:
    datadam, random, *_ = plan(space, tmp_path)
    starts: list[Any] = []
    splits = compare.splits_of(datadam.config, None)
    distil(datadam.config, splits, DEVICE, lambda step, steps, loss, s: starts.append(s.images.clone()), NoCheckpoint(), None)
    chosen = distil(random.config, splits, DEVICE, lambda *_: None, NoCheckpoint(), None)
    assert torch.equal(starts[0], chosen.images)


def factors(jobs: list[CompareJob]) -> dict[str, int]:
    return {job.name.removesuffix(", draw 0"): job.config.factor for job in jobs if job.draw == 0}


PACKED = [*SMALL, "method.random_inits=4", "method.batch_real=8", "method.factor=2", "ipc.high=5"]


def test_random_beside_a_packed_method_is_packed_and_its_start(space: SearchSpace, tmp_path: Path) -> None:
    """Factor 2 at IPC 3: datadam starts from 12 smaller images of each class, and so does what it is compared with."""
    jobs = plan(load_space("digits_datadam", PACKED, None), tmp_path)
    assert factors(jobs) == {"datadam": 2, "random, factor 2": 2}
    starts: list[Any] = []
    datadam, random, *_ = jobs
    splits = compare.splits_of(datadam.config, None)
    distil(datadam.config, splits, DEVICE, lambda step, steps, loss, s: starts.append(s.images.clone()), NoCheckpoint(), None)
    assert torch.equal(starts[0], distil(random.config, splits, DEVICE, lambda *_: None, NoCheckpoint(), None).images)


@pytest.mark.parametrize("named", [["datadam", "k_center"], ["random", "datadam", "k_center"]])
def test_methods_with_different_factors_have_a_random_each(space: SearchSpace, tmp_path: Path, named: list[str]) -> None:
    """`random` asked for by name is the one that is there anyway."""
    jobs = plan(load_space("digits_datadam", PACKED, None), tmp_path, methods=named)
    assert factors(jobs) == {"datadam": 2, "k_center": 1, "random, factor 2": 2, "random": 1}


def test_random_soft_beside_a_packed_method_is_packed(space: SearchSpace, tmp_path: Path) -> None:
    experts = ["method.labels=experts", "method.experts=2", "method.expert_epochs=2"]
    packed = load_space("digits_dm", [*experts, "method.factor=2", "ipc.high=5"], None)
    soft = {"dm_soft": 2, "random_soft, factor 2": 2, "random, factor 2": 2}
    assert factors(plan(packed, tmp_path, methods=["dm_soft"])) == soft
    assert factors(plan(packed, tmp_path, methods=["random_soft", "dm_soft"])) == soft


def test_each_row_is_compared_with_random_of_its_factor(space: SearchSpace, tmp_path: Path) -> None:
    """datadam 0.9 with factor 2 is 0.2 above 0.7; k_center 0.6 with factor 1 is 0.1 above 0.5. Names of rows name methods."""
    fractions = {"datadam": 0.9, "k_center": 0.6, "random, factor 2": 0.7, "random": 0.5}
    jobs = plan(load_space("digits_datadam", PACKED, None), tmp_path, methods=["datadam", "k_center"])
    for job in jobs:
        name = job.name.removesuffix(f", draw {job.draw}")
        outcome = Outcome(
            method=name, draw=job.draw, factor=job.config.factor, accuracy_fractions=(fractions[name],), distill_seconds=1.0
        )
        job.store.write_json(job.file, outcome.model_dump(mode="json"))
    comparison = finish_comparison(jobs)
    above = {row.method: row.above_random for row in comparison.rows}
    assert (above["datadam"], above["k_center"]) == (pytest.approx(0.2), pytest.approx(0.1))
    assert (above["random"], above["random, factor 2"]) == (None, None)
    assert set(comparison.settings["methods"]) == set(above)
    assert [method_of(row.method) for row in comparison.rows] == ["datadam", "k_center", "random", "random"]


def test_the_space_itself_named_as_a_method_has_the_overrides(space: SearchSpace) -> None:
    """Named as any other space it would be read anew, without them."""
    assert methods_named(space, "digits_datadam", ["digits_datadam", "dm"], ["method.random_inits=4"]) == ["datadam", "dm"]
    assert methods_named(space, "mine.yaml", ["dm"], ["evaluation.networks=2"]) == ["dm"]


def test_an_override_of_a_method_left_out_is_refused(space: SearchSpace) -> None:
    with pytest.raises(CompareError, match=r"--set method\.steps=4 sets .* datadam, which is not compared \(compared: dm\)"):
        methods_named(space, "digits_datadam", ["dm"], ["network.width=8", "method.steps=4"])


@pytest.mark.parametrize("override", ["ipc=7", "ipc.low=2", "budget.trials=3", "study=other"])
def test_an_override_of_what_a_comparison_does_not_read_is_refused(space: SearchSpace, override: str) -> None:
    with pytest.raises(CompareError, match=f"--set {override} has no effect on a comparison"):
        methods_named(space, "digits_datadam", ["datadam"], [override])


def test_a_comparison_of_no_method_is_refused(space: SearchSpace) -> None:
    with pytest.raises(CompareError, match="no method is given; give one or more with --methods"):
        methods_named(space, "digits_datadam", [], [])


def test_a_space_gives_its_methods_settings(space: SearchSpace, tmp_path: Path) -> None:
    """digits_datm has five experts; the middle of its lr_images is the geometric one."""
    jobs = plan(space, tmp_path, methods=["digits_datm"])
    datm = next(job.config.method for job in jobs if job.config.method.name == "datm")
    shipped = load_space("digits_datm", [], None).arms[0]
    assert datm.experts == shipped.template["method"]["experts"]
    assert datm.lr_images == pytest.approx(middle_of(shipped.ranges["method.lr_images"]))


def test_soft_labels_bring_their_control_with_the_same_experts(space: SearchSpace, tmp_path: Path) -> None:
    jobs = plan(space, tmp_path, methods=["datadam", "digits_datm"])
    by_name = {job.config.method.name: job.config.method for job in jobs}
    assert list(by_name) == ["datadam", "datm", "random_soft", "random"]
    assert by_name["random_soft"].experts == by_name["datm"].experts
    assert by_name["random_soft"].expert_lr == by_name["datm"].expert_lr


def test_soft_rows_by_hand(space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """datm 0.8 and 0.9, random_soft 0.7 and 0.6, random 0.5 and 0.5: 0.2 above the soft control, 0.35 above the hard one."""
    fractions = {"datm": (0.8, 0.9), "random_soft": (0.7, 0.6), "random": (0.5, 0.5)}
    monkeypatch.setattr(compare, "open_experts", lambda *_: None)  # none is built: the outcomes are written by hand
    jobs = plan(space, tmp_path, methods=["digits_datm"])
    for job in jobs:
        name = job.config.method.name
        outcome = Outcome(method=name, draw=job.draw, accuracy_fractions=(fractions[name][job.draw],), distill_seconds=1.0)
        job.store.write_json(job.file, outcome.model_dump(mode="json"))
    rows = {row.method: row for row in finish_comparison(jobs).rows}
    assert (rows["datm"].above_random, rows["datm"].above_random_soft) == (pytest.approx(0.35), pytest.approx(0.2))
    assert rows["random_soft"].above_random == pytest.approx(0.15)
    assert rows["random_soft"].above_random_soft is None
    assert rows["random"].above_random_soft is None


def test_draws_differ(space: SearchSpace, tmp_path: Path) -> None:
    seeds = {job.draw: job.config.seed for job in plan(space, tmp_path, draws=5)}
    assert len(set(seeds.values())) == 5


def test_random_is_always_there_and_a_method_named_twice_runs_once(space: SearchSpace, tmp_path: Path) -> None:
    jobs = plan(space, tmp_path, methods=["datadam", "k_center", "datadam"])
    assert [job.name for job in jobs[:3]] == ["datadam, draw 0", "k_center, draw 0", "random, draw 0"]


def test_ranges_stand_at_their_middle(space: SearchSpace, tmp_path: Path) -> None:
    """Geometric: sqrt(0.1 * 10) = 1 and sqrt(0.003 * 0.3) = 0.03."""
    method = plan(space, tmp_path)[0].config.method
    assert (method.lr_images, method.mmd_weight) == (pytest.approx(1.0), pytest.approx(0.03))


def test_another_method_takes_the_middle_of_the_shipped_space_of_its_name(space: SearchSpace, tmp_path: Path) -> None:
    """digits_dm: sqrt(0.1 * 10) = 1 for the rate, (30 + 150) / 2 = 90 networks, batches of 64."""
    method = plan(space, tmp_path, methods=["dm"])[0].config.method
    assert (method.lr_images, method.random_inits, method.batch_real) == (pytest.approx(1.0), 90, 64)


def test_a_method_without_a_shipped_space_takes_its_defaults(
    space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "shipped_spaces", dict)
    (job, *_) = plan(space, tmp_path, methods=["k_center"])
    assert job.config.method == METHODS["k_center"].config(name="k_center")  # type: ignore[call-arg]


def test_a_factor_that_takes_more_images_than_a_class_has_is_refused(tmp_path: Path) -> None:
    """IPC 20 and factor 2 take 80 images of 77."""
    packed = load_space("digits_datadam", [*SMALL, "method.factor=2", "ipc.high=19"], None)
    message = "method datadam at --ipc 20 with factor 2 holds 80 smaller images per class, and the smallest class has 77 train"
    with pytest.raises(CompareError, match=message):
        plan(packed, tmp_path, ipc=20)


def test_settings_that_the_data_cannot_serve_are_refused(
    space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "shipped_spaces", dict)
    with pytest.raises(CompareError, match="method dm, key batch_real: given 256; the smallest class has 77 train images"):
        plan(space, tmp_path, methods=["dm"])


def test_a_network_that_a_method_cannot_use_is_refused(space: SearchSpace, tmp_path: Path) -> None:
    other = with_template(space, network={"name": "convnet", "depth": 2, "width": 8, "norm": "batch"})
    with pytest.raises(CompareError, match="method dc, key name: dc passes one class at a time"):
        plan(other, tmp_path, methods=["dc"])


@pytest.mark.parametrize(
    ("allowed", "middle"),
    [
        (Range(low=30, high=150, log=False, whole=True), 90),
        (Range(low=1, high=100, log=True, whole=True), 10),
        (Range(low=0.0, high=1.0, log=False, whole=False), 0.5),
        (Choices(values=("real", "noise")), "real"),
    ],
)
def test_middle_of_a_range(allowed: Any, middle: Any) -> None:
    assert middle_of(allowed) == middle


def test_paired_interval_by_hand() -> None:
    """Differences 1, 2, 3: mean 2, deviation 1, error 1/sqrt(3); t(0.975, 2) = 4.3027, half-width 2.4841."""
    assert paired_interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2.0, 2.0 - 2.4841, 2.0 + 2.4841), abs=1e-4)


def test_rows_by_hand(space: SearchSpace, tmp_path: Path) -> None:
    """datadam 0.5, 0.7 and 0.8, 0.8 have draw means 0.6, 0.8; random 0.5 and 0.5: differences 0.1 and 0.3, mean 0.2. Over draws
    the deviation is 0.1414; within draws variances 0.02 and 0, pooled sqrt(0.01) = 0.1."""
    jobs = plan(space, tmp_path)
    fractions = {"datadam": [(0.5, 0.7), (0.8, 0.8)], "random": [(0.5, 0.5), (0.5, 0.5)]}
    for job in jobs:
        name = job.config.method.name
        outcome = Outcome(method=name, draw=job.draw, accuracy_fractions=fractions[name][job.draw], distill_seconds=1.0)
        job.store.write_json(job.file, outcome.model_dump(mode="json"))
    comparison = finish_comparison(jobs)
    assert comparison.outcomes == tuple(job.file for job in jobs)
    row, reference = comparison.rows
    assert (row.method, row.draws, row.networks) == ("datadam", 2, 2)
    assert (row.accuracy_fraction, row.above_random) == (pytest.approx(0.7), pytest.approx(0.2))
    assert (row.draws_std, row.networks_std) == (pytest.approx(0.1414, abs=1e-4), pytest.approx(0.1))
    assert reference.above_random is None


def test_jobs_travel_to_other_processes_and_leave_their_outcome(space: SearchSpace, tmp_path: Path) -> None:
    jobs = plan(space, tmp_path)
    for job in jobs:
        pickle.loads(pickle.dumps(job))()
    comparison = finish_comparison(jobs)
    assert {row.method for row in comparison.rows} == {"datadam", "random"}
    assert all(0 < row.accuracy_fraction < 1 for row in comparison.rows)
    assert comparison.settings["split"] == "select"


def test_a_comparison_has_the_commit_of_its_code(space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "commit", lambda: "abc-dirty")
    jobs = plan(space, tmp_path)
    for job in jobs:
        job()
    assert finish_comparison(jobs).commit == jobs[0].folder.read_json("comparison.json")["commit"] == "abc-dirty"


@pytest.mark.parametrize("text", ["{", "{}", '{"method": "random"}'])
def test_a_damaged_outcome_is_named(space: SearchSpace, tmp_path: Path, text: str) -> None:
    jobs = plan(space, tmp_path)
    for job in jobs:
        job.store.write(job.file, text)
    with pytest.raises(
        StoreError, match=r"compare/outcomes/\S+\.json is damaged \(.*\); delete it, and the next run makes it again"
    ):
        finish_comparison(jobs)


def test_a_second_run_continues_the_first(space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(space, tmp_path)[0]()
    monkeypatch.setattr(compare, "distil", lambda *_, **__: pytest.fail("distilled again"))
    plan(space, tmp_path, draws=3)[0]()


def test_another_comparison_finds_the_same_control_done(
    space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job in plan(space, tmp_path):
        job()
    monkeypatch.setattr(compare, "distil", lambda *_, **__: pytest.fail("distilled again"))
    other = plan(load_other(space), tmp_path)
    assert other[0].folder != plan(space, tmp_path)[0].folder
    random = [job for job in other if job.config.method.name == "random"]
    for job in random:
        job()


def load_other(space: SearchSpace) -> SearchSpace:
    return with_template(space, method={**space.arms[0].template["method"], "attention_power": 1.0})


def with_template(space: SearchSpace, **sections: Any) -> SearchSpace:
    arm = replace(space.arms[0], template={**space.arms[0].template, **sections})
    return replace(space, arms=(arm, *space.arms[1:]))


def test_test_split_is_opened_once_and_logged(space: SearchSpace, tmp_path: Path) -> None:
    jobs = open_where_wanted(plan(space, tmp_path, split="test"), "for a table")
    assert len(list((tmp_path / "test_openings").iterdir())) == 1
    assert all(job.test is not None and len(job.test.labels) == 450 for job in jobs)


def test_the_test_split_stays_shut_where_every_outcome_is_there(space: SearchSpace, tmp_path: Path) -> None:
    given: dict[str, Any] = {"methods": ["k_center"], "overrides": SMALL, "ipc": 1, "draws": 2, "local": True}
    told, later = Told(), Told()
    first = raydistill.compare("digits_datadam", store=tmp_path, reason="for a table", watcher=told, **given)
    again = raydistill.compare("digits_datadam", store=tmp_path, reason="for a table", watcher=later, **given)
    assert again == first
    (estimate,) = told.all("note")
    assert re.fullmatch(
        r"about \S+ \S+: 2 sets of k_center at \S+ s each, 2 sets of random at \S+ s each, one at a time", estimate
    )
    assert (later.all("note"), later.all("found")) == ([], [4])
    assert len(list((tmp_path / "test_openings").iterdir())) == 1


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_blank_reason_is_refused_and_not_taken_for_none(tmp_path: Path, reason: str) -> None:
    with pytest.raises(InputError, match="the test split needs a reason, which is logged at each opening"):
        raydistill.compare("digits_datadam", methods=["k_center"], ipc=1, draws=2, store=tmp_path, reason=reason, local=True)


def test_the_test_split_is_opened_after_the_resources_are_there(
    space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise InputError("no room")

    monkeypatch.setattr(LocalExecutor, "require", refuse)
    with pytest.raises(InputError, match="no room"):
        raydistill.compare(
            "digits_datadam", methods=["k_center"], ipc=1, draws=2, store=tmp_path, reason="a look", overrides=SMALL, local=True
        )
    assert not (tmp_path / "test_openings").exists()


def test_a_diverged_draw_is_counted(space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = plan(space, tmp_path, draws=3)
    whole = compare.distil

    def fail_once(config: Any, *rest: Any) -> Any:
        if config == jobs[0].config:
            raise DivergedError(3, float("nan"))
        return whole(config, *rest)

    monkeypatch.setattr(compare, "distil", fail_once)
    for job in jobs:
        job()
    row = finish_comparison(jobs).rows[0]
    assert (row.draws, row.diverged) == (2, 1)


def ended(method: str, *accuracies: float | None) -> list[Outcome]:
    """Draws of one network each; None diverged."""
    return [
        Outcome(method=method, draw=draw, accuracy_fractions=() if a is None else (a,), distill_seconds=1.0)
        for draw, a in enumerate(accuracies)
    ]


def test_a_draw_whose_random_images_diverged_is_in_no_pair() -> None:
    """Pairs are the draws 0 and 2: 0.9 - 0.8 and 0.7 - 0.4, in the mean 0.2; the method's mean is over all three draws."""
    row = rows_of([*ended("dm", 0.9, 0.5, 0.7), *ended("random", 0.8, None, 0.4)])[0]
    assert (row.draws, row.accuracy_fraction, row.above_random) == (3, pytest.approx(0.7), pytest.approx(0.2))


def test_a_single_pair_of_draws_says_nothing_against_random_images() -> None:
    row = rows_of([*ended("dm", 0.9, 0.5, None), *ended("random", None, 0.8, 0.4)])[0]
    assert (row.above_random, row.above_random_low, row.above_random_high) == (None, None, None)


def test_a_comparison_of_balanced_accuracy_is_another_one(space: SearchSpace, tmp_path: Path) -> None:
    """The mean over ten classes of each network's accuracy within them."""
    goal = space.goal.model_copy(update={"metric": "balanced_accuracy"})
    balanced = replace(space, arms=tuple(replace(arm, goal=goal) for arm in space.arms))
    (job, *_), (other, *_) = plan(balanced, tmp_path), plan(space, tmp_path)
    assert job.folder.read_json("settings.json")["metric"] == "balanced_accuracy"
    assert "metric" not in other.folder.read_json("settings.json")
    assert (job.folder.root != other.folder.root, job.file != other.file) == (True, True)
    job()
    other()
    found, plain = (Outcome.model_validate_json(unseal(one.store.read(one.file))) for one in (job, other))
    assert found.accuracy_fractions != plain.accuracy_fractions
    assert found.accuracy_fractions == pytest.approx(plain.accuracy_fractions, abs=0.02)


def test_a_method_that_never_ends_is_an_error(space: SearchSpace, tmp_path: Path) -> None:
    jobs = plan(space, tmp_path)
    for job in jobs:
        error = "the loss is nan at step 3" if job.config.method.name == "datadam" else None
        outcome = Outcome(
            method=job.config.method.name,
            draw=job.draw,
            accuracy_fractions=() if error else (0.5,),
            distill_seconds=0.0,
            error=error,
        )
        job.store.write_json(job.file, outcome.model_dump(mode="json"))
    with pytest.raises(
        CompareError, match=r"datadam: 0 of 2 draws ended with a set \(the loss is nan at step 3.*lower the learning rates"
    ):
        finish_comparison(jobs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"draws": 1}, "needs at least 2: give e.g. --draws 10"),
        ({"ipc": 500}, r"allowed: 1 to 77, the number of train images in the smallest class \(8\): give fewer, add images of"),
        ({"ipc": 0}, "allowed: 1 to 77, the number of train images"),
        ({"methods": ["datadm"]}, r"unknown method 'datadm'; allowed: datadam, .*, or a search space: datadm is neither"),
        (
            {"methods": ["datadam", "digits_datadam_bilevel"]},
            "method datadam is given twice with different settings; give each method once",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(space: SearchSpace, tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(CompareError, match=message):
        plan(space, tmp_path, **given)
