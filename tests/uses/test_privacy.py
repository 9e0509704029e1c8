"""What a set shows of the train images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from made_up import Told

import raydistill
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import decode, encode
from raydistill.errors import InputError, StoreError
from raydistill.report.use_tables import render_use
from raydistill.sets.eight_bit import to_eight_bit
from raydistill.spaces.network import MLPConfig
from raydistill.storage.store import Store
from raydistill.uses.membership import Auc
from raydistill.uses.nearness import Nearness
from raydistill.uses.privacy import check_finite
from raydistill.uses.units import Unit
from raydistill.uses.values import About, PrivacyArm, PrivacyResult, read_result


def look(path: str, **options: Any) -> Any:
    return raydistill.evaluate_for("privacy", path, **{"recipe": "plain", "controls": ["random"], "local": True, **options})


def test_a_set_of_train_images_is_found_to_be_copies(small_set: str) -> None:
    """The set of these tests is three train images of each digit."""
    result = look(small_set)
    assert [(arm.source, arm.images, arm.copies) for arm in result.arms] == [("set", 30, 30), ("random", 30, 30)]
    own = result.arms[0]
    assert own.pixel.synthetic == (0.0,) * 5
    assert own.pixel.nearer_fraction == 1.0
    assert (result.train_images, result.held_out_images) == (797, 250)
    assert read_result(Store(f"{small_set}/uses"), "privacy") == result


def test_copies_that_were_rounded_to_8_bits_are_copies_too(small_set: str) -> None:
    file = Path(small_set, "images.safetensors")
    synthetic, manifest = decode(file.read_bytes())
    file.write_bytes(encode(to_eight_bit(synthetic, manifest.preprocess).synthetic, manifest))
    own = look(small_set, controls=["none"]).arms[0]
    assert own.pixel.synthetic[0] > 0
    assert own.copies == 30


def test_copies_give_away_their_own_membership_alone(small_set: str) -> None:
    """The 30 copies stand above all held-out images, and the other 767 train images are like these: near 0.5 + 0.5 x 30 / 797."""
    own = look(small_set).arms[0]
    assert own.by_distance.low < 0.5 + 0.5 * 30 / 797 < own.by_distance.high
    assert own.by_distance.value > 0.5


def test_real_images_are_compared_with_real_ones_of_another_part(small_set: str) -> None:
    own, control = look(small_set).arms
    assert own.pixel.real == control.pixel.real
    assert min(own.pixel.real) > 0


def test_a_second_run_looks_at_nothing_again_and_a_killed_one_at_what_is_missing(small_set: str) -> None:
    first, told = look(small_set), Told()
    assert look(small_set, watcher=told) == first
    assert told.all("job") == []
    next(Path(small_set, "uses", "privacy").glob("*.json")).unlink()
    assert look(small_set, watcher=told) == first
    assert (told.all("stage"), told.all("found")) == ([("privacy", 2)], [1])


def test_a_dry_run_says_how_long_it_takes_and_does_nothing(small_set: str) -> None:
    told = Told()
    assert look(small_set, dry_run=True, watcher=told) is None
    assert "3 networks convnet at" in told.all("note")[0]
    assert not Path(small_set, "uses").exists()
    look(small_set)
    look(small_set, dry_run=True, watcher=told)
    assert "nothing is left to do: the records of all 2 sets are in" in told.all("note")[-1]


def test_damaged_weights_are_named_with_what_to_do(small_set: str) -> None:
    look(small_set)
    next(Path(small_set, "uses", "privacy").glob("*.json")).unlink()
    next(Path(small_set, "uses", "features").glob("*")).write_bytes(b"nothing")
    with pytest.raises(StoreError, match=r"features/.*is missing or damaged .*; delete it and run the same command again"):
        look(small_set)


def test_a_network_on_the_full_data_that_diverges_is_named(small_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "plain", replace(RECIPES["plain"], lr=1e30))  # type: ignore[type-var]
    message = r"the network convnet:.* that was trained on full with recipe plain diverged, .*: give another --recipe \(default, "
    with pytest.raises(InputError, match=message):
        look(small_set)


def test_a_network_on_the_set_that_diverges_by_its_learned_rate_is_named(small_set: str) -> None:
    file = Path(small_set, "images.safetensors")
    synthetic, manifest = decode(file.read_bytes())
    file.write_bytes(encode(replace(synthetic, learned_lr=1e30), manifest))
    with pytest.raises(
        InputError, match=r"trained on set with .* diverged, .*: its learning rate, 1e\+30, was learned with the set"
    ):
        look(small_set)


def test_a_control_on_which_a_network_diverges_can_be_left_out() -> None:
    unit = cast("Unit", SimpleNamespace(source=SimpleNamespace(name="random"), network=MLPConfig(name="mlp"), recipe="plain"))
    with pytest.raises(InputError, match=r"give another --recipe \(.*\), or --controls without random"):
        check_finite([torch.ones(2), torch.tensor([1.0, torch.inf])], unit)
    check_finite([torch.ones(2)], unit)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": 2}, r"--networks is for --protocol transfer or continual or nas or cost, not for privacy: leave it out"),
        ({"split": "test", "reason": "a test"}, r"given --split test for privacy; select images are those that no set was made"),
        ({"controls": ["randon"]}, r"unknown control 'randon' for a set of datadam"),
        ({"hours": 1e-9}, r"given --hours 1e-09, and what is left takes about"),
    ],
)
def test_what_it_cannot_do_is_named(small_set: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        look(small_set, **options)


def by_hand() -> PrivacyResult:
    about = {**dict.fromkeys(About.model_fields, "x"), "ipc": 3, "commit": None, "versions": {}}
    arm = PrivacyArm(
        source="set",
        images=30,
        copies=0,
        pixel=Nearness(synthetic=(1.0, 2.0, 3.0, 4.0, 5.0), real=(1.0, 1.0, 2.0, 2.0, 3.0), nearer_fraction=0.0),
        feature=Nearness(synthetic=(1.0, 2.0, 3.0, 4.0, 5.0), real=(0.0,) * 5, nearer_fraction=0.0),
        by_distance=Auc(value=0.52, low=0.48, high=0.56),
        by_loss=Auc(value=0.6, low=0.55, high=0.65),
    )
    held = arm.model_copy(update={"source": "random", "copies": 30})
    return PrivacyResult(about=About.model_validate(about), train_images=797, held_out_images=250, arms=(arm, held))


def test_people_see_ratios_and_areas_and_that_they_prove_nothing() -> None:
    """Median 3 over the real median 2; ends 1 / 2 and 5 / 2."""
    said = render_use(by_hand(), "md")
    assert "1.50 (0.50 to 2.50)" in said
    assert "0.520 (0.480 to 0.560)" in said
    assert "none: half of the held-out images are train images" in said
    assert "whose membership is certain, are in random (30 of 30). None of this is a proof of privacy" in said
    assert "\\begin{tabular}" in render_use(by_hand(), "tex")


def test_people_are_told_where_a_half_is_no_coin() -> None:
    said = render_use(by_hand().model_copy(update={"drawn_unlike": ("whole groups were drawn",)}), "md")
    assert "Members and others were not drawn alike (whole groups were drawn), so 0.5 is not a coin here." in said
    assert "they tell nothing" not in said
    assert "drawn alike" not in render_use(by_hand(), "md")


def test_the_result_says_that_members_and_others_were_drawn_alike(small_set: str) -> None:
    assert look(small_set, controls=["none"]).drawn_unlike == ()


def test_scripts_see_every_quantile() -> None:
    row = json.loads(render_use(by_hand(), "json"))[0]
    assert (row["source"], row["copies"], row["pixel_synthetic_q50"], row["pixel_real_q95"]) == ("set", 0, 3.0, 3.0)
    assert (row["auc_by_loss"], row["auc_by_distance_low"]) == (0.6, 0.48)
