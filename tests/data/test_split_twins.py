"""Twins between the parts of a folder: counted, and dropped from the train part if its owner says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from own_images import fill, leak

from raydistill.data.splits import load_splits, train_twins
from raydistill.errors import DataError
from raydistill.spaces.sections import ImageFolderConfig


def config(path: Path, **fields: Any) -> ImageFolderConfig:
    return ImageFolderConfig(name="image_folder", path=str(path), size=16, **fields)


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """30 test images, of which 6 are train images too."""
    fill(tmp_path / "train", {"a": 60, "b": 40})
    fill(tmp_path / "test", {"a": 15, "b": 15}, seed=1)
    assert leak(tmp_path, 0.2) == 6
    return tmp_path


def test_a_fifth_of_the_test_part_that_leaked_is_counted(leaky: Path) -> None:
    """Some of the six lie in the select and confirm parts, into which the train folder is divided."""
    counts = train_twins(config(leaky)).counts
    assert counts.images == {"train": 80, "select": 10, "confirm": 10, "test": 30}
    leaked = counts.with_twin["test"]
    assert sum(leaked.values()) == 6
    assert counts.exact == counts.with_twin
    assert counts.across == leaked["train"] > 0


def test_dropping_takes_the_leaked_images_out_of_the_train_part_alone(leaky: Path) -> None:
    kept, dropped = load_splits(config(leaky)), load_splits(config(leaky, duplicates="drop"))
    twins = train_twins(config(leaky, duplicates="drop"))
    assert len(kept.train.labels) - len(dropped.train.labels) == len(twins.leaks) == twins.counts.dropped > 0
    assert twins.counts.across == 0
    assert (len(dropped.select.labels), len(dropped.confirm.labels)) == (10, 10)
    assert kept.sha256 != dropped.sha256
    assert kept.drawn_unlike == ()
    assert dropped.drawn_unlike == ("train images that are elsewhere too were dropped",)


def test_what_is_dropped_is_what_leaked(leaky: Path) -> None:
    """Without preprocessing's constants the images would be equal; so compare what is left by place."""
    leaks = train_twins(config(leaky)).leaks
    labels = load_splits(config(leaky)).train.labels
    left = load_splits(config(leaky, duplicates="drop")).train.labels
    assert torch.equal(left, labels[[place for place in range(len(labels)) if place not in set(leaks.tolist())]])


def test_a_folder_without_twins_is_the_same_with_either_answer(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 30, "b": 30})
    assert load_splits(config(tmp_path)).sha256 == load_splits(config(tmp_path, duplicates="drop")).sha256
    assert load_splits(config(tmp_path, duplicates="drop")).drawn_unlike == ()
    counts = train_twins(config(tmp_path)).counts
    assert (counts.with_twin, counts.across, counts.total) == ({}, 0, 0)


def test_images_of_a_flat_folder_that_are_there_twice_are_found_across_the_split(tmp_path: Path) -> None:
    """Every image of class a is there twice; the seeded split separates some of the pairs."""
    fill(tmp_path, {"a": 40, "b": 40})
    for file in sorted((tmp_path / "a").iterdir()):
        (tmp_path / "a" / f"copy_{file.name}").write_bytes(file.read_bytes())
    counts = train_twins(config(tmp_path)).counts
    assert counts.across > 0
    assert train_twins(config(tmp_path, duplicates="drop")).counts.across == 0


def test_a_class_that_lies_in_the_test_part_as_a_whole_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 30, "b": 30})
    fill(tmp_path / "test", {"a": 30, "b": 30}, seed=1)
    leak(tmp_path, 1.0)
    with pytest.raises(DataError, match="the train split has no image of class a"):
        load_splits(config(tmp_path, duplicates="drop"))
