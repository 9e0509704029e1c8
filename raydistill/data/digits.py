"""scikit-learn's handwritten digits: real images that need no download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from raydistill.data.raw import RawDataset, RawPart
from raydistill.errors import DataError

FILE = "datasets/data/digits.csv.gz"
"""In scikit-learn's folder."""


def load_raw_digits(data_root: Path | None) -> RawDataset:
    """1,797 real 8x8 images that are part of scikit-learn.

    Published without splits: the seeded, stratified split is 797 train, 250 select, 300 confirm, 450 test.

    Raises:
        DataError: the installed scikit-learn is without them.
    """
    del data_root  # not needed: the images are part of scikit-learn
    rows = np.loadtxt(_file(), delimiter=",")
    part = RawPart(images=rows[:, :-1].reshape(-1, 1, 8, 8).astype(np.uint8), labels=rows[:, -1].astype(np.int64))
    return RawDataset(
        search=part,
        load_test=None,
        sizes={"select": 250, "confirm": 300, "test": 450},
        white=16,
        class_names=tuple("0123456789"),
        mirror_keeps_class=False,
    )


def _file() -> Path:
    # The package is found and not imported, which takes a second in every trial's process.
    package = find_spec("sklearn")
    folders = [Path(folder) for folder in (package and package.submodule_search_locations) or []]
    file = next((folder / FILE for folder in folders if (folder / FILE).is_file()), None)
    if file is None:
        raise DataError(
            f"the digits are not there: scikit-learn in {', '.join(map(str, folders)) or 'this installation'} has no {FILE}; "
            "install it again"
        )
    return file
