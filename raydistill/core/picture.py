"""A set of images as one PNG file that a person can look at."""

from __future__ import annotations

import io

from torch import Tensor
from torchvision.utils import save_image

SMALLEST_SIDE = 32
"""Pixels; images narrower than this are enlarged."""
LARGEST_WIDTH = 4096
"""Pixels; enlarging stops where the whole picture would be wider."""


def grid_png(images: Tensor, columns: int) -> bytes:
    """The images as a grid, left to right and top to bottom, in PNG.

    Small images are enlarged by a whole factor, each pixel becoming a square. Classes in rows come from a set that is
    ordered by class and a `columns` of its IPC.

    Args:
        images: (N, C, H, W) pixel values on any device, standardisation undone; 0 is black, 1 is white (or full
            colour), values outside are clipped. C is 1 or 3.
        columns: images in a row.

    Raises:
        ValueError: the images are not (N, 1 or 3, H, W) with N at least 1, or `columns` is below 1.
    """
    if images.ndim != 4 or len(images) == 0 or images.shape[1] not in (1, 3) or columns < 1:
        raise ValueError(f"images {tuple(images.shape)} in {columns} columns; give (N, 1 or 3, H, W) with N and columns from 1")
    width = images.shape[-1]
    factor = max(1, min(-(-SMALLEST_SIDE // width), LARGEST_WIDTH // (columns * width)))
    pixels = images.detach().cpu().float().clamp(0, 1).nan_to_num()
    enlarged = pixels.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    buffer = io.BytesIO()
    save_image(enlarged, buffer, format="png", nrow=columns, padding=2, pad_value=0.5)
    return buffer.getvalue()
