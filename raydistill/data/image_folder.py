"""A folder of images in class folders, with a test part of its own or without.

`path/train/<class>/*` and `path/test/<class>/*`, or `path/<class>/*`. Classes are in the order of their folders' names, images in
the order of their files' names. Names that begin with a dot are the operating system's and left out; anything else that does not
belong is an error, because what is left out silently is missed late. Classes may differ in size: the split keeps their shares,
and the smallest class bounds the IPC.
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
"""Where no test part is set apart: a confirm part of a tenth then leaves 0.6 of the images to train on."""


def load_image_folder(config: ImageFolderConfig, data_root: Path | None) -> RawDataset:
    """The images of a folder, as large as the config says.

    Without a stated share, a tenth is select and a tenth confirm, as on MNIST: from a few thousand images on the confirm part
    decides margins of 2 points, and a space whose margin it cannot decide is refused before anything is trained.

    Args:
        config: where it lies, the size, and the shares of the parts.
        data_root: what a relative path is below; None means `~/.cache/raydistill`.

    Raises:
        DataError: the folder has not this form, or a class is too small, or a file is no image; named.
    """
    folder = root_folder(data_root) / Path(config.path).expanduser()
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give dataset.path in full, or below --data-root")
    parts = {name for name in ("train", "test") if (folder / name).is_dir()}
    if len(parts) == 1:
        raise DataError(f"{folder} has {parts.pop()}/ alone; give it train/ and test/, or put the class folders into it directly")
    sizes = {"select": config.select_fraction, "confirm": config.confirm_fraction}
    if parts:
        _refuse_others(folder, config)
        classes, test = _classes(folder / "train"), _classes(folder / "test")
        if set(classes) != set(test):
            raise DataError(
                f"{folder / 'train'} and {folder / 'test'} differ in the classes {', '.join(sorted(set(classes) ^ set(test)))}; "
                "give both the same class folders"
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
        raise DataError(f"{folder} has {', '.join(others)} beside train/ and test/; move them away, or into one of these")
    if config.test_fraction is not None:
        raise DataError(f"test_fraction is {config.test_fraction}, and {folder} has test/: take test_fraction out")


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The files of each class, both in order of their names."""
    classes = {}
    for entry in _entries(folder):
        if not entry.is_dir():
            raise DataError(f"{entry} lies beside the class folders; every image belongs into the folder of its class: move it")
        classes[entry.name] = _entries(entry)
        for file in classes[entry.name]:
            if not file.is_file():
                raise DataError(f"{file} is no file; a class folder holds images and nothing else: move it away")
        if not classes[entry.name]:
            raise DataError(f"{entry} is an empty class; put images into it, or delete the folder")
    if len(classes) < 2:
        found = f"one class ({', '.join(classes)})" if classes else "no class folders"
        raise DataError(f"{folder} has {found}; two classes or more are wanted: give each its folder of images")
    return classes


def _entries(folder: Path) -> list[Path]:
    return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _refuse_small(classes: dict[str, list[Path]], sizes: dict[str, float], folder: Path) -> None:
    """Refuse classes that cannot have an image in every part."""
    least = math.ceil(round(1 / min(*sizes.values(), 1 - sum(sizes.values())), 6))
    for name, files in classes.items():
        if len(files) < least:
            shares = ", ".join(f"{part} {fraction:g}" for part, fraction in sizes.items())
            raise DataError(
                f"{folder / name} has {len(files)} images, too few for an image in every part ({shares}); {least} are wanted: "
                "add images, raise the fractions, or take the class out"
            )


def _read(classes: dict[str, list[Path]], size: int, like: Path | None = None) -> RawPart:
    return RawPart(
        images=read_images([file for files in classes.values() for file in files], size, like),
        labels=np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()]),
    )
