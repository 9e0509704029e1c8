"""The choice of a network by a set."""

from __future__ import annotations

import csv
import io
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import Told
from resealed import content
from small_set import write_small_set

import raydistill
from raydistill.errors import InputError
from raydistill.report.use_tables import render_use
from raydistill.storage.store import Store
from raydistill.uses import nas, running
from raydistill.uses.ranks import RankCorrelation
from raydistill.uses.values import About, NasArm, NasResult

SMALL = "width=4,8:depth=1:norm=none,instance:activation=relu"
"""2 x 2 x 3 poolings: 12 networks."""


def choose(path: str, **options: Any) -> Any:
    given: dict[str, Any] = {"space": SMALL, "sample": 6, "recipe": "plain", "controls": ["random"], "local": True, **options}
    return raydistill.evaluate_for("nas", path, **given)


def units(path: str) -> list[dict[str, Any]]:
    folder = Store(f"{path}/uses/units")
    return [content(folder, name)["unit"] for name in folder.files(".")]


def test_each_network_of_the_sample_is_trained_on_every_source(small_set: str) -> None:
    result = choose(small_set)
    assert [arm.source for arm in result.arms] == ["full", "again", "early", "set", "random"]
    assert {len(arm.accuracy_fractions) for arm in result.arms} == {6}
    assert (len(result.networks), result.space, result.left_out) == (6, 12, 0)
    assert result.arms[0].spearman.model_dump() == pytest.approx({"value": 1.0, "low": 1.0, "high": 1.0})


def test_the_network_ranked_first_has_its_accuracy_on_the_full_data(small_set: str) -> None:
    result = choose(small_set)
    full, of_set = result.arms[0], result.arms[3]
    own = of_set.accuracy_fractions
    first = [place for place, accuracy in enumerate(own) if accuracy == max(own)]
    assert of_set.chosen == result.networks[first[0]]
    assert of_set.tied == len(first)
    assert of_set.chosen_accuracy_fraction == pytest.approx(statistics.mean(full.accuracy_fractions[place] for place in first))
    assert full.chosen_accuracy_fraction == max(full.accuracy_fractions)


def test_networks_that_are_tied_first_have_the_mean_of_their_accuracies(small_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the full data the six networks have 0.1 to 0.6 in the order of the sample, on the set three share the first place."""
    finish_real = nas.NasPlan.finish
    scores = {"full": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), "set": (0.5, 0.7, 0.7, 0.1, 0.2, 0.7)}

    def finish(plan: nas.NasPlan, run: Any, records: Any) -> NasResult:
        return finish_real(plan, run, [scored(record, scores, number // 5) for number, record in enumerate(records)])

    monkeypatch.setattr(nas.NasPlan, "finish", finish)
    own = choose(small_set).arms[3]
    assert (own.source, own.tied) == ("set", 3)
    assert own.chosen_accuracy_fraction == pytest.approx((0.2 + 0.3 + 0.6) / 3)


def scored(record: Any, scores: dict[str, tuple[float, ...]], network: int) -> Any:
    own = scores.get(record.unit.source.name, (0.5,) * 6)
    return record.model_copy(update={"accuracy_fraction": own[network]})


def test_early_stopping_sees_as_many_images_as_the_set_does(small_set: str) -> None:
    """Recipe of 4 steps of 64 images; a share of 0.5 is 2 steps of the set's 30: 60 images, one step of the full data."""
    result = choose(small_set, proxy_share=0.5)
    assert {arm.source: arm.steps for arm in result.arms} == {"full": 4, "again": 4, "early": 1, "set": 2, "random": 2}
    assert {arm.source: arm.stored_images for arm in result.arms} == {
        "full": 797,
        "again": 797,
        "early": 797,
        "set": 30,
        "random": 30,
    }


def test_networks_of_an_architecture_start_alike_on_every_source(small_set: str) -> None:
    choose(small_set, networks=2)
    seeds = {(unit["source"]["name"], unit["seed"]) for unit in units(small_set)}
    by_source = {name: {seed for other, seed in seeds if other == name} for name, _ in seeds}
    again = by_source.pop("again")
    assert len(set(map(frozenset, by_source.values()))) == 1
    assert len(again) == 2
    assert not again & by_source["full"]


def test_a_larger_sample_trains_only_the_new_networks(small_set: str) -> None:
    first, told = choose(small_set), Told()
    larger = choose(small_set, sample=8, watcher=told)
    assert larger.networks[:6] == first.networks
    assert (told.all("stage")[-1], told.all("found")) == (("networks", 8 * 5), [6 * 5])


def test_the_sample_is_as_large_as_the_hours_allow(small_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 1 s an image a network costs 636 s; of 12 networks 11 fit."""
    monkeypatch.setattr(nas, "probe", lambda *_: 1.0)
    each = 2 * 4 * 64 + 64 + 30 + 30  # the full data twice, one step of it, one of the set, one of random images
    result = choose(small_set, sample=None, hours=11.5 * each / 3600)
    assert len(result.networks) == 11


def test_a_run_that_goes_on_keeps_the_size_of_its_sample(small_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine may be busier than it was."""
    monkeypatch.setattr(nas, "probe", lambda *_: 1.0)
    hours = 11.5 * 636 / 3600
    first = choose(small_set, sample=None, hours=hours)
    next(Path(small_set, "uses", "units").glob("*.json")).unlink()
    monkeypatch.setattr(nas, "probe", lambda *_: 10.0)
    assert choose(small_set, sample=None, hours=hours).networks == first.networks


def test_a_dry_run_leaves_no_sample_behind(small_set: str) -> None:
    told = Told()
    assert choose(small_set, sample=None, dry_run=True, watcher=told) is None
    assert "60 networks convnet at" in told.all("note")[0]
    assert not Path(small_set, "uses").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample": 13}, r"given --sample 13; the space has 12 networks that fit the images, .* at least 5: give 5 to 12"),
        ({"sample": 4}, r"given --sample 4; the space has 12 networks"),
        ({"space": "width=4:depth=1:norm=none:activation=relu"}, r"3 networks of the space fit images of 8 x 8 pixels; a rank"),
        ({"proxy_share": 1.5}, r"given --proxy-share 1.5; expected a number above 0 and at most 1"),
        ({"network": "mlp"}, r"--network is for --protocol transfer or continual, not for nas: leave it out"),
        (
            {"split": "test", "reason": "a test"},
            r"given --split test for nas; networks are chosen by what they read, so it uses the select images alone",
        ),
        ({"space": "size=3"}, r"given --space size=3: unknown axis 'size'"),
    ],
)
def test_what_it_cannot_do_is_named(small_set: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose(small_set, **options)


def test_hours_without_room_for_ten_networks_are_refused_with_how_long_the_space_takes(
    small_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """636 images a network at 1 s: ten take 6360 s, twelve 7632."""
    monkeypatch.setattr(nas, "probe", lambda *_: 1.0)
    message = (
        r"given 0.5 hours, which have room for 2 of 12 networks; a rank correlation needs at least 10, which take about 1.8 h, "
        r"and the whole space takes about 2.1 h: give --hours 2.1, or a smaller space"
    )
    with pytest.raises(InputError, match=message):
        choose(small_set, sample=None, hours=0.5)


def test_experts_that_are_missing_leave_fewer_hours_for_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """636 images a network at 1 s, and 2 x 797 s for an expert of one epoch, which passes twice."""
    fixed = [
        "ipc=3",
        "evaluation.recipe=plain",
        "evaluation.networks=2",
        "method={name: random_soft, experts: 1, expert_epochs: 1}",
    ]
    path = write_small_set(tmp_path / "soft", torch.randn(30, 10), fixed=fixed)
    monkeypatch.setattr(nas, "probe", lambda *_: 1.0)
    monkeypatch.setattr(running, "trial_pace", lambda *_: 1.0)
    message = r"room for 9 of 12 networks after the experts that label controls, which take 27 min; .* take about 2.2 h, "
    with pytest.raises(InputError, match=message):
        choose(path, sample=None, controls=["herding_soft"], hours=(2 * 797 + 9.5 * 636) / 3600)


def test_on_a_gpu_the_sample_has_to_be_given(small_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nas, "probe", lambda *_: None)
    with pytest.raises(InputError, match=r"on a GPU nothing is timed beforehand, .*: give --sample N"):
        choose(small_set, sample=None)


def by_hand() -> NasResult:
    about: dict[str, Any] = dict.fromkeys(About.model_fields, "x") | {"ipc": 3, "commit": None, "versions": {}}
    common: dict[str, Any] = {"accuracy_fractions": (0.5, 0.6), "chosen": "convnet:depth=1", "steps": 9, "seconds": 120.0}
    none = RankCorrelation(value=None, low=None, high=None)
    found = RankCorrelation(value=0.5, low=0.25, high=0.75)
    arms = (
        NasArm(source="full", spearman=none, kendall=none, chosen_accuracy_fraction=0.9, stored_images=797, **common),
        NasArm(source="early", tied=3, spearman=found, kendall=found, chosen_accuracy_fraction=0.8, stored_images=797, **common),
    )
    return NasResult(about=About(**about), networks=("a", "b"), seeds=1, space=600, left_out=120, arms=arms)


def test_people_see_correlations_with_intervals() -> None:
    said = render_use(by_hand(), "md")
    assert "over 2 networks of a space of 600 (120 more do not fit the images), with 95 % bootstrap intervals" in said
    assert "| full data, stopped early | 797      | 9       | 2 min  | 0.50 (0.25 to 0.75) | 0.50 (0.25 to 0.75) |" in said
    assert "none, all tied" in said
    assert "convnet:depth=1 (tied with 2 more: mean of the 3)" in said


def test_scripts_see_a_row_per_source() -> None:
    rows = list(csv.DictReader(io.StringIO(render_use(by_hand(), "csv"))))
    assert [(row["source"], row["spearman"], row["spearman_low"]) for row in rows] == [("full", "", ""), ("early", "0.5", "0.25")]
