"""MNIST and FashionMNIST in torchvision's layout, every file held against its published checksum.

Sources: LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 1998; Xiao, Rasul, Vollgraf, "Fashion-MNIST", 2017. MNIST is
read from its unpacked files, whose MD5 sums are published; of FashionMNIST only the sums of the packed files are, so those are
read. torchvision leaves both kinds in the folder.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
from torchvision.datasets import MNIST, FashionMNIST

from raydistill.data.published import checked_bytes, root_folder, see_to_files
from raydistill.data.raw import RawDataset, RawPart

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
FASHION_MD5: dict[str, str] = dict(FashionMNIST.resources)
"""File name, ending in .gz, to MD5."""
FILES = {f"MNIST/raw/{name}": md5 for name, md5 in MD5.items()}
FASHION_FILES = {f"FashionMNIST/raw/{name}": md5 for name, md5 in FASHION_MD5.items()}
SIZES = {"select": 5000, "confirm": 5000}
"""As many as the published test images, halved: at 99 % accuracy 5,000 images leave a standard error of 0.14 points, at 92 %
(FashionMNIST) one of 0.38, and the 50,000 that remain train as well as 60,000."""


def load_mnist(data_root: Path | None) -> RawDataset:
    """60,000 training digits, split into 50,000 train, 5,000 select, 5,000 confirm; the 10,000 test digits stay in their files.

    Args:
        data_root: folder that holds or shall hold `MNIST/raw/`; None means `~/.cache/raydistill`.

    Raises:
        DataError: a file is missing and may not or cannot be downloaded, or is damaged.
    """
    return _load("MNIST", data_root, MD5, MNIST, tuple("0123456789"), mirror_keeps_class=False)


def load_fashion_mnist(data_root: Path | None) -> RawDataset:
    """60,000 grey pictures of clothing, split as MNIST.

    A mirrored garment is the same garment, though DC and DM leave out flips only for digits by name; so "dsa" flips here too.

    Args:
        data_root: folder that holds or shall hold `FashionMNIST/raw/`; None means `~/.cache/raydistill`.

    Raises:
        DataError: a file is missing and may not or cannot be downloaded, or is damaged.
    """
    return _load("FashionMNIST", data_root, FASHION_MD5, FashionMNIST, tuple(FashionMNIST.classes), mirror_keeps_class=True)


def _load(
    title: str,
    data_root: Path | None,
    sums: dict[str, str],
    published: Callable[..., object],
    class_names: tuple[str, ...],
    *,
    mirror_keeps_class: bool,
) -> RawDataset:
    root = root_folder(data_root)
    folder = root / title / "raw"
    see_to_files(title, folder, sums, lambda: published(root=str(root), download=True))
    return RawDataset(
        search=_read(folder, "train", sums),
        load_test=lambda: _read(folder, "t10k", sums),
        sizes=SIZES,
        white=255,
        class_names=class_names,
        mirror_keeps_class=mirror_keeps_class,
    )


def _read(folder: Path, part: str, sums: dict[str, str]) -> RawPart:
    images, labels = (
        _values(checked_bytes(folder / name, md5), name) for name, md5 in sorted(sums.items()) if name.startswith(f"{part}-")
    )
    return RawPart(
        images=np.frombuffer(images, dtype=np.uint8, offset=16).reshape(-1, 1, 28, 28).copy(),
        labels=np.frombuffer(labels, dtype=np.uint8, offset=8).astype(np.int64),
    )


def _values(data: bytes, name: str) -> bytes:
    """The file in the idx format: a header of 16 bytes before images and of 8 before labels, then a byte per value."""
    return gzip.decompress(data) if name.endswith(".gz") else data
