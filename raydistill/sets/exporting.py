"""Exports a set for other programs: a Hugging Face data set, PNG files in class folders, or an npz file.

Nothing is half written: an export is made beside its place, in a folder whose name begins with a dot, and moved when it is whole.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from raydistill.core.synthetic import Manifest, SyntheticSet, tiles_in_words
from raydistill.data.preprocess import Standardise
from raydistill.errors import InputError
from raydistill.sets.card import without_path, write_card
from raydistill.sets.eight_bit import EightBit, Loss, measure_loss, preprocess_of, to_eight_bit
from raydistill.sets.hugging_face import parquet_writer
from raydistill.sets.npz import to_npz
from raydistill.sets.set_file import read_whole_set_file
from raydistill.spaces.paths import given_path
from raydistill.storage.data_root import DataRoot

FORMATS = ("hf", "folder", "npz")
OLDER_NAMES = {"png": "folder"}
"""What a format was called before."""
ABOUT_FILE = "about.json"
MOST_NAME = 200
"""Characters of a class in the name of its folder, which may have 255."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """The path of an export, and a note about its content."""

    path: str
    note: str


def export_set(set_file: str, out: str | Path, form: str, *, accuracy: bool = True, data_root: DataRoot = None) -> Exported:
    """Write a set for other programs.

    Args:
        set_file: an `images.safetensors`, or the folder that contains it.
        out: a new or empty folder for hf and folder, a new file with the suffix .npz for npz.
        form: hf (a Hugging Face data set), folder (PNG files in class folders), both of 8-bit pixels; or npz (bit for bit).
        accuracy: for 8-bit pixels, train the set's networks before and after rounding and clipping, and write what it costs.
        data_root: folder or URI of the data files; needed for the accuracy, and to convert a whitened set to pixels.

    Raises:
        InputError: there is no such set or format, `out` exists or cannot be written, or pyarrow is not installed.
        DataError: the data is missing.
    """
    form = OLDER_NAMES.get(form, form)
    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}; allowed: {', '.join(FORMATS)}: give one of these")
    if "://" in str(out):
        raise InputError(f"--out {out} is a URI, but an export is written to a local path: give a path, and copy it from there")
    place = given_path(out)
    if form == "npz" and place.suffix != ".npz":
        raise InputError(f"--out {out} does not end in .npz, which raydistill import expects: give a path that ends in .npz")
    synthetic, manifest, config = read_whole_set_file(set_file)
    write_parquet = parquet_writer() if form == "hf" else None
    try:
        _refuse_taken(place, out, is_file=form == "npz")
        with _whole_or_nothing(place) as made:
            if form == "npz":
                made.write_bytes(to_npz(synthetic, manifest))
                packed = "" if synthetic.factor == 1 else f"; its images are the stored ones: {tiles_in_words(synthetic)}"
                note = f"images and labels are bit for bit those of the set; raydistill import reads the file back{packed}"
                return Exported(path=str(out), note=note)
            made.mkdir()
            eight_bit = to_eight_bit(synthetic, preprocess_of(manifest, config, data_root))
            loss = measure_loss(synthetic, eight_bit, config, data_root) if accuracy else None
            about = _about(synthetic, manifest, eight_bit, loss)
            (made / ABOUT_FILE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
            note = _note(synthetic, eight_bit, loss)
            if write_parquet is None:
                note += _write_pngs(synthetic, manifest, eight_bit, made)
            else:
                names = class_folders(manifest.class_names)
                write_parquet(synthetic, manifest, eight_bit, names, made)
                write_card(made, set_file, synthetic, manifest, config, note, loss)
            return Exported(path=str(out), note=note)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error}; give another --out") from error


def _refuse_taken(place: Path, out: str | Path, *, is_file: bool) -> None:
    if place.exists() if is_file else place.is_file() or (place.is_dir() and any(place.iterdir())):
        expected = "the path of a new file" if is_file else "a new or an empty folder"
        raise InputError(f"--out {out} exists; expected {expected}, so that no file is overwritten: give another --out")


@contextmanager
def _whole_or_nothing(place: Path) -> Iterator[Path]:
    """A path beside `place` to write to, which is moved there at the end; after an error nothing is left of it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        yield beside / place.name
        (beside / place.name).replace(place)
    finally:
        shutil.rmtree(beside)


def _about(synthetic: SyntheticSet, manifest: Manifest, eight_bit: EightBit, loss: Loss | None) -> dict[str, Any]:
    """What a program wants to know beside images and labels."""
    preprocess = manifest.preprocess
    packed = {} if synthetic.factor == 1 else {"factor": synthetic.factor, "images_per_class": synthetic.decoded().ipc}
    constants = {"mean": preprocess.mean, "std": preprocess.std} if isinstance(preprocess, Standardise) else {}
    return {
        "class_names": manifest.class_names,
        "ipc": synthetic.ipc,
        **packed,
        "label_kind": synthetic.label_kind,
        "learned_lr": synthetic.learned_lr,
        **constants,
        "clipped_fraction": eight_bit.clipped_fraction,
        "accuracy_fractions": None if loss is None else loss.as_json(),
        "config": without_path(manifest.config),
    }


def _note(synthetic: SyntheticSet, eight_bit: EightBit, loss: Loss | None) -> str:
    packed = "" if synthetic.factor == 1 else f"; {tiles_in_words(synthetic)}"
    clipped = f"{100 * eight_bit.clipped_fraction:.1f} % of the values were below black or above white and are clipped"
    return f"8-bit pixels{packed}; {clipped}; {'what that does to accuracy was not measured' if loss is None else loss}"


def _write_pngs(synthetic: SyntheticSet, manifest: Manifest, eight_bit: EightBit, out: Path) -> str:
    """Write the images, and soft labels beside them; returns what is to be added to the note."""
    folders = class_folders(manifest.class_names)
    digits = max(5, len(str(eight_bit.synthetic.ipc - 1)))
    for place, image in enumerate(eight_bit.pixels):
        index, number = divmod(place, eight_bit.synthetic.ipc)
        folder = out / folders[index]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0]).save(folder / f"{number:0{digits}d}.png")
    if synthetic.label_kind == "hard":
        return ""
    np.save(out / "labels.npy", synthetic.labels.numpy(), allow_pickle=False)
    return "; the soft labels (logits, in the order of the files' paths) are in labels.npy"


def class_folders(names: Sequence[str]) -> list[str]:
    """A folder name for each class, which sort in the order of the classes, because ImageFolder numbers classes by name."""
    digits = max(3, len(str(len(names) - 1)))
    return [f"{index:0{digits}d}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)[:MOST_NAME]}" for index, name in enumerate(names)]
