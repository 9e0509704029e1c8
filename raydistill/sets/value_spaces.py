"""The value spaces in which published sets come: pixels, standardised by common constants, or whitened."""

from __future__ import annotations

from raydistill.data import zca
from raydistill.data.datasets import load_raw
from raydistill.data.preprocess import Preprocess, Standardise, Whiten
from raydistill.errors import InputError
from raydistill.spaces.sections import DatasetConfig
from raydistill.storage.data_root import DataRoot

CONSTANTS = {
    "mnist": Standardise(mean=(0.1307,), std=(0.3081,)),
    "fashion_mnist": Standardise(mean=(0.2861,), std=(0.3530,)),
    "cifar10": Standardise(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010)),
    "cifar100": Standardise(mean=(0.5071, 0.4866, 0.4409), std=(0.2673, 0.2564, 0.2762)),
    "imagenet": Standardise(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
}
"""Common constants for standardisation, as in the code of Dataset Condensation. DATM and PAD use CIFAR-10's for CIFAR-100 too."""
SPACES = "pixels, standardised, standardised:NAME or zca"


def constants_of(space: str, dataset: str) -> Standardise | None:
    """The constants of a value space; None for pixels and zca.

    Raises:
        InputError: there is no such value space.
    """
    if space in ("pixels", "zca"):
        return None
    kind, colon, name = space.partition(":")
    name = name if colon else dataset
    if kind != "standardised" or name not in CONSTANTS:
        raise InputError(
            f"unknown --space {space}; allowed: pixels, zca, standardised (if the data set is {', '.join(CONSTANTS)}), or "
            "standardised:NAME with one of these names: give the value space of the images"
        )
    return CONSTANTS[name]


def published_zca(dataset: DatasetConfig, data_root: DataRoot) -> Preprocess:
    """The whitening that the authors of published sets use: fitted on all published train images.

    Raises:
        InputError: the data set has no published train images.
        DataError: the data is missing or damaged.
    """
    raw = load_raw(dataset, data_root)
    if raw.load_test is None:
        raise InputError(f"--space zca for {dataset.name}, which has no published train images; give another --space")
    return Whiten(key=zca.fit(raw.search.images, raw.white))
