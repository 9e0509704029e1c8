"""The ledger: published numbers, own ones from a store written by hand, and what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hand_certified import certificate
from hand_made import SMALL

from raydistill.comparison.rows import Comparison, Row
from raydistill.core.recipes import RECIPES
from raydistill.errors import StoreError
from raydistill.methods import METHODS
from raydistill.reproduce.jobs import Outcome
from raydistill.reproduce.ledger import (
    LedgerCell,
    OwnValue,
    differences,
    ledger_rows,
    own_values,
    published_cells,
    render_ledger,
)
from raydistill.storage.store import Store

DM = METHODS["dm"].config.model_validate({"name": "dm"}).model_dump(mode="json")
CONVNET = {"name": "convnet", "depth": 3, "width": 128, "norm": "instance"}


def cell(**changes: Any) -> LedgerCell:
    fields = {
        "dataset": "mnist",
        "method": "dm",
        "ipc": 10,
        "accuracy_percent": 97.5,
        "std_points": 0.1,
        "recipe": "dsa_dm",
        "source": "a paper",
    }
    return LedgerCell.model_validate({**fields, **changes})


def own(**changes: Any) -> OwnValue:
    fields = {
        "dataset": "mnist",
        "method": "dm",
        "ipc": 10,
        "accuracy_fraction": 0.93,
        "metric": "accuracy",
        "std": 0.01,
        "runs": "2 sets x 3 networks",
        "network": CONVNET,
        "recipe": "dsa_dm",
        "split": "test",
        "preprocess": "standardise",
        "train_part": "all",
        "settings": DM,
        "place": "compare/x",
    }
    return OwnValue.model_validate({**fields, **changes})


def test_published_numbers_are_of_methods_and_recipes_that_are_here() -> None:
    cells = published_cells()
    assert {c.method for c in cells} - {"dsa"} <= set(METHODS)
    other = {
        "1000 epochs with crop, scale and rotation",
        "crop and flip, hard labels",
        "2000 epochs of AdamW with cutmix, best epoch",
    }
    assert {c.recipe for c in cells} <= set(RECIPES) | other
    assert not other & set(RECIPES)


def test_some_published_numbers_as_they_are_printed() -> None:
    """DataDAM's poster, DATM's figure, NCFM's and the KIP paper, the report."""
    found = {(c.dataset, c.method, c.ipc, c.accuracy_percent, c.std_points) for c in published_cells()}
    assert ("cifar10", "datadam", 10, 54.2, 0.8) in found
    assert ("cifar10", "datm", 1000, 85.5, 0.4) in found
    assert ("cifar10", "ncfm", 10, 71.8, 0.3) in found
    assert ("cifar100", "ncfm", 50, 54.4, None) in found
    assert ("mnist", "dsa", 50, 99.2, 0.1) in found
    assert ("mnist", "datm", 100, 97.04, None) in found


def test_a_cell_that_was_not_run_says_so() -> None:
    (row,) = ledger_rows([cell()], [own(ipc=50), own(method="dc"), own(dataset="cifar10")])
    assert (row["runs"], row["own_accuracy_fraction"], row["published_accuracy_fraction"]) == ("not run", None, 0.975)


def test_every_own_value_of_a_cell_has_a_row() -> None:
    rows = ledger_rows([cell()], [own(), own(accuracy_fraction=0.94)])
    assert [row["own_accuracy_fraction"] for row in rows] == [0.93, 0.94]


def test_the_same_protocol_has_no_differences() -> None:
    assert differences(cell(), own()) == "none known"


def test_every_difference_of_protocol_is_named() -> None:
    network = {**CONVNET, "width": 16}
    changed = {"network": network, "recipe": "default", "metric": "balanced_accuracy", "split": "select", "preprocess": "zca"}
    assert differences(cell(), own(**changed, train_part="10 images")) == (
        "network convnet:depth=3:width=16:norm=instance (published convnet:depth=3:width=128:norm=instance); recipe default "
        "(published dsa_dm); balanced accuracy (published accuracy); select images (published test); zca (published "
        "standardise); made from 10 images (published all)"
    )


def test_how_a_set_was_made_is_compared_with_the_methods_defaults() -> None:
    said = differences(cell(), own(settings={**DM, "random_inits": 30, "init": "noise"}))
    assert said == "distilled with random_inits 30 (default 20000), init noise (default real)"


def test_dc_was_published_without_augmentation_and_dsa_with_its_own() -> None:
    """Both are `dc` here, whose default is DSA's augmentation."""
    dc = METHODS["dc"].config.model_validate({"name": "dc", "augmentation": "none"}).model_dump(mode="json")
    assert differences(cell(method="dc"), own(method="dc", settings=dc)) == "none known"
    assert differences(cell(method="dsa"), own(method="dsa", settings={**dc, "augmentation": "dsa"})) == "none known"
    said = differences(cell(method="dsa"), own(method="dsa", settings={**dc, "augmentation": "affine"}))
    assert said == "distilled with augmentation affine (default dsa)"


def test_a_setting_of_several_numbers_is_no_difference_where_it_is_the_default() -> None:
    pad = METHODS["pad"].config.model_validate({"name": "pad"}).model_dump(mode="json")
    assert differences(cell(dataset="cifar10", method="pad"), own(preprocess="zca", settings=pad)) == "none known"


def test_datadam_was_published_with_batch_norm_and_datm_on_cifar_with_zca() -> None:
    assert "norm=batch" in differences(cell(method="datadam"), own(method="datadam"))
    assert differences(cell(dataset="cifar10", method="datm"), own(preprocess="zca")) == "none known"


def write_comparison(store: Store) -> None:
    row = {
        "draws": 2,
        "diverged": 0,
        "networks": 3,
        "accuracy_fraction": 0.9,
        "draws_std": 0.02,
        "networks_std": 0.01,
        "above_random": None,
        "above_random_low": None,
        "above_random_high": None,
        "distill_seconds": 1.0,
    }
    comparison = Comparison(
        rows=(Row(method="dc", **row), Row(method="random", **row)),
        settings={
            "dataset": {"name": "mnist", "preprocess": "standardise"},
            "ipc": 10,
            "network": CONVNET,
            "evaluation": {"recipe": "plain"},
            "split": "select",
            "metric": "balanced_accuracy",
            "methods": {"dc": {"name": "dc", "augmentation": "dsa"}, "random": {"name": "random"}},
        },
        code_sha256="c" * 64,
        versions={},
    )
    store.write_json("compare/abc/comparison.json", comparison.model_dump(mode="json"))


def test_comparisons_certificates_and_reproductions_are_found(tmp_path: Path) -> None:
    """Draws of mean 0.8 and 0.6: 0.7 with a deviation of sqrt(0.02); gradient matching with augmentation is DSA."""
    store = Store(str(tmp_path))
    write_comparison(store)
    by_hand = certificate()
    config = {**by_hand.evidence.config, "goal": {**by_hand.evidence.config["goal"], "metric": "balanced_accuracy"}}
    evidence = by_hand.evidence.model_copy(update={"config": config})
    store.write_json("by-hand/certificate.json", by_hand.model_copy(update={"evidence": evidence}).model_dump(mode="json"))
    images = {"dataset": "mnist", "pixels": "standardised", "train_images": None}
    settings = {
        "source": {"images": images, "method": {"name": "datadam", "init": "noise"}, "network": CONVNET, "ipc": 10},
        "network": CONVNET,
        "recipe": {"name": "report_as_run"},
    }
    measured = {"train_seconds": (1.0, 1.0), "device": "cpu", "versions": {}}
    for draw, fractions in enumerate([(0.7, 0.9), (0.6, 0.6)]):
        outcome = Outcome(cell=settings, draw=draw, accuracy_fractions=fractions, **measured)
        store.write_json(f"reproduce/code/networks/key-{draw}.json", outcome.model_dump(mode="json"))
    full = Outcome(cell={**settings, "source": images}, draw=0, accuracy_fractions=(0.99,), **measured)
    store.write_json("reproduce/code/networks/full-0.json", full.model_dump(mode="json"))
    dsa, random, certified, reproduced = own_values(store)
    assert (dsa.method, dsa.std, random.method) == ("dsa", 0.02, "random")
    assert (certified.method, certified.ipc, certified.split, certified.accuracy_fraction) == ("datadam", 10, "test", 1.0)
    assert (dsa.metric, certified.metric, reproduced.metric) == ("balanced_accuracy", "balanced_accuracy", "accuracy")
    assert reproduced.accuracy_fraction == pytest.approx(0.7)
    assert reproduced.std == pytest.approx(0.02**0.5)
    assert (reproduced.runs, reproduced.train_part) == ("2 sets, 4 networks in total", "all, starting from noise")


def test_a_store_without_results_lists_everything_as_not_run(tmp_path: Path) -> None:
    text = render_ledger(Store(str(tmp_path)), "csv")
    assert text.count("not run") == len(published_cells())


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write_json("compare/abc/comparison.json", {"rows": 3, **SMALL})
    with pytest.raises(StoreError, match=r"compare/abc/comparison.json is damaged .*; make it again, or delete it"):
        own_values(store)
