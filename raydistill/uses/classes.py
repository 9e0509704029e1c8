"""A data set, or a training set, of some of its classes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from raydistill.data.splits import LabelledImages, Splits


def only(images: Tensor, labels: Tensor, classes: Tensor, kept: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The images of some classes, which are numbered anew in the order given; of soft labels the logits of these classes.

    A network that has outputs for these classes alone predicts as GDumb's, which masks the others.

    Args:
        images: (N, C, H, W).
        labels: (N,) classes or (N, K) logits.
        classes: (N,) the class of each image.
        kept: classes to keep.
    """
    chosen = torch.nonzero(torch.isin(classes, torch.tensor(kept))).flatten()
    if labels.ndim == 2:
        return images.index_select(0, chosen), labels[chosen][:, torch.tensor(kept)]
    number = torch.full((max(int(classes.max()), *kept) + 1,), -1)
    number[torch.tensor(kept)] = torch.arange(len(kept))
    # Images that are stored as bytes stay bytes this way.
    return images.index_select(0, chosen), number[labels[chosen]]


def narrowed(splits: Splits, kept: Sequence[int]) -> Splits:
    """The data set as one of some classes alone; its parts stay as they are and are not to be read."""
    return replace(splits, class_names=tuple(splits.class_names[c] for c in kept))


def with_train_of(splits: Splits, kept: Sequence[int]) -> Splits:
    """The data set with the train images of some classes alone, as a method distils from it."""
    images, labels = only(splits.train.images, splits.train.labels, splits.train.labels, kept)
    return replace(narrowed(splits, kept), train=LabelledImages(images=images, labels=labels))
