"""Finds images that are there twice: the same pixels, or the same picture saved again in another format, quality or size.

Two images are twins if the root mean square of their difference is at most a tenth of the contrast (standard deviation) of the
flatter one. Pictures that only look alike, such as two handwritten ones, differ more. Cropped, mirrored and recoloured copies
differ more too, and are not found.

To compare few pairs, every image gets a signature of 64 bits. A bit says whether a fixed weighted sum over an 8 x 8 grid of the
image is above the median of this sum over all images, so that every bit halves the images, however simple they are; twins differ
in few bits. Images that agree in one of 8 bands of 8 bits are compared bit by bit, and what is left of them pixel by pixel.
Everything is computed in whole numbers, so that every machine finds the same twins.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raydistill.data.own.report import TwinCounts

GRID = 8
BITS = 64
BAND_BITS = 8
MOST_BITS_APART = BITS // BAND_BITS - 1
"""So few that one band at least agrees. Images of CIFAR-10, MNIST and digits differ from their copies as JPEG of quality 85 in
0 to 5 of the 64 bits."""
CONTRAST_SQUARED_PER_DIFFERENCE_SQUARED = 100
"""A tenth of the contrast, squared. JPEG of quality 85 stays below, even where the image has no more than 32 x 32 pixels (at
most 0.08 of the contrast for digits, 0.06 for MNIST, 0.1 for CIFAR-10). The nearest two of the 1,797 handwritten digits of 8 x 8
pixels are at 0.11; of 2,000 images of MNIST and CIFAR-10 and 60,000 others, the nearest two at 0.15 and 0.25."""
THUMBNAIL = 32
"""Images are compared at no more than this height and width; smaller ones pixel by pixel."""
FEW = 1024
"""So few images are compared each with each; among few, a median often lies between two twins and tells them apart."""
ROWS = 512
"""Rows of a block of pairs: bounds the memory."""
PAIRS = 8192


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Thumbnails:
    """What is kept of images to find twins."""

    pixels: NDArray[np.uint8]
    """(N, C, h, w), h and w at most `THUMBNAIL`."""
    digests: NDArray[np.uint64]
    """(N,) of the whole images, so that equal ones are known without comparing."""

    def at(self, chosen: NDArray[np.bool_]) -> Thumbnails:
        """Those of some of the images."""
        return Thumbnails(pixels=self.pixels[chosen], digests=self.digests[chosen])


def joined(parts: Sequence[Thumbnails]) -> Thumbnails:
    """The thumbnails of several parts, one after the other."""
    return Thumbnails(
        pixels=np.concatenate([part.pixels for part in parts]), digests=np.concatenate([part.digests for part in parts])
    )


def thumbnail(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """An image as `Thumbnails` hold it, with its digest.

    Args:
        pixels: (C, H, W).
    """
    data = np.ascontiguousarray(pixels)
    digest = int.from_bytes(hashlib.blake2b(data.data, digest_size=8).digest(), "little")
    return _block_means(pixels[None], min(THUMBNAIL, pixels.shape[1]), min(THUMBNAIL, pixels.shape[2]))[0].astype(
        np.uint8
    ), digest


def thumbnails(images: NDArray[np.uint8]) -> Thumbnails:
    """Thumbnails of images of one size.

    Args:
        images: (N, C, H, W); read one by one, so that a memory-mapped array stays on disk.
    """
    found = [thumbnail(image) for image in images]
    return Thumbnails(pixels=np.stack([pixels for pixels, _ in found]), digests=np.array([d for _, d in found], dtype=np.uint64))


def twins_by_part(seen: Thumbnails, parts: Sequence[str], part_of: NDArray[np.int64]) -> TwinsFound:
    """For every image, the parts in which a twin of it lies.

    Args:
        seen: all images of all parts.
        parts: names, in any order; at most 60.
        part_of: (N,) index into `parts`.
    """
    _, first, unique_of = np.unique(seen.digests, return_index=True, return_inverse=True)
    bits = np.left_shift(np.int64(1), part_of)
    lies_in = np.zeros(len(first), dtype=np.int64)
    np.bitwise_or.at(lies_in, unique_of, bits)
    near = np.zeros(len(first), dtype=np.int64)
    for left, right in near_pairs(seen.pixels[first]):
        np.bitwise_or.at(near, left, lies_in[right])
        np.bitwise_or.at(near, right, lies_in[left])
    counts = np.zeros((len(first), len(parts)), dtype=np.int64)
    np.add.at(counts, (unique_of, part_of), 1)
    exact = {name: (counts[unique_of, place] - (part_of == place)) > 0 for place, name in enumerate(parts)}
    return TwinsFound(
        exact=exact,
        any={name: found | ((near[unique_of] >> place) & 1).astype(bool) for place, (name, found) in enumerate(exact.items())},
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TwinsFound:
    """Where the twins of every image lie."""

    exact: Mapping[str, NDArray[np.bool_]]
    """By part: (N,) whether an image with the same pixels, other than itself, lies there."""
    any: Mapping[str, NDArray[np.bool_]]
    """The same for every twin, near or exact."""


def counted(found: TwinsFound, parts: Sequence[str], part_of: NDArray[np.int64], dropped: int = 0) -> TwinCounts:
    """How many images of each part have twins in each part.

    Args:
        found: for all images.
        parts: names of the parts.
        part_of: (N,) index into `parts`.
        dropped: train images that were left out before.
    """

    def table(of: Mapping[str, NDArray[np.bool_]]) -> dict[str, dict[str, int]]:
        rows = {p: {q: int(of[q][part_of == place].sum()) for q in parts} for place, p in enumerate(parts)}
        return {p: {q: count for q, count in row.items() if count} for p, row in rows.items() if any(row.values())}

    return TwinCounts(
        images={part: int((part_of == place).sum()) for place, part in enumerate(parts)},
        with_twin=table(found.any),
        exact=table(found.exact),
        dropped=dropped,
    )


def near_pairs(pixels: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield indices of pairs of twins, in blocks; every pair once or more often.

    Args:
        pixels: (N, C, h, w) of different images.
    """
    if len(pixels) < 2:
        return
    grid = _grids(pixels)
    looks = _Looks(pixels, grid)
    if len(pixels) <= FEW:
        yield from _pairs_in(np.arange(len(pixels)), np.zeros(len(pixels), dtype=np.uint64), looks)
        return
    signature = _signatures(grid)
    for band in range(BITS // BAND_BITS):
        value = (signature >> np.uint64(band * BAND_BITS)) & np.uint64(2**BAND_BITS - 1)
        order = np.argsort(value, kind="stable")
        edges = np.flatnonzero(np.diff(value[order])) + 1
        for bucket in np.split(order, edges):
            yield from _pairs_in(bucket, signature, looks)


def _pairs_in(
    bucket: NDArray[np.int64], signature: NDArray[np.uint64], looks: _Looks
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the pairs of twins among images of which so many bits of the signatures agree as twins' do."""
    for start in range(0, len(bucket), ROWS):
        rows, others = bucket[start : start + ROWS], bucket[start:]
        apart = np.bitwise_count(signature[rows][:, None] ^ signature[others][None])
        left, right = np.nonzero(apart <= MOST_BITS_APART)
        is_later = right > left
        left, right = rows[left[is_later]], others[right[is_later]]
        for at in range(0, len(left), PAIRS):
            one, other = looks.twins_of(left[at : at + PAIRS], right[at : at + PAIRS])
            if len(one):
                yield one, other


class _Looks:
    """Images by what they look like, to compare pairs of them."""

    def __init__(self, pixels: NDArray[np.uint8], grid: NDArray[np.int64]) -> None:
        self.flat = pixels.reshape(len(pixels), -1)
        self.grid = grid
        _, channels, height, width = pixels.shape
        self.block = channels * math.ceil(height / min(GRID, height)) * math.ceil(width / min(GRID, width))
        """Values in the largest block of the grid."""
        self.bound = _contrast(self.flat) // (CONTRAST_SQUARED_PER_DIFFERENCE_SQUARED * self.flat.shape[1])
        """(N,) largest sum of squared differences from a twin."""

    def twins_of(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Those of some pairs that are twins.

        Args:
            one: (P,) indices.
            other: (P,) indices.
        """
        bound = np.minimum(self.bound[one], self.bound[other])
        # The square of a sum of B values is at most B times the sum of their squares: whatever fails here fails below too.
        apart = ((self.grid[one] - self.grid[other]) ** 2).sum(axis=1)
        may_be = apart <= self.block * bound
        one, other, bound = one[may_be], other[may_be], bound[may_be]
        difference = self.flat[one].astype(np.int32) - self.flat[other]
        squares = np.einsum("nd,nd->n", difference, difference, dtype=np.int64)
        are = squares < bound  # so that two flat images, of contrast 0, are no twins
        return one[are], other[are]


def _contrast(flat: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(N,) variance of each image times the square of its number of values."""
    found = np.empty(len(flat), dtype=np.int64)
    for at in range(0, len(flat), PAIRS):
        values = flat[at : at + PAIRS].astype(np.int64)
        found[at : at + PAIRS] = values.shape[1] * (values**2).sum(axis=1) - values.sum(axis=1) ** 2
    return found


def _grids(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(N, G) sums over the blocks of a grid and over the channels."""
    rows, columns = min(GRID, pixels.shape[2]), min(GRID, pixels.shape[3])
    blocks = [_block_sums(pixels[at : at + PAIRS], rows, columns).sum(axis=1) for at in range(0, len(pixels), PAIRS)]
    return np.concatenate(blocks).reshape(len(pixels), -1)


def _signatures(values: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(N,) signatures of 64 bits, from grids."""
    # A fixed seed: the same images have the same signature everywhere. Weights of sum 0 ignore the brightness.
    weights = np.random.default_rng(0).permuted(np.tile(np.arange(values.shape[1]) % 2 * 2 - 1, (BITS, 1)), axis=1)
    signature = np.zeros(len(values), dtype=np.uint64)
    for bit, row in enumerate(weights):
        projected = values @ row
        signature |= (projected > np.sort(projected)[len(projected) // 2]).astype(np.uint64) << np.uint64(bit)
    return signature


def _block_sums(images: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.int64]:
    """(N, C, rows, columns) sums over blocks that cover each image once."""
    _, _, height, width = images.shape
    down = np.add.reduceat(images, np.arange(rows) * height // rows, axis=2, dtype=np.int64)
    sums: NDArray[np.int64] = np.add.reduceat(down, np.arange(columns) * width // columns, axis=3)
    return sums


def _block_means(images: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.int64]:
    """(N, C, rows, columns) means over blocks, rounded down."""
    _, _, height, width = images.shape
    if (rows, columns) == (height, width):
        return images.astype(np.int64)
    tall = np.diff(np.append(np.arange(rows) * height // rows, height))
    wide = np.diff(np.append(np.arange(columns) * width // columns, width))
    means: NDArray[np.int64] = _block_sums(images, rows, columns) // (tall[:, None] * wide)
    return means
