"""How the images of a data set are divided into train, select, confirm and test, where its files do not say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raydistill.data.raw import RawDataset, RawPart
from raydistill.data.stratify import grouped, stratified
from raydistill.errors import DataError
from raydistill.spaces.sections import DatasetConfig, ImageFolderConfig


def divide(raw: RawDataset, config: DatasetConfig) -> dict[str, NDArray[np.int64]]:
    """Indices per split name: what the data gives, seeded and stratified draws, and train, which is the rest.

    Raises:
        DataError: the images, or their groups, are too few for every split.
    """
    labels = raw.search.labels
    indices = dict(raw.given)
    is_given = np.zeros(len(labels), dtype=bool)
    for places in indices.values():
        is_given[places] = True
    rest = np.flatnonzero(~is_given)
    drawn = list(reversed(list(raw.sizes.items())))
    for place, (name, size) in enumerate(drawn):
        try:
            if raw.groups is None:
                kept, taken = stratified(labels[rest], size, config.split_seed)
            else:
                kept, taken = grouped(labels[rest], raw.groups[rest], size, config.split_seed, leave=len(drawn) - place)
        except ValueError as error:
            raise DataError(f"{_in_words(config)}: {_too_few(raw)}") from error
        rest, indices[name] = rest[kept], rest[taken]
    indices["train"] = rest
    return {name: np.sort(chosen) for name, chosen in indices.items()}


def refuse_missing_class(name: str, part: RawPart, class_names: tuple[str, ...], config: DatasetConfig) -> None:
    """Check a part of the division.

    Raises:
        DataError: the part has no image of some class.
    """
    counts = np.bincount(part.labels, minlength=len(class_names))
    if counts.min() == 0:
        missing = class_names[int(counts.argmin())]
        raise DataError(
            f"{_in_words(config)}: the {name} split has no image of class {missing}; add images of this class, or raise the "
            "fraction of the split"
        )


def _too_few(raw: RawDataset) -> str:
    """Why the splits cannot be drawn."""
    shares = ", ".join(f"{part} {images}" for part, images in raw.sizes.items())
    if raw.groups is not None:
        return (
            f"the groups of {len(raw.search.labels)} images cannot be divided so that every split ({shares} images, and train) "
            "has images of every class; give every class images in more groups, or leave the groups out"
        )
    counts = np.bincount(raw.search.labels, minlength=len(raw.class_names))
    return (
        f"class {raw.class_names[int(counts.argmin())]} has {counts.min()} of {len(raw.search.labels)} images, "
        f"too few for every split ({shares} images); add images, or change the fractions"
    )


def _in_words(config: DatasetConfig) -> str:
    """The path of an image folder, or the data set's name."""
    return config.path if isinstance(config, ImageFolderConfig) else config.name
