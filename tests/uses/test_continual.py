"""A set as the memory of a learner to which classes come step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import Told
from small_set import write_small_set

import raydistill
from raydistill.core.synthetic import decode
from raydistill.data.splits import load_splits
from raydistill.errors import InputError
from raydistill.report.use_tables import render_use
from raydistill.spaces.sections import DatasetConfig
from raydistill.uses import units
from raydistill.uses.classes import narrowed, only, with_train_of
from raydistill.uses.values import About, ContinualArm, ContinualResult


def continual(path: str, **options: Any) -> Any:
    given: dict[str, Any] = {"orders": 2, "class_steps": 5, "recipe": "plain", "controls": ["random"], "local": True, **options}
    return raydistill.evaluate_for("continual", path, **given)


def test_each_memory_has_an_accuracy_after_each_step_of_each_order(small_set: str) -> None:
    result = continual(small_set)
    assert [arm.source for arm in result.arms] == ["set", "random", "full"]
    assert {(len(arm.accuracy_fractions), len(arm.accuracy_fractions[0])) for arm in result.arms} == {(2, 5)}
    assert [len(step) for step in result.orders[0]] == [2] * 5
    assert [arm.stored_images for arm in result.arms] == [30, 30, 797]


def test_a_second_run_trains_nothing(small_set: str) -> None:
    first, told = continual(small_set, networks=2), Told()
    assert continual(small_set, networks=2, watcher=told) == first
    assert told.all("job") == []
    assert len(list(Path(small_set, "uses", "units").glob("*.json"))) == 3 * 2 * 5 * 2


def test_more_orders_train_only_the_new_ones(small_set: str) -> None:
    told = Told()
    continual(small_set)
    continual(small_set, orders=3, watcher=told)
    assert told.all("stage")[-1] == ("networks", 3 * 3 * 5)
    assert told.all("found") == [3 * 2 * 5]


def seen_by_networks(path: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each network learns from, in two orders of two steps."""
    seen: list[dict[str, Any]] = []
    train = units.train_fresh

    def keeping(images: torch.Tensor, labels: torch.Tensor, splits: Any, *rest: Any) -> Any:
        network = train(images, labels, splits, *rest)
        seen.append(
            {"images": len(images), "labels": labels, "names": splits.class_names, "outputs": len(network.classifier.bias)}
        )
        return network

    monkeypatch.setattr(units, "train_fresh", keeping)
    continual(path, class_steps=2, controls=["none"])
    return seen


def test_a_network_learns_the_classes_seen_so_far_alone(small_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three images of each of five classes, then of ten; the full data has more."""
    seen = seen_by_networks(small_set, monkeypatch)
    assert [row["images"] for row in seen[:4]] == [15, 30, 15, 30]
    assert [row["outputs"] for row in seen] == [5, 10] * 4
    assert seen[0]["labels"].tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    assert seen[4]["images"] > 300
    assert list(seen[0]["names"]) == sorted(seen[0]["names"])


def test_soft_labels_keep_the_logits_of_the_classes_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = seen_by_networks(write_small_set(tmp_path / "soft", torch.randn(30, 10)), monkeypatch)
    assert [tuple(row["labels"].shape) for row in seen[:2]] == [(15, 5), (30, 10)]


def test_some_classes_are_cut_out_and_numbered_anew() -> None:
    """Of classes 0 1 2 2 1, the classes 2 and 1 in this order: images 1 to 4, as 1 0 0 1; logits in the columns 2 and 1."""
    classes, images = torch.tensor([0, 1, 2, 2, 1]), torch.arange(5.0).reshape(5, 1, 1, 1)
    kept, labels = only(images, classes, classes, (2, 1))
    assert kept.flatten().tolist() == [1, 2, 3, 4]
    assert labels.tolist() == [1, 0, 0, 1]
    _, logits = only(images, torch.arange(15.0).reshape(5, 3), classes, (2, 1))
    assert logits.tolist() == [[5, 4], [8, 7], [11, 10], [14, 13]]


def test_a_data_set_of_some_classes_has_their_names() -> None:
    assert narrowed(load_splits(DatasetConfig(name="digits")), (1, 3)).class_names == ("1", "3")


def test_the_train_images_of_some_classes_are_a_data_set_of_their_own() -> None:
    whole = load_splits(DatasetConfig(name="digits"))
    part = with_train_of(whole, (3, 7))
    assert len(part.train.labels) == int(((whole.train.labels == 3) | (whole.train.labels == 7)).sum())
    assert part.train.labels.unique().tolist() == [0, 1]


def test_a_memory_that_is_distilled_step_by_step_knows_the_classes_of_each_step_alone(small_set: str) -> None:
    """Two orders of five steps have ten pairs of classes; each set has three images of each."""
    told = Told()
    result = continual(small_set, distil_in_steps=True, controls=["none"], watcher=told)
    assert [arm.source for arm in result.arms] == ["set", "in_steps", "full"]
    pairs = {frozenset(step) for order in result.orders for step in order}
    assert told.all("stage")[0] == ("sets", len(pairs))
    assert f"{len(pairs)} sets of the classes of a step at" in told.all("note")[0]
    made = [decode(path.read_bytes()) for path in Path(small_set, "uses", "sets").glob("*.safetensors")]
    assert {frozenset(manifest.class_names) for _, manifest in made} == pairs
    assert {tuple(one.images.shape) for one, _ in made} == {(6, 1, 8, 8)}


def test_the_sets_of_the_steps_so_far_are_one_memory(small_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    train = units.train_fresh
    monkeypatch.setattr(
        units, "train_fresh", lambda images, labels, *rest: [seen.append(labels), train(images, labels, *rest)][1]
    )
    continual(small_set, distil_in_steps=True, controls=["none"], orders=1)
    assert [sorted(labels.tolist()) for labels in seen[5:10]] == [sorted(list(range(2 * step)) * 3) for step in range(1, 6)]


@pytest.mark.parametrize("method", ["random", "{name: random_soft, experts: 1, expert_epochs: 1}"])
def test_a_set_whose_method_cannot_learn_some_classes_alone_is_refused(tmp_path: Path, method: str) -> None:
    name = method if method == "random" else "random_soft"
    given = method if method != "random" else "{name: random}"
    fixed = ["ipc=3", "evaluation.recipe=plain", "evaluation.networks=2", f"method={given}"]
    path = write_small_set(tmp_path / "set", fixed=fixed)
    with pytest.raises(InputError, match=f"given --distil-in-steps for a set of {name}, which cannot be distilled from some"):
        continual(path, distil_in_steps=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"class_steps": 11},
            r"given --class-steps 11 for 10 classes of digits; each step brings at least one class: .* most 10",
        ),
        ({"class_steps": 0}, r"given --class-steps 0; expected a whole number of at least 1"),
        ({"orders": 0}, r"given --orders 0; expected a whole number of at least 1"),
        ({"network": ["mlp", "convnet"]}, r"given networks mlp, convnet; continual trains one network at each step: give one"),
        ({"space": "depth=1"}, r"--space is for --protocol nas, not for continual: leave it out"),
    ],
)
def test_what_it_cannot_do_is_named(small_set: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        continual(small_set, **options)


def by_hand() -> ContinualResult:
    about: dict[str, Any] = dict.fromkeys(About.model_fields, "x") | {"ipc": 3, "commit": None, "versions": {}}
    arm = ContinualArm(source="set", accuracy_fractions=((1.0, 0.8), (0.9, 0.6)), stored_images=12, seconds=0.5)
    orders = ((("a", "b"), ("c", "d")), (("c", "a"), ("d", "b")))
    return ContinualResult(about=About(**about), networks=1, orders=orders, arms=(arm,))


def test_people_see_memories_times_steps() -> None:
    """After the second step 0.8 and 0.6: 70 % with a deviation of 14.14. Means over steps 0.9 and 0.75: 82.5 % and 10.61."""
    said = render_use(by_hand(), "md")
    assert "over 2 orders of the classes, a set of x at IPC 3" in said
    assert "| the set  | 12       | 95.00 +- 7.07   | 70.00 +- 14.14  | 82.50 +- 10.61        |" in said


def test_scripts_see_a_row_per_order_and_step() -> None:
    rows = json.loads(render_use(by_hand(), "json"))
    assert [(row["order"], row["step"], row["classes_seen"], row["accuracy_fraction"]) for row in rows] == [
        (0, 1, 2, 1.0),
        (0, 2, 4, 0.8),
        (1, 1, 2, 0.9),
        (1, 2, 4, 0.6),
    ]
