"""Brings a set to the order in which the data numbers its classes: both have names, and a number means nothing by itself."""

from __future__ import annotations

from dataclasses import replace

import torch

from raydistill.core.synthetic import SyntheticSet
from raydistill.errors import InputError


def in_order_of(synthetic: SyntheticSet, theirs: tuple[str, ...], ours: tuple[str, ...], path: str) -> SyntheticSet:
    """The set with its classes numbered as in the data; unchanged if they are so already.

    Args:
        synthetic: images ordered by class, with hard or soft labels.
        theirs: class names of the set, in the order of its numbers.
        ours: class names of the data.
        path: of the set, for the message.

    Raises:
        InputError: the set has other classes than the data.
    """
    if theirs == ours:
        return synthetic
    check_same_classes(theirs, ours, path)
    place_of = torch.tensor([theirs.index(name) for name in ours])
    images = synthetic.images.unflatten(0, (len(theirs), synthetic.ipc))[place_of].flatten(0, 1)
    labels = synthetic.labels.unflatten(0, (len(theirs), synthetic.ipc))[place_of].flatten(0, 1)
    labels = labels[:, place_of] if synthetic.label_kind == "soft" else place_of.argsort()[labels]
    return replace(synthetic, images=images, labels=labels)


def check_same_classes(theirs: tuple[str, ...], ours: tuple[str, ...], path: str) -> None:
    """Check that a set and the data have the same classes, in any order.

    Raises:
        InputError: they have different ones.
    """
    if sorted(theirs) != sorted(ours):
        raise InputError(
            f"{path} has the classes {', '.join(theirs)}, but the data has {', '.join(ours)}; a set is evaluated on the classes "
            "that it was made for: give the data with these classes, or rename the class folders"
        )
