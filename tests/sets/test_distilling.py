"""One set by itself, on real digits with a recipe of a few steps."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hand_made import FIXED, SMALL
from made_up import Told
from PIL import Image

import raydistill
from raydistill.catalogue import load_space
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import decode
from raydistill.errors import DataError, InputError, SpaceError, StoreError
from raydistill.sets.distilling import distil_once, only_trial
from raydistill.sets.evaluating import compare_with_start
from raydistill.storage.store import Store


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "plain", dataclasses.replace(RECIPES["plain"], steps=30))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    raydistill.distill(SMALL, overrides=FIXED, out=tmp_path / "set")
    return tmp_path / "set"


def test_distilling_gives_a_set_of_the_shape_asked_for() -> None:
    synthetic = raydistill.distill(SMALL, overrides=FIXED)
    assert (tuple(synthetic.images.shape), synthetic.ipc, synthetic.label_kind) == ((30, 1, 8, 8), 3, "hard")


def test_the_same_space_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        raydistill.distill(SMALL, overrides=FIXED, out=tmp_path / name)
    assert (tmp_path / "a/images.safetensors").read_bytes() == (tmp_path / "b/images.safetensors").read_bytes()


def test_what_is_saved_is_the_set_with_its_origin_and_a_picture(saved: Path) -> None:
    """Rows are the 10 classes, columns the 3 images of 8 pixels, enlarged to 32, with 2 pixels between."""
    synthetic, manifest = decode((saved / "images.safetensors").read_bytes())
    assert (len(synthetic.images), manifest.config["ipc"], manifest.config["dataset"]["name"]) == (30, 3, "digits")
    assert np.array(Image.open(io.BytesIO((saved / "images.png").read_bytes()))).shape == (342, 104, 3)


def test_ranges_that_are_left_are_named_together() -> None:
    with pytest.raises(SpaceError) as caught:
        raydistill.distill(SMALL)
    assert str(caught.value).splitlines() == [
        "study tiny has 2 mistakes:",
        "  study tiny: ipc: given a range from 1 to 60; a single set needs a single value: add --set ipc=VALUE",
        "  study tiny: method.lr_images: given a range from 0.1 to 10; a single set needs a single value: add --set "
        "method.lr_images=VALUE",
    ]


def test_choices_that_are_left_are_named() -> None:
    document: dict[str, Any] = {**SMALL, "ipc": 3, "method": {"name": "datadam", "init": {"choices": ["real", "noise"]}}}
    with pytest.raises(SpaceError, match=r"method.init: given the choices real, noise; a single set needs a single value"):
        raydistill.distill(document)


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    steps: list[int] = []
    with pytest.raises(StoreError, match="cannot write"):
        raydistill.distill(SMALL, overrides=FIXED, out=tmp_path / "file" / "set", on_step=lambda step, *_: steps.append(step))
    assert steps == []


def test_the_start_is_kept_as_it_was(tmp_path: Path) -> None:
    config = only_trial(load_space(SMALL, FIXED, None, for_search=False), None)
    distilled = distil_once(config, Store(str(tmp_path)), None)
    assert distilled.start.images.shape == distilled.synthetic.images.shape
    assert not torch.equal(distilled.start.images, distilled.synthetic.images)
    after, before = compare_with_start(distilled, None)
    assert len(after) == len(before) == 2


def test_a_folder_of_images_is_distilled_and_evaluated_where_its_data_root_is(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(40):
        path = tmp_path / "root/pictures" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        low = 128 * (number % 2)  # dark pictures and light ones
        Image.fromarray(generator.integers(low, low + 128, (8, 8, 3), dtype=np.uint8)).save(path)
    document = {**SMALL, "dataset": {"name": "image_folder", "path": "pictures", "size": 8}, "method": {"name": "random"}}
    fixed = ["ipc=1", "evaluation.recipe=plain", "evaluation.networks=1", "goal.margin_fraction=0.9"]
    raydistill.distill(document, overrides=fixed, out=tmp_path / "set", data_root=tmp_path / "root")
    (tmp_path / "root").rename(tmp_path / "moved")
    (accuracy,) = raydistill.evaluate(tmp_path / "set", data_root=tmp_path / "moved").accuracy_fractions
    assert accuracy > 0.6  # dark is told from light; how surely depends on the kernels


def test_evaluating_gives_a_fraction_per_network(saved: Path) -> None:
    accuracies = raydistill.evaluate(saved).accuracy_fractions
    assert len(accuracies) == 2
    assert all(0.1 < accuracy <= 1 for accuracy in accuracies)
    assert raydistill.evaluate(saved / "images.safetensors", networks=1).accuracy_fractions == accuracies[:1]


def test_a_network_named_alone_gives_a_fraction_per_network_too(saved: Path) -> None:
    assert raydistill.evaluate(saved, network="convnet") == raydistill.evaluate(saved)
    # Three of each: two networks may well be right on equally many of 250 images.
    assert raydistill.evaluate(saved, network="mlp:width=16", networks=3) != raydistill.evaluate(saved, networks=3)


def test_several_architectures_give_a_reading_each_in_order(saved: Path) -> None:
    """MLP of width 16 on 64 pixels: 64*16 + 16, 16*16 + 16, 16*10 + 10 = 1,482 parameters."""
    told = Told()
    evaluation = raydistill.evaluate(saved, network=["mlp:width=16", "convnet"], watcher=told)
    (estimate,) = told.all("note")
    assert re.fullmatch(r"about \S+ s: 2 networks mlp at \S+ s each, 2 networks convnet at \S+ s each, one at a time", estimate)
    assert (told.all("stage"), len(told.all("job"))) == ([("evaluation", 4)], 4)
    first, own = evaluation.readings
    assert (first.network, first.parameters, len(first.accuracy_fractions)) == ("mlp:width=16", 1482, 2)
    assert (own.network, first.recipe, first.split) == (
        "convnet:depth=2:width=8:norm=instance:activation=relu:pooling=average",
        "plain",
        "select",
    )
    assert own.accuracy_fractions == raydistill.evaluate(saved).accuracy_fractions


def test_several_architectures_have_no_accuracies_in_common(saved: Path) -> None:
    evaluation = raydistill.evaluate(saved, network=("mlp:width=16", "mlp:width=8"), networks=1)
    message = (
        r"evaluated with 2 architectures \(mlp:width=16, mlp:width=8\), which have accuracies of their own: "
        r"read those of each in readings, as readings\[0\]\.accuracy_fractions"
    )
    with pytest.raises(InputError, match=message):
        evaluation.accuracy_fractions  # noqa: B018


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ([], r"given \[\] as network; give an architecture, as 'mlp', or a list of them, or leave it out for the set's own"),
        ("", "given '' as network; give an architecture"),
        (
            ["mpl", "lenet"],
            r"network 'mpl': unknown name 'mpl'; did you mean 'mlp'\?.*; network 'lenet': given lenet for 1-channel",
        ),
    ],
)
def test_invalid_networks_are_refused_together(saved: Path, network: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        raydistill.evaluate(saved, network=network)


def test_the_test_split_stays_closed_if_a_network_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        raydistill.evaluate(saved, network="lenet", split="test", reason="a look", store=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_the_test_split_opens_with_a_reason_and_the_opening_is_logged(saved: Path, tmp_path: Path) -> None:
    raydistill.evaluate(saved, split="test", reason="a look", networks=1, store=tmp_path / "store")
    (entry,) = (tmp_path / "store" / "test_openings").iterdir()
    assert '"reason": "a look"' in entry.read_text()


@pytest.fixture
def of_a_study(saved: Path, tmp_path: Path) -> Path:
    """The set as a trial of a study has it; its store is `elsewhere`."""
    (tmp_path / "elsewhere/study/trials").mkdir(parents=True)
    (tmp_path / "elsewhere/study/search_space.yaml").write_text("study: study")
    return saved.rename(tmp_path / "elsewhere/study/trials/one")


@pytest.mark.parametrize("given", ["{set}", "{set}/images.safetensors", "../elsewhere/study/trials/one", "../link"])
def test_an_opening_for_a_set_of_a_study_is_logged_in_the_studys_store(
    of_a_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(of_a_study)
    monkeypatch.chdir(tmp_path / "here")
    raydistill.evaluate(given.format(set=of_a_study), split="test", reason="a look", networks=1)
    assert len(list((tmp_path / "elsewhere/test_openings").iterdir())) == 1
    assert list((tmp_path / "here").iterdir()) == []


def test_an_opening_for_a_set_outside_a_study_is_logged_in_studies(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raydistill.evaluate("set", split="test", reason="a look", networks=1)
    assert len(list((tmp_path / "studies/test_openings").iterdir())) == 1


def test_another_store_than_that_of_the_sets_study_is_refused(of_a_study: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"split": "test", "reason": "a look", "networks": 1}
    with pytest.raises(
        InputError, match=r"store .*/other for .*, which is in study .*: give that as --store, or leave --store out"
    ):
        raydistill.evaluate(of_a_study, store=tmp_path / "other", **given)
    assert not (tmp_path / "other").exists()
    raydistill.evaluate(of_a_study, store=tmp_path / "elsewhere", **given)
    assert len(list((tmp_path / "elsewhere/test_openings").iterdir())) == 1


def test_a_reason_to_read_the_select_split_is_refused(saved: Path) -> None:
    with pytest.raises(
        InputError, match=r"a reason is given, but the select split needs none: remove --reason, or add --split test"
    ):
        raydistill.evaluate(saved, reason="a look")


def test_the_test_split_stays_shut_without_a_reason(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the test split needs a reason, which is logged at each opening: add --reason TEXT"):
        raydistill.evaluate(saved, split="test", reason=" ", store=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_an_unknown_split_is_refused(saved: Path) -> None:
    with pytest.raises(InputError, match="unknown split 'confirm'; allowed: select, test"):
        raydistill.evaluate(saved, split="confirm")  # type: ignore[arg-type]


def test_an_unknown_recipe_suggests_the_nearest(saved: Path) -> None:
    with pytest.raises(InputError, match=r"unknown recipe 'plane'; did you mean 'plain'\? Allowed: default, .*plain"):
        raydistill.evaluate(saved, recipe="plane")


def test_less_than_one_network_is_refused(saved: Path) -> None:
    with pytest.raises(InputError, match="given 0 networks; expected a whole number of at least 1"):
        raydistill.evaluate(saved, networks=0)


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"images.png is not a .safetensors file; give a .safetensors file, or the folder"):
        raydistill.evaluate(tmp_path / "images.png")
    with pytest.raises(InputError, match=r"no set at .*/nowhere/images.safetensors; give an images.safetensors, or the folder"):
        raydistill.evaluate(tmp_path / "nowhere")


def test_a_damaged_set_is_named(saved: Path) -> None:
    (saved / "images.safetensors").write_bytes(b"no")
    with pytest.raises(
        InputError, match=r"images.safetensors: not a synthetic set .* give an images.safetensors that raydistill wrote"
    ):
        raydistill.evaluate(saved)


def test_a_set_of_other_data_is_refused(saved: Path) -> None:
    data = (saved / "images.safetensors").read_bytes()
    sha = decode(data)[1].config["data_sha256"].encode()
    (saved / "images.safetensors").write_bytes(data.replace(sha, b"0" * 64))
    with pytest.raises(DataError, match=r"data set digits has hash .* the trial was made for 000000000000"):
        raydistill.evaluate(saved)
