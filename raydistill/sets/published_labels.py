"""Images and labels of a published file as this project keeps them: ordered by class; classes, or logits.

Soft labels are published as logits or as probabilities, and a file does not say which. Taking the one for the other costs
accuracy without a word, so only what is clear is decided here; in a doubtful case the user must say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from raydistill.core.synthetic import hard_labels
from raydistill.data.splits import Splits
from raydistill.errors import InputError

LabelsAre = Literal["probabilities", "logits"]
"""What soft labels are."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
"""Types that torch computes with; a file may also hold some that it only stores, such as floats of 8 bits."""
ROUNDED = 0.01
"""Largest distance from 1 of a row's sum that rounding explains. Half precision moves the sum by at most 0.0005, bfloat16 by
0.004, four decimals by 0.0005 for 10 classes and 0.005 for 100. Rows of logits that are never below 0 do not all sum to 1."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ByClass:
    """A set's images and labels, ordered by class."""

    images: Tensor
    """(K * IPC, C, H, W) float32."""
    labels: Tensor
    """(K * IPC,) int64 classes, or (K * IPC, K) float32 logits."""
    ipc: int
    labels_are: LabelsAre | None
    """What the soft labels of the file are; None for classes."""
    note: str
    """A sentence about the labels."""


def order_by_class(tensors: Mapping[str, Tensor], splits: Splits, file: Path, labels_are: LabelsAre | None) -> ByClass:
    """Check images and labels, and order them by class.

    Args:
        tensors: `images` and `labels`.
        splits: the data set.
        file: for messages.
        labels_are: what soft labels are; None decides it from their values.

    Raises:
        InputError: they do not fit the data set or each other, or it is not clear what the labels are.
    """
    images, labels = tensors["images"], tensors["labels"]
    classes, shape = len(splits.class_names), splits.shape
    if images.ndim != 4 or tuple(images.shape[1:]) != shape or images.dtype not in FLOATS:
        raise InputError(
            f"{file}: images have shape {tuple(images.shape)} and type {images.dtype}; expected shape (N, "
            f"{', '.join(map(str, shape))}) and a floating-point type of 16 bits or more: check --dataset"
        )
    if len(images) == 0 or len(images) % classes:
        raise InputError(f"{file} has {len(images)} images for {classes} classes; expected the same number of images per class")
    if not bool(images.isfinite().all()):
        raise InputError(f"{file} has images with values that are not finite; ask its author for an undamaged file")
    ipc = len(images) // classes
    if labels.shape == (len(images), classes) and labels.dtype in FLOATS:
        logits, kind, note = _soft(labels.float(), file, ipc, labels_are)
        return ByClass(images=images.float(), labels=logits, ipc=ipc, labels_are=kind, note=note)
    if labels.shape != (len(images),) or labels.dtype not in WHOLE:
        raise InputError(
            f"{file}: labels have shape {tuple(labels.shape)} and type {labels.dtype}; expected shape ({len(images)},) and whole "
            f"numbers, or shape ({len(images)}, {classes}) and floats"
        )
    if labels_are is not None:
        raise InputError(f"the labels in {file} are classes, not {labels_are}: remove --labels-are")
    # Check the range first: bincount allocates memory in proportion to the largest label.
    if int(labels.min()) < 0 or int(labels.max()) >= classes or torch.bincount(labels.long()).tolist() != [ipc] * classes:
        raise InputError(f"{file} does not have {ipc} labels of each class from 0 to {classes - 1}; check images and labels")
    order = labels.long().argsort(stable=True)
    note = f"hard labels, {ipc} images per class"
    return ByClass(images=images[order].float(), labels=labels.long()[order], ipc=ipc, labels_are=None, note=note)


def _soft(labels: Tensor, file: Path, ipc: int, labels_are: LabelsAre | None) -> tuple[Tensor, LabelsAre, str]:
    """Soft labels as logits, what they are in the file, and a note."""
    if not bool(labels.isfinite().all()):
        raise InputError(f"{file} has soft labels that are not finite; ask its author for an undamaged file")
    kind = labels_are or _kind_of(labels, file)
    said = " (as --labels-are says)" if labels_are else ""
    if kind == "probabilities":
        _check_probabilities(labels, file)
        labels = labels.clamp(min=1e-12).log()
        said += ", stored as their logarithms"
    own_class = float((labels.argmax(dim=1) == hard_labels(labels.shape[1], ipc)).float().mean())
    order = f"assumed to be ordered by class, which agrees with the largest label of {100 * own_class:.0f} % of the images"
    return labels, kind, f"soft labels, {ipc} images per class; {kind}{said}; {order}"


def _kind_of(labels: Tensor, file: Path) -> LabelsAre:
    """What soft labels are, where their values leave no doubt.

    Raises:
        InputError: they leave a doubt.
    """
    sums = labels.sum(dim=1)
    sum_to_1 = bool(((sums - 1).abs() <= ROUNDED).all())
    lowest = float(labels.min())
    if lowest >= 0 and sum_to_1:
        return "probabilities"
    if lowest < -ROUNDED:
        return "logits"
    raise InputError(
        f"{file}: it is not clear whether its soft labels are probabilities or logits: values from {lowest:.4g} to "
        f"{float(labels.max()):.4g}, rows that sum to {float(sums.min()):.4g} to {float(sums.max()):.4g} (probabilities: no "
        "value below 0, every row sums to 1; logits: values below 0): say it with --labels-are probabilities, or --labels-are "
        "logits"
    )


def _check_probabilities(labels: Tensor, file: Path) -> None:
    """Refuse what cannot be probabilities, whatever the user says; a constant factor, as in percent, is none of the matter."""
    if float(labels.min()) < -ROUNDED or not bool((labels.clamp(min=0).sum(dim=1) > 0).all()):
        raise InputError(
            f"{file}: --labels-are probabilities, but its soft labels go down to {float(labels.min()):.4g}, or a row is all 0; "
            "allowed: at least 0, with a sum above 0: give --labels-are logits, or ask its author what they are"
        )
