"""Safetensors files that carry a hash of their tensors: without one, a bit that a disk has changed is read as another number."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from raydistill.spaces.bounded import read_json

SHA256 = "sha256"
"""Key in the file's metadata: hash of the same file without metadata."""


def seal_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """The file of tensors that lie on the CPU and are contiguous."""
    named = dict(tensors)
    return save(named, {SHA256: _hash_of(named)})


def unseal_tensors(data: bytes) -> dict[str, Tensor]:
    """The tensors in a file, as they were written; a file of an older version has no hash.

    Raises:
        ValueError: it is no whole file, or was changed.
    """
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    header = read_json(data[8 : 8 + int.from_bytes(data[:8], "little")])
    stored = header.get("__metadata__", {}).get(SHA256)
    if stored is not None and _hash_of(tensors) != stored:
        raise ValueError("its hash is not the one in it, so it was changed after it was written")
    return tensors


def _hash_of(tensors: dict[str, Tensor]) -> str:
    return hashlib.sha256(save(tensors)).hexdigest()
