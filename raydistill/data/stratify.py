"""Seeded, stratified splits: the same as those of scikit-learn's `train_test_split`, without its import of a second and 130 MB.

Studies are bound to their split by its hash, so the order of the random draws is scikit-learn's to the last one.

Source: `StratifiedShuffleSplit` of scikit-learn 1.6 (BSD 3-clause), whose rounding and draws these are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def stratified(labels: Indices, size: int, seed: int) -> tuple[Indices, Indices]:
    """Divide images so that both parts have the classes in the proportions of the whole, as nearly as whole images allow.

    Args:
        labels: (N,) classes.
        size: images of the second part.
        seed: of the draws.

    Returns:
        Indices of the rest and of the second part, each in random order.

    Raises:
        ValueError: a class has fewer than two images, or a part would have fewer images than there are classes.
    """
    classes, of_image, counts = np.unique(labels, return_inverse=True, return_counts=True)
    rest = len(labels) - size
    if counts.min() < 2 or min(rest, size) < len(classes):
        raise ValueError(
            f"given {len(labels)} images of {len(classes)} classes, the smallest with {counts.min()}, to be divided into {rest} "
            f"and {size}; every class needs two images and every part an image of each class: add images, or change the sizes"
        )
    # scikit-learn draws from numpy's legacy generator.
    generator = np.random.RandomState(seed)
    first = _shares(counts, rest, generator)
    second = _shares(counts - first, size, generator)
    members = np.split(np.argsort(of_image, kind="stable"), np.cumsum(counts)[:-1])
    shuffled = [own[generator.permutation(len(own))] for own in members]
    parts = (
        [own[:n] for own, n in zip(shuffled, first, strict=True)],
        [own[n : n + m] for own, n, m in zip(shuffled, first, second, strict=True)],
    )
    kept, taken = (generator.permutation(np.concatenate(part)) for part in parts)
    return kept, taken


def _shares(counts: Indices, draws: int, generator: np.random.RandomState) -> Indices:
    """How many of `draws` images each class gives: its proportion rounded down, then one more where most was rounded off.

    Classes that lost the same are taken in random order.
    """
    exact = counts / counts.sum() * draws
    shares = np.floor(exact)
    missing, lost = int(draws - shares.sum()), exact - shares
    for value in np.unique(lost)[::-1]:
        if missing == 0:
            break
        equal = np.flatnonzero(lost == value)
        chosen = generator.choice(equal, size=min(len(equal), missing), replace=False)
        shares[chosen] += 1
        missing -= len(chosen)
    whole: Indices = shares.astype(np.int64)
    return whole
