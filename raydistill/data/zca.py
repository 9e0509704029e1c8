"""The matrices of ZCA whitening: fitted on bytes, kept in the cache folder in a file named by the hash of images and settings.

The file also carries a hash of the matrices themselves, because one that a disk has changed would whiten in silence. Files of
older versions have none and are read as they are.

Symbols: N images, D = C x H x W pixels, S covariance of pixels in 0 to 1, e = EPS. Whitening is (x - mean) V (L + e)^-1/2 V', its
inverse V (L + e)^1/2 V', where S = V L V'.

Source: Krizhevsky 2009, appendix; e = 0.1 on pixels in 0 to 1, as in DataDAM, MTT, DATM and PAD. They fit on all published
train images; here only the train split is used, so that select and confirm images have no influence.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raydistill.data.sealed_tensors import seal_tensors, unseal_tensors
from raydistill.errors import DataError
from raydistill.storage.node_cache import cache_folder
from raydistill.storage.store import Store

EPS = 0.1
LARGEST_SIDE = 64
"""Pixels: at 3 x 64 x 64 a matrix takes 0.6 GB, and a fit 64 times the work of 3 x 32 x 32; at 224 x 224, 91 GB."""
FOLDER = "zca"
"""In the cache folder (`cache_folder`)."""
EARLIER_FOLDER = "~/.cache/raydistill/zca"
"""Where older versions kept the matrices, whatever the cache folder was; they are still read there."""
CHUNK = 1000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Matrices:
    """The matrices of one whitening and its inverse."""

    mean: Tensor
    """(C, H, W) of pixels in 0 to 1."""
    whiten: Tensor
    """(D, D) float32, symmetric."""
    colour: Tensor
    """(D, D), the inverse of `whiten`."""


def fit(images: NDArray[np.uint8], white: int) -> str:
    """The key of the whitening of (N, C, H, W) bytes; its matrices are computed if they are not on this machine, or damaged.

    Raises:
        DataError: the images are too large.
        StoreError: the cache folder cannot be read or written.
    """
    height, width = images.shape[2:]
    if max(height, width) > LARGEST_SIDE:
        values = images[0].size
        raise DataError(
            f"whitening images of {height} x {width} pixels needs a matrix of {values} x {values} values "
            f"({4 * values**2 / 1e9:.0f} GB); at most {LARGEST_SIDE} x {LARGEST_SIDE} pixels are allowed: write preprocess: "
            "standardise"
        )
    digest = hashlib.sha256(f"zca eps {EPS} white {white} shape {images.shape}".encode())
    digest.update(np.ascontiguousarray(images).data)
    key = digest.hexdigest()
    if not _are_whole(key):
        _folders()[0].write(_file(key), seal_tensors(_decompose(images, white)))
    return key


@functools.lru_cache(maxsize=1)
def matrices(key: str) -> Matrices:
    """The matrices of a key.

    Raises:
        DataError: they are not on this machine, or damaged.
        StoreError: the cache folder cannot be read.
    """
    for folder in _folders():
        data = folder.read_or_none(_file(key))
        if data is not None:
            return _decoded(data, folder.path(_file(key)))
    raise DataError(
        f"the ZCA matrices {key[:12]} are not in {_folders()[0].root}; load the data set of this synthetic set, for example with "
        "raydistill evaluate, which computes them again"
    )


def _are_whole(key: str) -> bool:
    """Whether the matrices of a key are on this machine and not damaged."""
    try:
        matrices(key)
    except DataError:
        return False
    return any(folder.exists(_file(key)) for folder in _folders())  # memory may have what the disk has lost


def _folders() -> tuple[Store, Store]:
    """Where matrices are written and read, and where they are read only."""
    return Store(str(cache_folder() / FOLDER)), Store(EARLIER_FOLDER)


def _file(key: str) -> str:
    return f"{key}.safetensors"


def _decoded(data: bytes, path: str) -> Matrices:
    """The matrices in a file, whose path is for messages."""
    try:
        return Matrices(**unseal_tensors(data))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it, and it is computed again") from error


def times(images: Tensor, matrix: Tensor) -> Tensor:
    """(N, C, H, W) images, each multiplied as one row of D values by a (D, D) matrix."""
    on_device = matrix.to(device=images.device, dtype=images.dtype)
    result = torch.empty_like(images, memory_format=torch.contiguous_format)
    with _one_thread():
        for target, chunk in zip(result.split(CHUNK), images.split(CHUNK), strict=True):
            target.copy_((chunk.flatten(1) @ on_device).view_as(chunk))
    return result


def _decompose(images: NDArray[np.uint8], white: int) -> dict[str, Tensor]:
    count, shape = len(images), images.shape[1:]
    total = np.zeros(images[0].size)
    products = np.zeros((images[0].size, images[0].size))
    for start in range(0, count, CHUNK):
        rows = images[start : start + CHUNK].reshape(-1, images[0].size).astype(np.float64)
        # Sums of products of bytes are whole numbers below 2^53, so the order of summation does not change them.
        total += rows.sum(axis=0)
        products += rows.T @ rows
    covariance = (products - np.outer(total, total) / count) / ((count - 1) * float(white) ** 2)
    with _one_thread():
        values, vectors = torch.linalg.eigh(torch.from_numpy(covariance))
        scale = (values.clamp(min=0) + EPS).sqrt()
        whiten, colour = ((vectors * factor) @ vectors.T for factor in (1 / scale, scale))
    mean = torch.from_numpy(total / count / white).view(shape)
    return {"mean": mean.float(), "whiten": whiten.float().contiguous(), "colour": colour.float().contiguous()}


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: its products and eigenvectors change in their last digits with the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
