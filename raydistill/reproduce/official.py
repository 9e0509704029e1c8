"""MNIST and MHIST as in the report: all published training images, normalised with common constants or not at all.

A search trains on a part of the published training images, because it needs the rest for its choices. Nothing is chosen here, so
networks are trained on all of them and evaluated on the test images.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from raydistill.data.byte_images import byte_images
from raydistill.data.datasets import load_raw
from raydistill.data.preprocess import Standardise
from raydistill.data.raw import RawDataset
from raydistill.data.splits import LabelledImages, Splits
from raydistill.sets.importing import CONSTANTS
from raydistill.spaces.sections import Config, DatasetConfig
from raydistill.storage.data_root import DataRoot

ReportData = Literal["mnist", "mhist"]
NORMALISED = {"mnist": CONSTANTS["mnist"], "mhist": CONSTANTS["imagenet"]}
"""The constants with which the report's code standardises."""


class OfficialImages(Config):
    """Training images of one of the report's data sets."""

    dataset: ReportData
    pixels: Literal["standardised", "unit"]
    """Standardised with common constants, or unchanged from 0 to 1 (the report's Table I)."""
    train_images: int | None = Field(ge=2)
    """Number of training images, evenly spaced in the published order; null means all."""

    def preprocess(self, channels: int) -> Standardise:
        """The preprocessing of the pixels."""
        if self.pixels == "unit":
            return Standardise(mean=(0.0,) * channels, std=(1.0,) * channels)
        return NORMALISED[self.dataset]


@functools.lru_cache(maxsize=2)
def load_official(chosen: OfficialImages, data_root: DataRoot) -> Splits:
    """The training images as the train split; the select and confirm splits are empty. Cached per process.

    Raises:
        DataError: the data is missing or damaged.
    """
    raw = load_raw(DatasetConfig(name=chosen.dataset), data_root)
    images, labels = raw.search.images, raw.search.labels
    if chosen.train_images is not None and chosen.train_images < len(labels):
        picked = np.linspace(0, len(labels) - 1, chosen.train_images).round().astype(np.int64)
        images, labels = images[picked], labels[picked]
    train = _labelled(torch.from_numpy(images), torch.from_numpy(labels), raw, chosen)
    nothing = LabelledImages(images=train.images[:0], labels=train.labels[:0])
    return Splits(
        train=train,
        select=nothing,
        confirm=nothing,
        preprocess=chosen.preprocess(images.shape[1]),
        class_names=raw.class_names,
        mirror_keeps_class=raw.mirror_keeps_class,
        train_bytes=images.size + len(labels),
        sha256=hashlib.sha256(np.ascontiguousarray(images).data.tobytes() + labels.tobytes()).hexdigest(),
    )


def as_trained(test: LabelledImages, opened: Standardise, chosen: OfficialImages, data_root: DataRoot) -> LabelledImages:
    """The test split with the normalisation of the training images, stored as bytes, which take a quarter of the space.

    Args:
        test: from `open_test`.
        opened: the standardisation of `test`.
        chosen: the training images.
        data_root: folder or URI of the data files.
    """
    raw = load_raw(DatasetConfig(name=chosen.dataset), data_root)
    stored = torch.cat([(opened.invert(part) * raw.white).round().to(torch.uint8) for part in test.images.split(1000)])
    return _labelled(stored, test.labels, raw, chosen)


def _labelled(stored: torch.Tensor, labels: torch.Tensor, raw: RawDataset, chosen: OfficialImages) -> LabelledImages:
    preprocess = chosen.preprocess(stored.shape[1])
    return LabelledImages(images=byte_images(stored, raw.white, preprocess), labels=labels)
