"""MNIST in miniature, and a scale that runs in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raydistill.core.recipes import RECIPES
from raydistill.data import datasets
from raydistill.data import splits as data
from raydistill.data.digits import load_raw_digits
from raydistill.data.raw import RawDataset, RawPart
from raydistill.reproduce.scales import SCALES, SMALL, Scale

TINY = replace(
    SMALL,
    name="small",
    widths={"mnist": 4, "mhist": 4},
    train_images={"mnist": 200, "mhist": 40},
    ipc={"mnist": 2, "mhist": 2},
    batch_real={"mnist": 5, "mhist": 5},
    inits={"mnist": 1, "mhist": 1},
    model_steps=1,
    iterations=2,
    student_steps=2,
    expert_epochs=4,
    networks={"mnist": 2, "mhist": 1},
    full_networks=2,
    full_epochs=1,
)


def small_mnist(_: Path | None) -> RawDataset:
    """400 training and 100 test digits of scikit-learn, blown up to 28 x 28 pixels."""
    raw = load_raw_digits(None)
    images = np.pad(np.kron(raw.search.images, np.ones((1, 1, 3, 3), dtype=np.uint8)), ((0, 0), (0, 0), (2, 2), (2, 2)))
    images, labels = images * np.uint8(15), raw.search.labels
    return RawDataset(
        search=RawPart(images=images[:400], labels=labels[:400]),
        load_test=lambda: RawPart(images=images[400:500], labels=labels[400:500]),
        sizes={"select": 50, "confirm": 50},
        white=255,
        class_names=raw.class_names,
        mirror_keeps_class=False,
    )


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Scale:
    """The scale, in the place of `small`, on small MNIST, with recipes of 3 epochs."""
    monkeypatch.setitem(datasets.DATASETS, "mnist", small_mnist)
    monkeypatch.setitem(SCALES, "small", TINY)
    for name in ("report_as_run", "report_table_5", "report_as_specified", "dc_bench"):
        monkeypatch.setitem(RECIPES, name, replace(RECIPES[name], epochs=3))
    data.load_splits.cache_clear()
    from raydistill.reproduce.official import load_official

    load_official.cache_clear()
    return TINY
