"""Stratified splits: those of scikit-learn, image by image, because studies are bound to their split by its hash."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from raydistill.data.stratify import grouped, stratified


def labels_of(counts: list[int], seed: int) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(seed).shuffle(labels)
    return labels


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("counts", "size"),
    [
        ([178, 182, 177, 183, 181, 182, 181, 179, 174, 180], 450),
        ([100] * 10, 250),
        ([6000] * 10, 5000),
        ([3, 2], 2),
        ([7, 7, 7], 4),
        ([1000, 10, 90], 55),
        ([2] * 50, 50),
    ],
)
def test_both_parts_are_those_of_scikit_learn_in_the_same_order(counts: list[int], size: int, seed: int) -> None:
    labels = labels_of(counts, seed)
    kept, taken = stratified(labels, size, seed)
    theirs = train_test_split(np.arange(len(labels)), test_size=size, stratify=labels, random_state=seed)
    assert [kept.tolist(), taken.tolist()] == [part.tolist() for part in theirs]


def test_every_class_gives_its_share() -> None:
    """40, 20 and 20 images: a quarter of the 80 is 10, 5 and 5."""
    labels = labels_of([40, 20, 20], 0)
    _, taken = stratified(labels, 20, 0)
    assert np.bincount(labels[taken]).tolist() == [10, 5, 5]


@pytest.mark.parametrize(("counts", "size"), [([5, 1], 2), ([5, 5], 1), ([5, 5], 9), ([5, 5], 11)])
def test_too_few_images_are_an_error_as_in_scikit_learn(counts: list[int], size: int) -> None:
    labels = labels_of(counts, 0)
    with pytest.raises(ValueError, match=r"test_size|train_size|[Ll]east populated"):
        train_test_split(labels, test_size=size, stratify=labels, random_state=0)
    with pytest.raises(ValueError, match=r"every class needs two images and every part an image of each class: add images"):
        stratified(labels, size, 0)


def groups_of(sizes: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_divided_and_every_class_gives_about_its_share(seed: int) -> None:
    """200 groups of 1 to 9 images of one class each: a fifth of about 1000 images, to within one group of each class."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 10, 200).tolist()
    groups = groups_of(sizes)
    labels = np.arange(200)[groups] % 4
    kept, taken = grouped(labels, groups, len(labels) // 5, seed)
    assert set(groups[kept]) & set(groups[taken]) == set()
    assert sorted([*kept, *taken]) == list(range(len(labels)))
    wanted = np.bincount(labels) / 5
    assert np.abs(np.bincount(labels[taken]) - wanted).max() < 5


def test_groups_of_one_image_are_divided_exactly() -> None:
    """40, 20 and 20 images: a quarter of the 80 is 10, 5 and 5."""
    labels = labels_of([40, 20, 20], 0)
    _, taken = grouped(labels, np.arange(80), 20, 0)
    assert np.bincount(labels[taken]).tolist() == [10, 5, 5]


def test_the_seed_chooses_the_groups() -> None:
    labels, groups = labels_of([50, 50], 0), np.arange(100) // 2
    again = [grouped(labels, groups, 20, seed)[1].tolist() for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]


def test_a_class_of_few_large_groups_gives_its_smallest() -> None:
    """A tenth is 3 of the 30 images of class 0, which lie in groups of 9, 10 and 11: none comes near, the one of 9 is nearest."""
    sizes = [9, 10, 11] + [1] * 70
    labels = np.array([0] * 30 + [1] * 70)
    _, taken = grouped(labels, groups_of(sizes), 10, 0)
    assert np.bincount(labels[taken]).tolist() == [9, 7]


def test_every_class_keeps_the_groups_that_later_parts_need() -> None:
    """A part of 8 of 9 images would take all groups of three but one; three must be left."""
    labels, groups = np.array([0, 1] * 9), np.arange(18) // 6
    with pytest.raises(
        ValueError, match=r"18 images of 2 classes in 3 groups, .* 12 images are taken and every class keeps 3 gro"
    ):
        grouped(labels, groups, 12, 0, leave=3)
    kept, _ = grouped(labels, groups, 12, 0, leave=2)
    assert len(set(groups[kept])) == 2
