"""CIFAR-10 and CIFAR-100 in torchvision's layout; every file is verified against its published checksum.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The published files are pickles, which can run
code when they are read. So torchvision reads them only after their MD5 sums are found equal to the published ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raydistill.data.published import checked_bytes, root_folder, see_to_files
from raydistill.data.raw import RawDataset, RawPart

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

SIZES = {"select": 2500, "confirm": 5000}
"""Of 50,000 images. The verdict needs 5,000 confirm images (standard error 0.5 points at 85 % accuracy, 0.7 at 55 %); the search
needs only half as many select images, so that 42,500 remain for training: unlike on MNIST, more train images still help here."""
CIFAR10_FILES = {
    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
    "cifar-10-batches-py/batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}
CIFAR100_FILES = {
    "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
    "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "cifar-100-python/meta": "7973b15100ade9c7d40fb424638fde48",
}


def load_cifar10(data_root: Path | None) -> RawDataset:
    """50,000 training images, split into 42,500 train, 2,500 select, 5,000 confirm; the 10,000 test images are not read.

    Args:
        data_root: folder of `cifar-10-batches-py/`, created if missing; None means `~/.cache/raydistill`.

    Raises:
        DataError: a file is damaged, or missing while the download is forbidden or fails.
    """
    from torchvision.datasets import CIFAR10

    return _load(CIFAR10, "CIFAR-10", root_folder(data_root))


def load_cifar100(data_root: Path | None) -> RawDataset:
    """Like CIFAR-10, with 100 classes (the fine labels): 425 train, 25 select and 50 confirm images per class.

    Args:
        data_root: folder of `cifar-100-python/`, created if missing; None means `~/.cache/raydistill`.

    Raises:
        DataError: a file is damaged, or missing while the download is forbidden or fails.
    """
    from torchvision.datasets import CIFAR100

    return _load(CIFAR100, "CIFAR-100", root_folder(data_root))


def _load(published: type[CIFAR10], title: str, root: Path) -> RawDataset:
    folder = root / published.base_folder
    sums = published_sums(published)
    see_to_files(title, root, published.base_folder, sums, lambda beside: published(root=str(beside), download=True))
    for name, md5 in sums.items():
        checked_bytes(folder / name, md5)
    train = published(root=str(root), train=True)
    return RawDataset(
        search=_part(train),
        load_test=lambda: _part(published(root=str(root), train=False)),
        sizes=SIZES,
        white=255,
        class_names=tuple(train.classes),
        mirror_keeps_class=True,
    )


def published_sums(published: type[CIFAR10]) -> dict[str, str]:
    """MD5 by file name, as torchvision has it; `CIFAR10_FILES` and `CIFAR100_FILES` are the same below the data root."""
    return dict([*published.train_list, *published.test_list, (published.meta["filename"], published.meta["md5"])])


def _part(read: CIFAR10) -> RawPart:
    # torchvision stores (N, H, W, C).
    images = np.ascontiguousarray(read.data.transpose(0, 3, 1, 2))
    return RawPart(images=images, labels=np.array(read.targets, dtype=np.int64))
