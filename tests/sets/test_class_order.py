"""A set belongs to its classes: data with others, or with the same names for other numbers, is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from hand_made import FIXED, SMALL

import raydistill
from raydistill.core.recipes import RECIPES
from raydistill.errors import InputError
from raydistill.sets.set_file import read_whole_set_file, write_set
from raydistill.storage.store import Store


@pytest.fixture
def renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A set of digits, the same with its names from 9 to 0, and the same with other names."""
    monkeypatch.setitem(RECIPES, "plain", dataclasses.replace(RECIPES["plain"], steps=30))
    raydistill.distill(SMALL, overrides=FIXED, out=tmp_path / "own")
    synthetic, manifest, _ = read_whole_set_file(str(tmp_path / "own"))
    turned = tuple(reversed(manifest.class_names))
    others = tuple(f"digit {name}" for name in manifest.class_names)
    for place, names in (("turned", turned), ("others", others)):
        write_set(synthetic, dataclasses.replace(manifest, class_names=names), Store(str(tmp_path / place)))
    return {name: str(tmp_path / name) for name in ("own", "turned", "others")}


@pytest.mark.parametrize("read", [raydistill.evaluate, lambda path: raydistill.load_set(path).select_images()])
def test_names_that_were_exchanged_in_the_data_are_refused(renamed: dict[str, str], read: Callable[[str], object]) -> None:
    """As where the owner puts right the names of two classes: the images and their numbers are the same, and so is their hash."""
    read(renamed["own"])
    with pytest.raises(InputError, match=r"has the classes 9, 8, .* but the data has 0, 1, .*: the same names for other numbers"):
        read(renamed["turned"])


def test_a_set_of_other_classes_is_not_evaluated(renamed: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"others has the classes digit 0, digit 1, .* but the data has 0, 1"):
        raydistill.evaluate(renamed["others"])


def test_select_images_are_not_those_of_other_classes(renamed: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"the set has the classes digit 0"):
        raydistill.load_set(renamed["others"]).select_images()
