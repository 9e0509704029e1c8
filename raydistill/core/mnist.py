"""MNIST in torchvision's layout, every file held against its published checksum.

Source: LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 1998; MD5 sums of the unpacked files as published.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from torchvision.datasets import MNIST
from torchvision.datasets.mnist import read_image_file, read_label_file

from raydistill.core.raw import RawDataset, RawPart
from raydistill.space_file import DataError

DEFAULT_DATA_ROOT = Path("~/.cache/raydistill")

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def load_mnist(data_root: Path | None) -> RawDataset:
    """60,000 training digits, split into 50,000 train, 5,000 select, 5,000 confirm; the 10,000 test digits stay in their files.

    Args:
        data_root: folder that holds or shall hold `MNIST/raw/`; None means `~/.cache/raydistill`.

    Raises:
        DataError: a file is missing and may not or cannot be downloaded, or is damaged.
    """
    root = (data_root or DEFAULT_DATA_ROOT).expanduser()
    folder = root / "MNIST" / "raw"
    missing = [name for name in MD5 if not (folder / name).is_file()]
    if missing:
        _download(root, folder, missing)
    return RawDataset(
        search=_read(folder, "train"),
        load_test=lambda: _read(folder, "t10k"),
        sizes={"select": 5000, "confirm": 5000},
        white=255,
        class_names=tuple("0123456789"),
        mirror_keeps_class=False,
    )


def _download(root: Path, folder: Path, missing: list[str]) -> None:
    wanted = (
        f"MNIST files are missing: put {', '.join(missing)} (unpacked) into {folder}, or name another folder with --data-root"
    )
    if os.environ.get("RAYDISTILL_OFFLINE") == "1":
        raise DataError(f"{wanted}; RAYDISTILL_OFFLINE=1 forbids the download")
    try:
        MNIST(root=str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{wanted}; the download failed: {error}") from error


def _read(folder: Path, part: str) -> RawPart:
    for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"):
        found = hashlib.md5((folder / name).read_bytes(), usedforsecurity=False).hexdigest()
        if found != MD5[name]:
            raise DataError(
                f"{folder / name} is damaged: its MD5 is {found}, published is {MD5[name]}; delete it and fetch it again"
            )
    images = read_image_file(str(folder / f"{part}-images-idx3-ubyte")).numpy()
    labels = read_label_file(str(folder / f"{part}-labels-idx1-ubyte")).numpy()
    return RawPart(images=images[:, None], labels=labels.astype(np.int64))
