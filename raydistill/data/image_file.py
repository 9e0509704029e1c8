"""Image files of a person's own data: read as bytes, brought to one size, refused with the file's name and a reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from raydistill.errors import DataError

GREY_MODES = ("1", "L")
COLOUR_MODES = ("RGB", "P", "CMYK", "YCbCr", "LAB", "HSV")


def read_images(paths: Sequence[Path], size: int | None, like: Path | None = None) -> NDArray[np.uint8]:
    """(N, C, H, W) bytes of image files, in their order; C is 1 for grey and 3 for colour, as found in the first.

    Args:
        paths: at least one.
        size: height and width; larger images are scaled by their shorter side and cut in the middle. None takes the size of the
            first image for all.
        like: the image that all must be like, where it is not the first of them.

    Raises:
        DataError: a file is no image, has transparency or more than 8 bits, is too small, or differs from the first in its
            channels or (without `size`) in its size; the file is named.
    """
    model = like or paths[0]
    first = _read_image(model, size)
    images = np.empty((len(paths), *first.shape), dtype=np.uint8)
    for place, path in enumerate(paths):
        image = _read_image(path, size)
        if image.shape != first.shape:
            raise DataError(
                f"{path} has {_in_words(image)}, {model} has {_in_words(first)}; all images must be alike: convert one sort"
            )
        images[place] = image
    return images


def _read_image(path: Path, size: int | None) -> NDArray[np.uint8]:
    """(C, H, W) bytes, turned as the file's orientation says."""
    try:
        with Image.open(path) as opened:
            mode = opened.mode
            if opened.has_transparency_data:
                raise DataError(f"{path} has transparency, whose colour nobody knows; save it without an alpha channel")
            if mode not in GREY_MODES + COLOUR_MODES:
                raise DataError(f"{path} has pixels of the kind {mode}; 8 bits of grey or colour are wanted: convert it")
            image = ImageOps.exif_transpose(opened).convert("L" if mode in GREY_MODES else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is no image that can be read ({error}); take it out or replace it") from error
    pixels = np.asarray(image if size is None else _of_size(image, size, path))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _of_size(image: Image.Image, size: int, path: Path) -> Image.Image:
    """The middle square of an image scaled by its shorter side; an image of the size itself is left as it is."""
    if min(image.size) < size:
        width, height = image.size
        raise DataError(
            f"{path} has {width} x {height} pixels, below the size {size}; enlarging would invent pixels: give a smaller size"
        )
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


def _in_words(image: NDArray[np.uint8]) -> str:
    channels, height, width = image.shape
    return f"{'1 channel (grey)' if channels == 1 else '3 channels (colour)'} of {width} x {height} pixels"
