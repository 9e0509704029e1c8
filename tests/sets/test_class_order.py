"""A set's class numbers follow the names: classes in another order are renumbered, other classes are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from hand_made import FIXED, SMALL

import raydistill
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import SyntheticSet
from raydistill.errors import InputError
from raydistill.sets.class_order import in_order_of
from raydistill.sets.one import read_whole_set_file, write_set
from raydistill.storage.store import Store

DATA, SET = ("ant", "bee", "cat"), ("cat", "ant", "bee")


def a_set(labels: torch.Tensor) -> SyntheticSet:
    """Two images per class; image j has the value j, so that cats are 0 and 1, ants 2 and 3, bees 4 and 5."""
    return SyntheticSet(images=torch.arange(6.0).view(6, 1, 1, 1), labels=labels, ipc=2)


def test_hard_labels_follow_the_names() -> None:
    """Ants, class 1 of the set, are class 0 of the data; bees come from 2 to 1, and cats from 0 to 2."""
    found = in_order_of(a_set(torch.tensor([0, 0, 1, 1, 2, 2])), SET, DATA, "x")
    assert found.images.flatten().tolist() == [2, 3, 4, 5, 0, 1]
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_label_that_is_not_the_images_class_follows_its_own_name() -> None:
    """An image among the cats that is labelled bee, class 2 of the set, is labelled bee, class 1 of the data."""
    found = in_order_of(a_set(torch.tensor([0, 2, 1, 1, 2, 2])), SET, DATA, "x")
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 1]


def test_soft_labels_follow_the_names() -> None:
    """The logits of the set's image 2, an ant, are 20, 21 and 22 for cat, ant and bee: 21, 22 and 20 for ant, bee and cat."""
    found = in_order_of(a_set(torch.arange(6)[:, None] * 10 + torch.arange(3.0)), SET, DATA, "x")
    assert found.labels[0].tolist() == [21, 22, 20]
    assert found.labels[5].tolist() == [11, 12, 10]


def test_classes_in_the_same_order_are_left_as_they_are() -> None:
    given = a_set(torch.tensor([0, 0, 1, 1, 2, 2]))
    assert in_order_of(given, DATA, DATA, "x") is given


def test_other_classes_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"x has the classes cat, ant, bee, but the data has ant, bee, dog; a set is evaluated on"
    ):
        in_order_of(a_set(torch.tensor([0, 0, 1, 1, 2, 2])), SET, ("ant", "bee", "dog"), "x")


@pytest.fixture
def renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A set of digits, the same with its classes from 9 to 0, and the same with other names."""
    monkeypatch.setitem(RECIPES, "plain", dataclasses.replace(RECIPES["plain"], steps=30))
    raydistill.distill(SMALL, overrides=FIXED, out=tmp_path / "own")
    synthetic, manifest, _ = read_whole_set_file(str(tmp_path / "own"))
    order = tuple(reversed(manifest.class_names))
    turned = in_order_of(synthetic, manifest.class_names, order, "x")
    write_set(turned, dataclasses.replace(manifest, class_names=order), Store(str(tmp_path / "turned")))
    others = tuple(f"digit {name}" for name in manifest.class_names)
    write_set(synthetic, dataclasses.replace(manifest, class_names=others), Store(str(tmp_path / "others")))
    return {name: str(tmp_path / name) for name in ("own", "turned", "others")}


def test_a_set_with_its_classes_in_another_order_evaluates_the_same(renamed: dict[str, str]) -> None:
    own, turned = (raydistill.evaluate(renamed[name]) for name in ("own", "turned"))
    assert own.accuracy_fractions == turned.accuracy_fractions


def test_a_set_of_other_classes_is_not_evaluated(renamed: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"others has the classes digit 0, digit 1, .* but the data has 0, 1"):
        raydistill.evaluate(renamed["others"])


def test_select_images_of_a_loaded_set_are_numbered_as_in_the_set(renamed: dict[str, str]) -> None:
    own, turned = (raydistill.load_set(renamed[name]).select_images().tensors[1] for name in ("own", "turned"))
    assert torch.equal(turned, 9 - own)
    with pytest.raises(InputError, match=r"the set has the classes digit 0"):
        raydistill.load_set(renamed["others"]).select_images()
