"""scikit-learn's handwritten digits: real images that need no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from raydistill.data.raw import RawDataset, RawPart


def load_raw_digits(data_root: Path | None) -> RawDataset:
    """1,797 real 8x8 images that are part of scikit-learn.

    Published without splits: the seeded, stratified split is 797 train, 250 select, 300 confirm, 450 test.
    """
    del data_root  # not needed: the images are part of scikit-learn
    pixels, labels = load_digits(return_X_y=True)
    part = RawPart(images=pixels.reshape(-1, 1, 8, 8).astype(np.uint8), labels=labels.astype(np.int64))
    return RawDataset(
        search=part,
        load_test=None,
        sizes={"select": 250, "confirm": 300, "test": 450},
        white=16,
        class_names=tuple("0123456789"),
        mirror_keeps_class=False,
    )
