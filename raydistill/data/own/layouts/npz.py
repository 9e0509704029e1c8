"""An npz file with arrays of images and labels, such as medmnist's: `train_images`, `train_labels`, `val_images` and so on."""

from __future__ import annotations

import functools
import math
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raydistill.data.own.decode import DAMAGED
from raydistill.data.own.files import stamp
from raydistill.data.own.items import PART_NAMES, Item, Listing, Problem
from raydistill.data.own.layouts.labels import in_order
from raydistill.errors import DataError

IMAGES, LABELS = "images", "labels"
ODD = (NotImplementedError, RuntimeError, IndexError, AttributeError, TypeError, OverflowError)
"""What Python's zip files and numpy's headers raise besides, where a file is made to harm."""
MOST_UNPACKED, MOST_TIMES = 2**30, 100
"""An array may take so many bytes more than so many times its part of the file: what does is made to fill the memory."""


def list_npz(path: Path) -> Listing:
    """The images of each part, in the order of the arrays; an image is named by its array and its place, counted from 0.

    Raises:
        DataError: the file is no npz file.
    """
    problems: list[Problem] = []
    items: list[Item] = []
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = list(arrays.files)
            parts = [name.removesuffix(IMAGES) for name in names if name == IMAGES or name.endswith(f"_{IMAGES}")]
            problems += _unknown(names, parts)
            for prefix in parts:
                items += _items(path, arrays, prefix, problems)
    except (*DAMAGED, KeyError, *ODD) as error:
        raise DataError(
            f"{path} cannot be read as arrays ({error}); expected train_images, train_labels and so on, saved by numpy.savez"
        ) from error
    layout = f"arrays of images and labels: {', '.join(f'{prefix}{IMAGES}' for prefix in parts)}"
    classes = in_order(item.class_name for item in items)
    return Listing(items=tuple(items), class_names=classes, layout=layout, litter={}, problems=tuple(problems))


def _unknown(names: list[str], parts: list[str]) -> list[Problem]:
    """Arrays that belong to no part."""
    known = {f"{prefix}{kind}" for prefix in parts for kind in (IMAGES, LABELS)}
    allowed = f"{IMAGES} and {LABELS}, alone or after {', '.join(f'{name}_' for name in PART_NAMES)}"
    strange = [name for name in names if name not in known]
    strange += [f"{prefix}{IMAGES}" for prefix in parts if prefix and prefix.removesuffix("_") not in PART_NAMES]
    return [
        Problem(
            kind="unknown_array", item=name, text=f"is not expected; allowed are {allowed}", remedy="leave it out or rename it"
        )
        for name in strange
    ]


def _items(path: Path, arrays: np.lib.npyio.NpzFile, prefix: str, problems: list[Problem]) -> list[Item]:
    name = f"{prefix}{IMAGES}"
    if f"{prefix}{LABELS}" not in arrays.files:
        problems.append(Problem(kind="no_labels", item=name, text=f"has no {prefix}{LABELS} beside it", remedy="add the labels"))
        return []
    shape, dtype = _facts(path, name)
    _facts(path, f"{prefix}{LABELS}")
    labels = arrays[f"{prefix}{LABELS}"]
    if dtype != np.uint8 or not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))):
        problems.append(
            Problem(
                kind="no_images",
                item=name,
                text=f"has the shape {shape} of {dtype}; expected (N, H, W) or (N, H, W, 3) of uint8, N images of H x W pixels",
                remedy="save the pixels as bytes in this order",
            )
        )
        return []
    if labels.shape not in ((shape[0],), (shape[0], 1)) or labels.dtype.kind not in "iuU":
        problems.append(
            Problem(
                kind="labels_do_not_fit",
                item=f"{prefix}{LABELS}",
                text=f"has the shape {labels.shape} of {labels.dtype}; expected a whole number or name for each image",
                remedy="give every image one class",
            )
        )
        return []
    array = _Images(path, name)
    file_stamp = stamp(path.stat())
    return [
        Item(
            name=f"{name}[{place}]",
            class_name=str(label),
            part=PART_NAMES.get(prefix.removesuffix("_")),
            stamp=file_stamp,
            open=functools.partial(array.image, place),
        )
        for place, label in enumerate(labels.ravel().tolist())
    ]


def _facts(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Shape and type of an array, from its header alone: the pixels are only read if they are not cached.

    Raises:
        ValueError: the file holds less than the array, or unpacks to far more than its size.
    """
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        about = archive.getinfo(f"{name}.npy")
        major, _ = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    size = math.prod(shape) * dtype.itemsize
    if size > about.file_size or size > MOST_TIMES * about.compress_size + MOST_UNPACKED:
        raise ValueError(f"{name} is said to take {size} bytes, and has {about.compress_size} in the file")
    return shape, dtype


class _Images:
    """The images of one array, which is read when the first is opened."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    @functools.cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """(N, H, W) or (N, H, W, C)."""
        with np.load(self.path, allow_pickle=False) as arrays:
            return np.asarray(arrays[self.name])

    def image(self, place: int) -> Image.Image:
        """One image; a last axis of one channel is dropped."""
        pixels = self.pixels[place]
        return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
