"""Exports a set for other programs: as PNG files in class folders (torchvision's ImageFolder), or as an npz file."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from raydistill.core.synthetic import Manifest, SyntheticSet
from raydistill.data.preprocess import Preprocess, Standardise, Whiten
from raydistill.data.splits import splits_of
from raydistill.errors import DataError, InputError
from raydistill.sets.one import read_whole_set_file
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot

FORMATS = ("png", "npz")


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """The path of an export, and a note about its content."""

    path: str
    note: str


def export_set(set_file: str, out: str | Path, form: str, *, data_root: DataRoot = None) -> Exported:
    """Write a set as PNG files or as an npz file.

    Args:
        set_file: an `images.safetensors`, or the folder that contains it.
        out: a new or empty folder for png, a new file with the suffix .npz for npz.
        form: png (pixels with 8 bits, clipped) or npz (everything, bit for bit).
        data_root: folder or URI of the data files; needed to convert a whitened set to pixels.

    Raises:
        InputError: there is no such set or format, or `out` exists or cannot be written.
        DataError: the set is whitened, and its data is missing.
    """
    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}; allowed: {', '.join(FORMATS)}: give one of these")
    if "://" in str(out):
        raise InputError(f"--out {out} is a URI, but an export is written to a local path: give a path, and copy it from there")
    place = Path(out).expanduser()
    if form == "npz" and place.suffix != ".npz":
        raise InputError(f"--out {out} does not end in .npz, which raydistill import expects: give a path that ends in .npz")
    synthetic, manifest, config = read_whole_set_file(set_file)
    try:
        if place.exists() if form == "npz" else place.is_file() or (place.is_dir() and any(place.iterdir())):
            expected = "the path of a new file" if form == "npz" else "a new or an empty folder"
            raise InputError(f"--out {out} exists; expected {expected}, so that no file is overwritten: give another --out")
        if form == "npz":
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(to_npz(synthetic, manifest))
            return Exported(
                path=str(out), note="images and labels are bit for bit those of the set; raydistill import reads the file back"
            )
        return _write_pngs(synthetic, manifest, _preprocess(manifest, config, data_root), place)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error}; give another --out") from error


def _preprocess(manifest: Manifest, config: TrialConfig[Any], data_root: DataRoot) -> Preprocess:
    """The preprocessing whose inverse gives the set's pixels; for a whitened set it is computed from the data."""
    if isinstance(manifest.preprocess, Standardise):
        return manifest.preprocess
    found = splits_of(config, data_root).preprocess
    if found != manifest.preprocess:
        raise DataError(
            f"the set was whitened with the ZCA matrices {manifest.preprocess.key[:12]}, but its data now gives others; import "
            "the set again"
        )
    return found


def _write_pngs(synthetic: SyntheticSet, manifest: Manifest, preprocess: Preprocess, out: Path) -> Exported:
    pixels = preprocess.invert(synthetic.images)
    half_step = 0.5 / 255  # values within the rounding error of 8 bits do not count as clipped
    clipped = float(((pixels < -half_step) | (pixels > 1 + half_step)).float().mean())
    images = (pixels.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    for place, image in enumerate(images):
        index, number = divmod(place, synthetic.ipc)
        folder = out / class_folder(index, manifest.class_names[index])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0]).save(folder / f"{number:05d}.png")
    about = {
        "class_names": manifest.class_names,
        "ipc": synthetic.ipc,
        "label_kind": synthetic.label_kind,
        "learned_lr": synthetic.learned_lr,
        "clipped_fraction": clipped,
        "config": manifest.config,
    }
    (out / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    note = f"8-bit pixels; {100 * clipped:.1f} % of the values were below black or above white and are clipped"
    if synthetic.label_kind == "soft":
        np.save(out / "labels.npy", synthetic.labels.numpy(), allow_pickle=False)
        note += "; the soft labels (logits, in the order of the files' paths) are in labels.npy"
    return Exported(path=str(out), note=note)


def class_folder(index: int, name: str) -> str:
    """A folder name that sorts in the order of the classes, because ImageFolder numbers classes by name."""
    return f"{index:03d}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}"


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
            arrays = {name: read[name] for name in read.files}
        preprocess: Preprocess
        if "zca" in arrays:
            preprocess = Whiten(key=str(arrays["zca"]))
        else:
            preprocess = Standardise(mean=tuple(arrays["mean"].tolist()), std=tuple(arrays["std"].tolist()))
        manifest = Manifest(
            preprocess=preprocess,
            class_names=tuple(arrays["class_names"].tolist()),
            config=json.loads(str(arrays["config"])),
            code_sha256=str(arrays["code_sha256"]),
        )
        synthetic = SyntheticSet(
            images=torch.from_numpy(arrays["images"]),
            labels=torch.from_numpy(arrays["labels"]),
            ipc=int(arrays["ipc"]),
            learned_lr=float(arrays["learned_lr"]) if "learned_lr" in arrays else None,
        )
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, TypeError) as error:
        raise InputError(
            f"not a set in npz format ({type(error).__name__}: {error}); give a file written by raydistill export"
        ) from error
    return synthetic, manifest
