"""A folder of images with one folder per class, with or without a test split of its own.

`path/train/<class>/*` and `path/test/<class>/*`, or `path/<class>/*`. Classes are sorted by folder name, images by file name.
Names that begin with a dot are ignored; every other unexpected file is an error, because ignoring it could leave out data.
Classes may differ in size: the split keeps their proportions, and the smallest class limits the IPC.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from raydistill.data.image_file import read_images
from raydistill.data.published import root_folder
from raydistill.data.raw import RawDataset, RawPart
from raydistill.errors import DataError
from raydistill.spaces.sections import ImageFolderConfig

DEFAULT_TEST_FRACTION = 0.2
"""For a folder without test/: with the default select and confirm splits of a tenth each, 0.6 of the images are left to train."""


def load_image_folder(config: ImageFolderConfig, data_root: Path | None) -> RawDataset:
    """The images of a folder, scaled to the size in the config.

    By default a tenth of the images is select and a tenth is confirm. With a few thousand images the confirm split can decide
    margins of 2 points; a search space with a margin that it cannot decide is refused before anything is trained.

    Args:
        config: path, size, and the fractions of the splits.
        data_root: folder to which a relative path refers; None means `~/.cache/raydistill`.

    Raises:
        DataError: the folder does not have this layout, a class is too small, or a file is not an image; the message names it.
    """
    folder = root_folder(data_root) / Path(config.path).expanduser()
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give dataset.path as an absolute path, or relative to --data-root")
    parts = {name for name in ("train", "test") if (folder / name).is_dir()}
    if len(parts) == 1:
        raise DataError(f"{folder} has only {parts.pop()}/; add both train/ and test/, or put the class folders directly into it")
    sizes = {"select": config.select_fraction, "confirm": config.confirm_fraction}
    if parts:
        _refuse_others(folder, config)
        classes, test = _classes(folder / "train"), _classes(folder / "test")
        if set(classes) != set(test):
            raise DataError(
                f"only one of {folder / 'train'} and {folder / 'test'} has the classes "
                f"{', '.join(sorted(set(classes) ^ set(test)))}; both must have the same class folders"
            )
    else:
        classes, test = _classes(folder), None
        sizes["test"] = config.test_fraction or DEFAULT_TEST_FRACTION
    _refuse_small(classes, sizes, folder / "train" if parts else folder)
    total = sum(len(files) for files in classes.values())
    first = next(iter(classes.values()))[0]
    return RawDataset(
        search=_read(classes, config.size),
        load_test=None if test is None else lambda: _read(test, config.size, like=first),
        sizes={name: round(fraction * total) for name, fraction in sizes.items()},
        white=255,
        class_names=tuple(classes),
        mirror_keeps_class=config.mirror_keeps_class,
    )


def _refuse_others(folder: Path, config: ImageFolderConfig) -> None:
    others = [entry.name for entry in _entries(folder) if entry.name not in ("train", "test")]
    if others:
        raise DataError(f"{folder} has {', '.join(others)} beside train/ and test/; remove them, or move them into one of these")
    if config.test_fraction is not None:
        raise DataError(f"test_fraction is {config.test_fraction}, but {folder} has test/: remove test_fraction")


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The files of each class; classes and files are sorted by name."""
    classes = {}
    for entry in _entries(folder):
        if not entry.is_dir():
            raise DataError(f"{entry} is beside the class folders; every image must be in the folder of its class: move it")
        classes[entry.name] = _entries(entry)
        for file in classes[entry.name]:
            if not file.is_file():
                raise DataError(f"{file} is not a file; a class folder may contain only images: remove it")
        if not classes[entry.name]:
            raise DataError(f"{entry} is an empty class folder; put images into it, or delete it")
    if len(classes) < 2:
        found = f"one class ({', '.join(classes)})" if classes else "no class folders"
        raise DataError(f"{folder} has {found}; expected at least two classes: make one folder of images per class")
    return classes


def _entries(folder: Path) -> list[Path]:
    return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _refuse_small(classes: dict[str, list[Path]], sizes: dict[str, float], folder: Path) -> None:
    """Refuse classes that are too small to have an image in every split."""
    least = math.ceil(round(1 / min(*sizes.values(), 1 - sum(sizes.values())), 6))
    for name, files in classes.items():
        if len(files) < least:
            shares = ", ".join(f"{part} {fraction:g}" for part, fraction in sizes.items())
            raise DataError(
                f"{folder / name} has {len(files)} images, too few for an image in every split ({shares}); expected at least "
                f"{least}: add images, raise the fractions, or remove the class"
            )


def _read(classes: dict[str, list[Path]], size: int, like: Path | None = None) -> RawPart:
    return RawPart(
        images=read_images([file for files in classes.values() for file in files], size, like),
        labels=np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()]),
    )
