"""A set of images as one PNG file for viewing."""

from __future__ import annotations

import io

from PIL import Image
from torch import Tensor

from raydistill.core.synthetic import SyntheticSet
from raydistill.core.tiles import pack_tiles
from raydistill.data.preprocess import Preprocess, Standardise

SMALLEST_SIDE = 32
"""Pixels; images narrower than this are enlarged."""
LARGEST_WIDTH = 4096
"""Pixels; images are not enlarged beyond this width of the whole picture."""
PADDING, GREY = 2, 0.5
"""Pixels between images and around them, and their value."""


def set_png(synthetic: SyntheticSet, preprocess: Preprocess) -> bytes:
    """A set in PNG, a class in each row, the smaller images of a packed set within their stored ones.

    Args:
        synthetic: images ordered by class, preprocessed.
        preprocess: of its images. Whitening is of whole images, so that of a packed set is undone before packing.
    """
    if synthetic.factor == 1 or isinstance(preprocess, Standardise):
        pixels = preprocess.invert(synthetic.images.cpu())
    else:
        pixels = pack_tiles(preprocess.invert(synthetic.decoded().images.cpu()), synthetic.factor)
    return grid_png(pixels, columns=synthetic.ipc)


def grid_png(images: Tensor, columns: int) -> bytes:
    """The images as a grid, left to right and top to bottom, in PNG.

    Small images are enlarged by a whole factor, so that each pixel becomes a square. For a set that is ordered by class,
    `columns` equal to its IPC puts one class in each row.

    Args:
        images: (N, C, H, W) pixel values without preprocessing, on any device; 0 is black, 1 is white (or full colour), other
            values are clipped. C is 1 or 3.
        columns: images in a row.

    Raises:
        ValueError: the images are not (N, 1 or 3, H, W) with N at least 1, or `columns` is below 1.
    """
    if images.ndim != 4 or len(images) == 0 or images.shape[1] not in (1, 3) or columns < 1:
        raise ValueError(
            f"images: shape {tuple(images.shape)} in {columns} columns; expected (N, 1 or 3, H, W), with N and columns at least 1"
        )
    width = images.shape[-1]
    factor = max(1, min(-(-SMALLEST_SIDE // width), LARGEST_WIDTH // (columns * width)))
    pixels = images.detach().cpu().float().clamp(0, 1).nan_to_num()
    enlarged = pixels.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    buffer = io.BytesIO()
    grid = _grid(enlarged.expand(-1, 3, -1, -1), columns)
    Image.fromarray((255 * grid + 0.5).clamp(0, 255).byte().permute(1, 2, 0).numpy()).save(buffer, format="png")
    return buffer.getvalue()


def _grid(images: Tensor, columns: int) -> Tensor:
    """(3, H', W') of (N, 3, H, W) images; a single one stays as it is.

    As torchvision's `make_grid` does it, whose package takes seconds to import in every trial's process.
    """
    if len(images) == 1:
        return images[0]
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = (side + PADDING for side in images.shape[-2:])
    grid = images.new_full((3, height * rows + PADDING, width * columns + PADDING), GREY)
    for place, image in enumerate(images):
        top, left = place // columns * height + PADDING, place % columns * width + PADDING
        grid[:, top : top + image.shape[1], left : left + image.shape[2]] = image
    return grid
