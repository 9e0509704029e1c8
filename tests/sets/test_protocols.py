"""A saved set under DC-Bench's and DD-Ranking's protocols."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import Told

from raydistill.catalogue import load_space
from raydistill.core.ddranking import score
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import Manifest, SyntheticSet, hard_labels
from raydistill.data.splits import load_splits
from raydistill.errors import InputError
from raydistill.report.protocol_tables import render_dc_bench, render_dd_ranking, render_protocol
from raydistill.sets import protocols
from raydistill.sets.distilling import only_trial
from raydistill.sets.place import ImagesToRead
from raydistill.sets.protocols import AUGMENTATIONS, BenchReading, RankingReading, run_dc_bench, run_dd_ranking
from raydistill.sets.set_file import write_set
from raydistill.storage.store import Store

from hand_made import FIXED, SMALL  # isort: skip

SELECT = ImagesToRead()


@pytest.fixture(autouse=True)
def short_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dc_bench", "dc_bench_dsa"):
        monkeypatch.setitem(RECIPES, name, replace(RECIPES[name], epochs=3))
    monkeypatch.setitem(RECIPES, "plain", replace(RECIPES["plain"], steps=5))


@pytest.fixture
def real_set(tmp_path: Path) -> str:
    """Three images of each digit."""
    return write(tmp_path / "hard")


def write(folder: Path, labels: torch.Tensor | None = None, learned_lr: float | None = None) -> str:
    config = only_trial(load_space(SMALL, FIXED, None, for_search=False), None)
    splits = load_splits(config.dataset)
    hard = hard_labels(10, 3)
    images = torch.cat([splits.train.images[splits.train.labels == c][:3] for c in range(10)])
    synthetic = SyntheticSet(images=images, labels=hard if labels is None else labels, ipc=3, learned_lr=learned_lr)
    about = json.loads(config.canonical_json())
    manifest = Manifest(preprocess=splits.preprocess, class_names=splits.class_names, config=about, code_sha256="c" * 64)
    write_set(synthetic, manifest, Store(str(folder)))
    return str(folder)


def test_dc_bench_reads_every_architecture_with_every_augmentation(real_set: str) -> None:
    told = Told()
    readings = run_dc_bench(real_set, SELECT, architectures=["mlp", "convnet"], networks=2, watcher=told)
    assert told.all("stage") == [("evaluation", 2 * len(AUGMENTATIONS) * 2)]
    assert len(told.all("job")) == 2 * len(AUGMENTATIONS) * 2
    assert [(r.network.split(":")[0], r.augmentation) for r in readings] == [
        (network, augmentation) for network in ("mlp", "convnet") for augmentation in AUGMENTATIONS
    ]
    assert all(len(r.accuracy_fractions) == 2 for r in readings)


def test_dc_bench_takes_the_architectures_that_the_images_are_large_enough_for(real_set: str) -> None:
    """ResNet18 with instance norm needs 9 x 9 pixels; digits have 8 x 8."""
    readings = run_dc_bench(real_set, SELECT, augmentations=["none"], networks=1)
    assert [r.network.split(":")[0] for r in readings] == ["mlp", "convnet", "alexnet"]


def test_dc_bench_has_300_epochs_without_augmentation_and_1000_with(real_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "dc_bench_dsa", replace(RECIPES["dc_bench_dsa"], epochs=7))
    plain, augmented = run_dc_bench(real_set, SELECT, architectures=["mlp"], augmentations=["none", "randaug"], networks=1)
    assert "3 steps" in plain.recipe
    assert "7 steps" in augmented.recipe
    assert "augmentation randaug" in augmented.recipe


def fixed_accuracies(monkeypatch: pytest.MonkeyPatch, **fractions: float) -> list[dict[str, Any]]:
    """Networks whose accuracy is given by their training data; records how each was trained."""
    trained: list[dict[str, Any]] = []

    def train(subject: Any, images: Any, labels: Any, network: Any, recipe: Any, seed: int, **_: Any) -> str:
        source = "full" if len(images) > 100 else "own" if torch.equal(images, subject.synthetic.images) else "random"
        is_soft = labels.ndim == 2
        trained.append({"source": source, "soft": is_soft, "recipe": recipe, "seed": seed, "labels": labels})
        hard = source == "own" and not is_soft and subject.synthetic.label_kind == "soft"
        return "hard" if hard else source if source == "full" else f"{source}_{recipe.augmentation}"

    monkeypatch.setattr(protocols._Subject, "train", train)
    monkeypatch.setattr(protocols._Subject, "read", lambda _, name: fractions[name])
    monkeypatch.setattr(protocols, "_logits", lambda _, images: torch.zeros(len(images), 10))
    return trained


def test_dd_ranking_of_a_hard_set_by_hand(real_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The set's recipe is plain: IOR 0.7 - 0.5, HLR 0.9 - 0.7, alpha 0. Augmented 0.8 - 0.5 besides: beta 0.25."""
    trained = fixed_accuracies(monkeypatch, full=0.9, own_none=0.7, own_dsa=0.8, random_none=0.5, random_dsa=0.5)
    told = Told()
    reading = run_dd_ranking(real_set, SELECT, networks=2, watcher=told)
    assert (told.all("stage"), len(told.all("job"))) == ([("rounds", 2)], 2)
    assert reading.label_robust == pytest.approx((score(0.0), score(0.0)))
    assert reading.augmentation_robust == pytest.approx((score(0.25), score(0.25)))
    assert len(trained) == 2 * 5
    assert len({row["seed"] for row in trained}) == 2


def test_dd_ranking_of_a_soft_set_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IOR 0.8 - 0.6, HLR 0.9 - 0.4: alpha -0.15. Random images have a teacher's labels; the learned rate is the set's alone."""
    soft = write(tmp_path / "soft", labels=torch.randn(30, 10), learned_lr=0.125)
    trained = fixed_accuracies(monkeypatch, full=0.9, hard=0.4, own_none=0.8, own_dsa=0.8, random_none=0.6, random_dsa=0.6)
    reading = run_dd_ranking(soft, SELECT, networks=1)
    assert reading.label_robust == pytest.approx((score(-0.15),))
    assert all(row["soft"] for row in trained if row["source"] == "random")
    rates = {(row["source"], row["soft"]): row["recipe"].lr for row in trained}
    assert rates == {("full", False): 0.05, ("own", True): 0.125, ("own", False): 0.05, ("random", True): 0.05}


def test_dd_ranking_runs_with_soft_labels(tmp_path: Path) -> None:
    reading = run_dd_ranking(write(tmp_path / "soft", labels=torch.randn(30, 10)), SELECT, networks=1, architectures=["mlp"])
    assert reading.label_kind == "soft"
    assert 0 < reading.label_robust[0] < 1


def test_random_images_are_drawn_anew_for_each_network(real_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    train = protocols._Subject.train

    def keeping(subject: Any, images: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        seen.append(images)
        return train(subject, images, *arguments, **options)

    monkeypatch.setattr(protocols._Subject, "train", keeping)
    run_dd_ranking(real_set, SELECT, networks=2, architectures=["mlp"])
    assert not torch.equal(seen[3], seen[8])


def test_the_test_split_opens_for_a_protocol_with_a_reason_alone(real_set: str, tmp_path: Path) -> None:
    log = Store(str(tmp_path / "log"))
    with pytest.raises(InputError, match="the test split needs a reason"):
        run_dd_ranking(real_set, ImagesToRead(split="test", log=log.root))
    given: dict[str, Any] = {"architectures": ["mlp"], "augmentations": ["none"], "networks": 1}
    run_dc_bench(real_set, ImagesToRead(split="test", reason="a test", log=log.root), **given)
    assert len(log.files("test_openings")) == 1


def protocol(path: str, name: str, **changes: Any) -> str:
    given: dict[str, Any] = {"architectures": [], "augmentations": [], "networks": 1, "recipe": None, **changes}
    return render_protocol(name, path, SELECT, "md", **given)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("dc-bench", {}, r"unknown protocol 'dc-bench'; did you mean 'dc_bench'\?"),
        ("dc_bench", {"recipe": "plain"}, r"recipe 'plain' with protocol dc_bench, which has its own: leave --recipe out"),
        ("dc_bench", {"augmentations": ["randaugment"]}, r"unknown augmentation 'randaugment'; did you mean 'randaug'\?"),
        ("dc_bench", {"networks": 0}, r"given 0 networks"),
        ("dd_ranking", {"augmentations": ["dsa"]}, r"augmentations dsa are dc_bench's; leave them out"),
        ("dd_ranking", {"architectures": ["mlp", "lenet"]}, r"given networks mlp, lenet; DD-Ranking's scores use one network"),
        ("dd_ranking", {"recipe": "plian"}, r"unknown recipe 'plian'; did you mean 'plain'\?"),
    ],
)
def test_what_a_protocol_cannot_do_is_named(real_set: str, name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        protocol(real_set, name, **changes)


def bench(network: str, augmentation: str, *fractions: float) -> BenchReading:
    return BenchReading(network=network, augmentation=augmentation, accuracy_fractions=fractions, recipe="dc", split="select")


def test_people_see_networks_times_augmentations_and_scripts_a_row_per_cell() -> None:
    """0.8 and 0.9: 85 % with a sample deviation of 7.07 points."""
    readings = [bench("mlp", "none", 0.8, 0.9), bench("mlp", "dsa", 0.5, 0.5), bench("lenet", "none", 0.1, 0.1)]
    people = render_dc_bench(readings, "md")
    assert "| mlp       | 85.00 +- 7.07 | 50.00 +- 0.00 |" in people
    assert "2 networks, select images" in people
    rows = list(csv.DictReader(io.StringIO(render_dc_bench(readings, "csv"))))
    assert [(row["network"], row["augmentation"]) for row in rows] == [("mlp", "none"), ("mlp", "dsa"), ("lenet", "none")]
    assert float(rows[0]["accuracy_fraction_mean"]) == pytest.approx(0.85)
    assert [row["augmentation"] for row in json.loads(render_dc_bench(readings, "json"))] == ["none", "dsa", "none"]
    assert "mlp" in render_dc_bench(readings[:1], "tex")


@pytest.mark.parametrize("suffix", ["md", "csv", "json", "tex"])
def test_the_scores_are_printed_with_what_is_behind_them(suffix: str) -> None:
    reading = RankingReading(
        label_robust=(0.25, 0.35),
        augmentation_robust=(0.2,) * 2,
        accuracy_fractions={"full data, hard labels": (0.9, 0.9)},
        label_kind="hard",
        network="mlp",
        recipe="plain",
        split="select",
    )
    text = render_dd_ranking(reading, suffix)
    assert all(word in text for word in ("LRS", "0.3", "full data, hard labels", "0.2"))
