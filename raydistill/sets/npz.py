"""A set as an npz file, bit for bit, and back."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raydistill.core.synthetic import Manifest, SyntheticSet, check_fits
from raydistill.data.preprocess import Preprocess, Standardise, Whiten
from raydistill.errors import InputError
from raydistill.spaces.bounded import read_json

DAMAGED = (zlib.error, struct.error, NotImplementedError, RuntimeError, SyntaxError, IndexError, AttributeError, OverflowError)
"""What Python's zip files and numpy's headers raise besides, where a file is damaged or made to harm."""
MOST_UNPACKED = 2**30


def to_npz(synthetic: SyntheticSet, manifest: Manifest) -> bytes:
    """The set and its manifest as an npz file."""
    arrays: dict[str, NDArray[Any]] = {
        "images": synthetic.images.numpy(),
        "labels": synthetic.labels.numpy(),
        "ipc": np.array(synthetic.ipc),
        "class_names": np.array(manifest.class_names),
        "config": np.array(json.dumps(manifest.config)),
        "code_sha256": np.array(manifest.code_sha256),
    }
    if synthetic.factor != 1:
        arrays["factor"] = np.array(synthetic.factor)
    if synthetic.learned_lr is not None:
        arrays["learned_lr"] = np.array(synthetic.learned_lr)
    if isinstance(manifest.preprocess, Whiten):
        arrays["zca"] = np.array(manifest.preprocess.key)
    else:
        arrays |= {"mean": np.array(manifest.preprocess.mean), "std": np.array(manifest.preprocess.std)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def from_npz(data: bytes) -> tuple[SyntheticSet, Manifest]:
    """The set and manifest in a file written by `to_npz`.

    Raises:
        InputError: the file is not in this format.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as read:
            assert read.zip is not None
            _check_size(read.zip.infolist(), len(data))
            arrays = {name: read[name] for name in read.files}
        preprocess: Preprocess
        if "zca" in arrays:
            preprocess = Whiten(key=str(arrays["zca"]))
        else:
            preprocess = Standardise(mean=tuple(arrays["mean"].tolist()), std=tuple(arrays["std"].tolist()))
        manifest = Manifest(
            preprocess=preprocess,
            class_names=tuple(arrays["class_names"].tolist()),
            config=read_json(str(arrays["config"])),
            code_sha256=str(arrays["code_sha256"]),
        )
        synthetic = SyntheticSet(
            images=torch.from_numpy(arrays["images"]),
            labels=torch.from_numpy(arrays["labels"]),
            ipc=int(arrays["ipc"]),
            learned_lr=float(arrays["learned_lr"]) if "learned_lr" in arrays else None,
            factor=int(arrays.get("factor", 1)),
        )
        check_fits(synthetic, manifest)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, TypeError, MemoryError, *DAMAGED) as error:
        raise InputError(
            f"not a set in npz format ({type(error).__name__}: {error}); give a file written by raydistill export"
        ) from error
    return synthetic, manifest


def _check_size(members: Sequence[zipfile.ZipInfo], packed: int) -> None:
    """Refuse a file that would fill the memory: `raydistill export` does not compress, so its arrays are as large as the file.

    Raises:
        ValueError: the arrays are said to be far larger.
    """
    unpacked = sum(member.file_size for member in members)
    if unpacked > 4 * packed + MOST_UNPACKED:
        raise ValueError(f"its arrays would take {unpacked} bytes, and the file has {packed}")
