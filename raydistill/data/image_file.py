"""Reads the image files of the user's own data as bytes of one size; a file that cannot be used is named with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from raydistill.errors import DataError
from raydistill.spaces.paths import regular

GREY_MODES = ("1", "L")
COLOUR_MODES = ("RGB", "P", "CMYK", "YCbCr", "LAB", "HSV")


def read_images(paths: Sequence[Path], size: int | None, like: Path | None = None) -> NDArray[np.uint8]:
    """(N, C, H, W) bytes of image files, in their order; C is 1 for grey and 3 for colour, as found in the first.

    Args:
        paths: at least one.
        size: height and width; larger images are scaled by their shorter side and centre-cropped. With None all images must have
            the size of the first.
        like: the image whose channels and size all images must have; None means the first of `paths`.

    Raises:
        DataError: a file is not an image, has transparency or more than 8 bits, is too small, or differs from the first in its
            channels or (without `size`) in its size; the message names the file.
    """
    model = like or paths[0]
    first = _read_image(model, size)
    images = np.empty((len(paths), *first.shape), dtype=np.uint8)
    for place, path in enumerate(paths):
        image = _read_image(path, size)
        if image.shape != first.shape:
            raise DataError(
                f"{path} has {_in_words(image)}, but {model} has {_in_words(first)}; all images must have the same channels and "
                "size: convert one of the two kinds"
            )
        images[place] = image
    return images


def _read_image(path: Path, size: int | None) -> NDArray[np.uint8]:
    """(C, H, W) bytes, rotated as the file's orientation says."""
    try:
        with open(path, "rb", opener=regular) as file, Image.open(file) as opened:
            mode = opened.mode
            if opened.has_transparency_data:
                raise DataError(f"{path} has transparency, so its colours are not defined; save it without an alpha channel")
            if mode not in GREY_MODES + COLOUR_MODES:
                raise DataError(
                    f"{path} has pixels of mode {mode}; allowed are grey or colour with 8 bits per channel: convert it"
                )
            image = ImageOps.exif_transpose(opened).convert("L" if mode in GREY_MODES else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image ({error}); remove or replace it") from error
    pixels = np.asarray(image if size is None else _of_size(image, size, path))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _of_size(image: Image.Image, size: int, path: Path) -> Image.Image:
    """Scale an image by its shorter side and crop the central square; an image of the right size is returned unchanged."""
    if min(image.size) < size:
        width, height = image.size
        raise DataError(
            f"{path} has {width} x {height} pixels, smaller than size {size}; images are not enlarged: write a smaller size"
        )
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


def _in_words(image: NDArray[np.uint8]) -> str:
    channels, height, width = image.shape
    return f"{'1 channel (grey)' if channels == 1 else '3 channels (colour)'} of {width} x {height} pixels"
