"""Several small images in one stored image: packing them, and enlarging them again, through which gradients flow.

With the factor f a stored image holds f x f tiles, each an image of 1/f the height and width. What trains a network are the
tiles, each enlarged to the size of a whole image; so IPC n acts as n f^2 images in the bytes of n. The tiles of an image stay
together: tile t of stored image j is image j f^2 + t, tiles counted along the rows. A set that is ordered by class stays so.

Where f does not divide the size, tiles differ by a pixel: rows from floor(i H / f) to floor((i + 1) H / f). IDC instead pads such
an image at its right and lower end; here every stored pixel belongs to a tile. Enlarging is bilinear with `align_corners=False`,
as in IDC; packing takes the mean of the pixels that each small one covers ("area").

Symbols: f the factor; N stored images (C, H, W).

Source: Kim et al., "Dataset Condensation via Efficient Synthetic-Data Parameterization" (IDC), ICML 2022, multi-formation.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional


def enlarge_tiles(images: Tensor, factor: int) -> Tensor:
    """(N f^2, C, H, W) what (N, C, H, W) stored images hold, each tile enlarged; with factor 1 the images themselves."""
    if factor == 1:
        return images
    height, width = images.shape[-2:]
    tiles = [
        functional.interpolate(images[..., rows, columns], (height, width), mode="bilinear", align_corners=False)
        for rows, columns in _places(height, width, factor)
    ]
    return torch.stack(tiles, dim=1).flatten(0, 1)


def pack_tiles(images: Tensor, factor: int) -> Tensor:
    """(N, C, H, W) stored images that hold (N f^2, C, H, W) images, each made small; with factor 1 the images themselves."""
    if factor == 1:
        return images
    height, width = images.shape[-2:]
    own = images.unflatten(0, (-1, factor**2))
    stored = images.new_empty(own.shape[0], *own.shape[2:])
    for tile, (rows, columns) in enumerate(_places(height, width, factor)):
        size = (rows.stop - rows.start, columns.stop - columns.start)
        stored[..., rows, columns] = functional.interpolate(own[:, tile], size, mode="area")
    return stored


def _places(height: int, width: int, factor: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each tile, along the rows."""
    for rows in _parts(height, factor):
        for columns in _parts(width, factor):
            yield rows, columns


def _parts(side: int, factor: int) -> list[slice]:
    ends = [i * side // factor for i in range(factor + 1)]
    return [slice(start, end) for start, end in pairwise(ends)]
