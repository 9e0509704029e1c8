"""The report's data: all published training images, its normalisation, the test images beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from raydistill.data.splits import load_splits, open_test
from raydistill.reproduce.official import OfficialImages, as_trained, load_official
from raydistill.spaces.sections import DatasetConfig
from raydistill.storage.store import Store

from .conftest import small_mnist

pytestmark = pytest.mark.usefixtures("tiny")


def official(**changes) -> OfficialImages:
    return OfficialImages(**{"dataset": "mnist", "pixels": "standardised", "train_images": None, **changes})


def test_all_published_training_images_train() -> None:
    splits = load_official(official(), None)
    assert len(splits.train.labels) == 400
    assert len(splits.select.labels) == len(splits.confirm.labels) == 0


def test_pixels_are_standardised_by_the_fields_constants_or_left_alone() -> None:
    """Of a byte b: (b / 255 - 0.1307) / 0.3081, or b / 255."""
    byte = torch.from_numpy(small_mnist(None).search.images[7:8]).double()
    standardised = load_official(official(), None).train.images[torch.tensor([7])]
    unit = load_official(official(pixels="unit"), None).train.images[torch.tensor([7])]
    assert torch.allclose(standardised.double(), (byte / 255 - 0.1307) / 0.3081, atol=1e-5)
    assert torch.allclose(unit.double(), byte / 255, atol=1e-6)


def test_a_part_of_them_is_evenly_spaced() -> None:
    """5 of 400: 0, 100, 200, 299, 399."""
    raw = small_mnist(None)
    splits = load_official(official(train_images=5), None)
    assert splits.train.labels.tolist() == raw.search.labels[[0, 100, 200, 299, 399]].tolist()


def test_other_images_have_another_hash() -> None:
    hashes = {load_official(official(train_images=n), None).sha256 for n in (None, 5, 6)}
    assert len(hashes) == 3


def test_the_test_images_come_back_to_their_bytes(tmp_path: Path) -> None:
    config = DatasetConfig(name="mnist")
    opened = open_test(config, reason="a test", log=Store(str(tmp_path)))
    test = as_trained(opened, load_splits(config).preprocess, official(pixels="unit"), None)
    pixels = (test.images[torch.arange(100)] * 255).round().numpy().astype(np.uint8)
    assert np.array_equal(pixels, small_mnist(None).load_test().images)
    assert test.labels.tolist() == opened.labels.tolist()
