"""Reading a certificate's networks on the test split."""

from __future__ import annotations

import torch

from raydistill.certify.reading import _hash
from raydistill.data.byte_images import byte_images
from raydistill.data.preprocess import Standardise
from raydistill.data.splits import LabelledImages


def test_test_images_that_are_stored_as_bytes_have_the_hash_of_their_floats() -> None:
    stored = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).reshape(2, 3, 4, 4)
    images = byte_images(stored, 255, Standardise(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)))
    labels = torch.tensor([0, 1])
    assert _hash(LabelledImages(images=images, labels=labels)) == _hash(LabelledImages(images=images.floats(), labels=labels))
