"""The data sets by name, and reading one as it was published. Nothing here loads torch; `splits` makes tensors of it.

`DATASETS` maps a name to a function that loads the published images; everything else is shared. A new data set is one function
and one line. Only a folder of the user's own images needs more settings than a name (`ImageFolderConfig`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from raydistill.data.cifar import CIFAR10_FILES, CIFAR100_FILES, load_cifar10, load_cifar100
from raydistill.data.data_cache import local_folder
from raydistill.data.digits import load_raw_digits
from raydistill.data.image_folder import load_image_folder, place_of
from raydistill.data.mhist import load_mhist
from raydistill.data.mnist import FASHION_FILES, load_fashion_mnist, load_mnist
from raydistill.data.mnist import FILES as MNIST_FILES
from raydistill.data.own.listing import FILE_SUFFIXES
from raydistill.data.raw import RawDataset
from raydistill.spaces.paths import given_path
from raydistill.spaces.sections import DatasetConfig, ImageFolderConfig
from raydistill.storage.data_root import DataRoot

DATASETS: dict[str, Callable[[Path | None], RawDataset]] = {
    "digits": load_raw_digits,
    "mnist": load_mnist,
    "fashion_mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "mhist": load_mhist,
}
NAMES = (*DATASETS, "image_folder")
FILES = {"mnist": MNIST_FILES, "fashion_mnist": FASHION_FILES, "cifar10": CIFAR10_FILES, "cifar100": CIFAR100_FILES}
"""Files below the data root, each with its published MD5."""


def load_raw(config: DatasetConfig, data_root: DataRoot) -> RawDataset:
    """A data set as published, without its test images.

    Raises:
        DataError: files are missing or damaged.
    """
    folder = local_folder(data_root, FILES.get(config.name, {}), _whole_folder(config))
    if isinstance(config, ImageFolderConfig):
        return load_image_folder(config, folder)
    return DATASETS[config.name](folder)


def place_of_images(config: ImageFolderConfig, data_root: DataRoot) -> Path:
    """The folder or file of a person's own images on this machine.

    Raises:
        DataError: nothing lies there.
    """
    return place_of(config, local_folder(data_root, {}, _whole_folder(config)))


def _whole_folder(config: DatasetConfig) -> str | None:
    """The folder below the data root of a data set without published checksums; None for other data sets and absolute paths.

    Of a table or an archive it is the folder that holds it, because a table's images lie there too.
    """
    if isinstance(config, ImageFolderConfig):
        path = given_path(config.path)
        if path.is_absolute():
            return None
        return str(path.parent) if path.suffix.lower() in FILE_SUFFIXES else config.path
    return "mhist" if config.name == "mhist" else None
