"""The digits of scikit-learn, read from its file without importing it."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from raydistill.data import digits
from raydistill.data.digits import load_raw_digits
from raydistill.errors import DataError


def test_images_and_labels_are_those_that_scikit_learn_gives() -> None:
    pixels, labels = load_digits(return_X_y=True)
    part = load_raw_digits(None).search
    assert np.array_equal(part.images.reshape(-1, 64), pixels)
    assert np.array_equal(part.labels, labels)


@pytest.mark.parametrize("is_installed", [True, False])
def test_an_installation_without_the_digits_is_told_of(
    is_installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleSpec("sklearn", None, is_package=True)
    package.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(digits, "find_spec", lambda name: package if is_installed else None)
    where = tmp_path if is_installed else "this installation"
    with pytest.raises(DataError, match=f"scikit-learn in {where} has no datasets/data/digits.csv.gz; install it again"):
        load_raw_digits(None)
