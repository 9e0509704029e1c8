"""Stratified splits: those of scikit-learn, image by image, because studies are bound to their split by its hash."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from raydistill.data.stratify import stratified


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
