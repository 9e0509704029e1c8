"""Seeded, stratified splits: the same as those of scikit-learn's `train_test_split`, without its import of a second and 130 MB.

`stratified` divides images one by one, `grouped` whole groups of them.

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


ORDERS = 10
"""Random orders of the groups that are tried."""


def grouped(labels: Indices, groups: Indices, size: int, seed: int, leave: int = 1) -> tuple[Indices, Indices]:
    """Divide images so that the images of a group stay together, and classes are as nearly in proportion as the groups allow.

    In random order each group is taken if the second part thereby comes nearer to the wanted number of images of each class, and
    if every class keeps `leave` groups in the rest. Of several orders the one that comes nearest counts. A class of which
    nothing was taken, because its groups are large, then gives the group that costs least.

    Nearness is the sum over classes of the squared difference from the wanted share of the class, in whole numbers, so that the
    same groups are taken on every machine.

    Args:
        labels: (N,) classes.
        groups: (N,) group of each image.
        size: images wanted in the second part, which may get some more or less.
        seed: of the random orders.
        leave: groups of each class that must remain, one for each part that is still to be made of the rest.

    Returns:
        Indices of the rest and of the second part, each in ascending order.

    Raises:
        ValueError: the groups cannot be divided so that both parts have images of every class.
    """
    division = _Division(labels, groups, size, leave)
    generator = np.random.RandomState(seed)
    found = [taken for _ in range(ORDERS) if (taken := division.taken(generator.permutation(len(division.counts)))) is not None]
    if not found:
        classes = len(np.unique(labels))
        raise ValueError(
            f"given {len(labels)} images of {classes} classes in {len(division.counts)} groups, to be divided so that {size} "
            f"images are taken and every class keeps {leave} groups; no such division was found: give the classes more groups"
        )
    best = min(found, key=division.distance)
    is_taken = np.isin(division.group_of, sorted(best))
    return np.flatnonzero(~is_taken), np.flatnonzero(is_taken)


class _Division:
    """Which groups to take so that the number of images of each class is near to its share."""

    def __init__(self, labels: Indices, groups: Indices, size: int, leave: int) -> None:
        self.size, self.images, self.leave = size, len(labels), leave
        classes, of_image = np.unique(labels, return_inverse=True)
        names, self.group_of = np.unique(groups, return_inverse=True)
        self.counts: list[dict[int, int]] = [{} for _ in names]
        pairs, images = np.unique(np.stack([self.group_of, of_image]), axis=1, return_counts=True)
        for group, of_class, count in zip(*pairs.tolist(), images.tolist(), strict=True):
            self.counts[group][of_class] = count
        self.totals: list[int] = np.bincount(of_image, minlength=len(classes)).tolist()
        self.groups_of_class = [sum(of_class in counts for counts in self.counts) for of_class in range(len(classes))]
        # Whole numbers in place of 1 / total^2: a rounded float could differ between machines.
        self.weights = [(1 << 40) * max(self.totals) ** 2 // total**2 for total in self.totals]

    def taken(self, order: Indices) -> set[int] | None:
        """The groups that are taken in an order; None if a class cannot be in both parts."""
        taken: set[int] = set()
        off = [-self.size * total for total in self.totals]
        left = list(self.groups_of_class)
        ordered: list[int] = order.tolist()
        for group in ordered:
            if self._may_go(group, left) and self._change(group, off) < 0:
                self._take(group, taken, off, left)
        for of_class in range(len(self.totals)):
            if left[of_class] < self.groups_of_class[of_class]:
                continue
            able = [group for group in ordered if of_class in self.counts[group] and self._may_go(group, left)]
            if not able:
                return None
            self._take(min(able, key=lambda group: self._change(group, off)), taken, off, left)
        return taken

    def _may_go(self, group: int, left: list[int]) -> bool:
        return all(left[of_class] > self.leave for of_class in self.counts[group])

    def _change(self, group: int, off: list[int]) -> int:
        """By how much the distance grows if the group is taken; `off` is the images of each class above the wanted, times N."""
        change = 0
        for of_class, count in self.counts[group].items():
            more = self.images * count
            change += self.weights[of_class] * more * (2 * off[of_class] + more)
        return change

    def _take(self, group: int, taken: set[int], off: list[int], left: list[int]) -> None:
        taken.add(group)
        for of_class, count in self.counts[group].items():
            off[of_class] += self.images * count
            left[of_class] -= 1

    def distance(self, taken: set[int]) -> int:
        """How far a division is from the wanted number of images of each class."""
        off = [-self.size * total for total in self.totals]
        for group in taken:
            for of_class, count in self.counts[group].items():
                off[of_class] += self.images * count
        return sum(weight * difference**2 for weight, difference in zip(self.weights, off, strict=True))
