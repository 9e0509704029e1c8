"""A synthetic training set: images, hard or soft labels, an optional learned learning rate, and its file format."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from raydistill.core.tiles import enlarge_tiles
from raydistill.data.preprocess import Preprocess, Standardise, Whiten
from raydistill.spaces.bounded import read_json
from raydistill.spaces.paths import is_writable, shown

FORMAT = "raydistill-set-1"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SyntheticSet:
    """IPC images per class, ordered by class: image j belongs to class j // ipc. K is the number of classes, f the factor."""

    images: Tensor
    """(K * IPC, C, H, W) float32, standardised or whitened, as they are stored."""
    labels: Tensor
    """(K * IPC,) int64 classes, or (K * IPC * f^2, K) float32 logits, one row for each image that a network is trained on."""
    ipc: int
    """Stored images per class."""
    learned_lr: float | None = None
    """Learning rate that was learned together with the images; with None the recipe's learning rate is used."""
    factor: int = 1
    """f; above 1 each stored image holds f x f smaller ones, and networks are trained on these, enlarged: see `decoded`."""

    @property
    def label_kind(self) -> Literal["hard", "soft"]:
        """Whether labels are classes or logits."""
        return "hard" if self.labels.ndim == 1 else "soft"

    @property
    def size_bytes(self) -> int:
        """Bytes of float32 images, of labels (hard: one byte, two above 256 classes; soft: float32) and of the learning rate."""
        classes = len(self.images) // self.ipc
        label_bytes = self.labels.numel() * 4 if self.label_kind == "soft" else self.labels.numel() * (1 if classes <= 256 else 2)
        return self.images.numel() * 4 + label_bytes + (4 if self.learned_lr is not None else 0)

    def decoded(self) -> SyntheticSet:
        """The set as networks are trained on it, with factor 1: IPC * f^2 images per class; itself where its factor is 1."""
        if self.factor == 1:
            return self
        tiles = self.factor**2
        return SyntheticSet(
            images=enlarge_tiles(self.images, self.factor),
            labels=self.labels.repeat_interleave(tiles) if self.label_kind == "hard" else self.labels,
            ipc=self.ipc * tiles,
            learned_lr=self.learned_lr,
        )

    def __repr__(self) -> str:
        """The set in a line, without its tensors."""
        rate = "" if self.learned_lr is None else f", learned lr {self.learned_lr:g}"
        shape, device = tuple(self.images.shape), self.images.device
        tiles = "" if self.factor == 1 else f" of {self.factor} x {self.factor} smaller ones"
        about = f"images {shape}{tiles}, {self.label_kind} labels{rate}, {self.size_bytes} bytes, {device}"
        return f"SyntheticSet(IPC {self.ipc}: {about})"

    def to(self, device: torch.device) -> SyntheticSet:
        """The same set on a device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The origin of a set and the preprocessing of its images."""

    preprocess: Preprocess
    class_names: tuple[str, ...]
    config: dict[str, Any]
    """The trial's config as JSON: data set, network, method, seed."""
    code_sha256: str


def hard_labels(classes: int, ipc: int) -> Tensor:
    """(classes * ipc,) int64, ordered by class."""
    return torch.arange(classes).repeat_interleave(ipc)


def tiles_in_words(synthetic: SyntheticSet) -> str:
    """What a set with a factor above 1 holds, for people."""
    seen, tiles = synthetic.decoded(), f"{synthetic.factor} x {synthetic.factor} smaller ones"
    return (
        f"the set stores {len(synthetic.images)} images ({synthetic.ipc} per class), each with {tiles}, which are enlarged: "
        f"{len(seen.images)} images to train on ({seen.ipc} per class)"
    )


def hard_set(images: Tensor, classes: int, ipc: int, factor: int) -> SyntheticSet:
    """A set with hard labels of (classes * ipc, C, H, W) stored images, on their device."""
    return SyntheticSet(images=images, labels=hard_labels(classes, ipc).to(images.device), ipc=ipc, factor=factor)


def encode(synthetic: SyntheticSet, manifest: Manifest) -> bytes:
    """The set and its manifest as one safetensors file."""
    tensors = {
        "images": synthetic.images.detach().cpu().contiguous(),
        "labels": synthetic.labels.detach().cpu().contiguous(),
    }
    if synthetic.learned_lr is not None:
        tensors["learned_lr"] = torch.tensor(synthetic.learned_lr, dtype=torch.float32)
    text = {
        "format": FORMAT,
        "ipc": str(synthetic.ipc),
        **_space_text(manifest.preprocess),
        "class_names": json.dumps(manifest.class_names),
        "config": json.dumps(manifest.config, sort_keys=True),
        "code_sha256": manifest.code_sha256,
    }
    if synthetic.factor != 1:
        text["factor"] = str(synthetic.factor)
    return _in_fixed_order(save(tensors), text)


def decode(data: bytes) -> tuple[SyntheticSet, Manifest]:
    """The set and manifest in a file written by `encode`.

    Raises:
        ValueError: the file is not in this format, or its shapes do not fit together.
    """
    try:
        tensors = load(data)
        text = read_json(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        images, labels, lr = tensors["images"], tensors["labels"], tensors.get("learned_lr")
        form, ipc, factor = text["format"], int(text["ipc"]), int(text.get("factor", "1"))
        manifest = Manifest(
            preprocess=_space_of(text),
            class_names=tuple(read_json(text["class_names"])),
            config=read_json(text["config"]),
            code_sha256=text["code_sha256"],
        )
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"not a synthetic set ({type(error).__name__}: {error}); give an images.safetensors that raydistill wrote"
        ) from error
    if form != FORMAT or (lr is not None and lr.numel() != 1):
        raise ValueError(f"format {form!r}, expected {FORMAT!r} with one learned learning rate or none: make the file again")
    synthetic = SyntheticSet(images=images, labels=labels, ipc=ipc, learned_lr=None if lr is None else float(lr), factor=factor)
    check_fits(synthetic, manifest)
    return synthetic, manifest


def check_fits(synthetic: SyntheticSet, manifest: Manifest) -> None:
    """Refuse a set that a network cannot be trained on as its manifest says.

    Raises:
        ValueError: shapes, types, classes, factor or config do not fit together, or a value is not finite.
    """
    classes, ipc = len(manifest.class_names), synthetic.ipc
    images, labels = synthetic.images, synthetic.labels
    check_factor(synthetic.factor, manifest)
    _check_names(manifest.class_names)
    label_shapes = ((len(images),), (len(images) * synthetic.factor**2, classes)) if images.ndim else ()
    if images.ndim != 4 or ipc < 1 or len(images) != classes * ipc or tuple(labels.shape) not in label_shapes:
        many = f" ({synthetic.factor**2} soft labels for each image, by factor {synthetic.factor})"
        raise ValueError(
            f"images {tuple(images.shape)} and labels {tuple(labels.shape)} for {classes} classes, IPC {ipc}; expected "
            f"{classes * ipc} images and labels{'' if synthetic.factor == 1 else many}: make the file again"
        )
    if images.dtype != torch.float32 or labels.dtype != (torch.int64 if labels.ndim == 1 else torch.float32):
        raise ValueError(
            f"images of {images.dtype} and labels of {labels.dtype}; expected float32, and int64 for classes or float32 for "
            "logits: make the file again"
        )
    if labels.ndim == 1 and not torch.equal(labels, hard_labels(classes, ipc)):
        raise ValueError(f"its labels are not {ipc} of each class in the order of the classes: make the file again")
    if isinstance(preprocess := manifest.preprocess, Standardise):
        each: tuple[tuple[Any, ...], ...] = (preprocess.mean, preprocess.std)
        numbers = [value for values in each for value in values if isinstance(value, int | float) and math.isfinite(value)]
        if [len(values) for values in each] != 2 * [images.shape[1]] or len(numbers) != 2 * images.shape[1]:
            raise ValueError(
                f"mean {preprocess.mean} and std {preprocess.std} for {images.shape[1]} channels; expected a finite number for "
                "each: make the file again"
            )
    rate = synthetic.learned_lr
    if not images.isfinite().all() or not labels.isfinite().all() or (rate is not None and not 0 < rate < float("inf")):
        raise ValueError("an image, a label or the learned learning rate is not a finite number: make the file again")


def _check_names(names: tuple[Any, ...]) -> None:
    """Refuse names of classes that no data set has: what is no text, or text that no file can hold."""
    for name in names:
        if not isinstance(name, str) or not is_writable(name):
            raise ValueError(f"a class is named {shown(name)}; expected text without NUL: make the file again")


def check_factor(factor: int, manifest: Manifest) -> None:
    """Refuse a set whose factor is not that of the config that it was made by.

    Raises:
        ValueError: they differ, or the factor is below 1.
    """
    config: Any = manifest.config  # of a file, so it may be anything
    method = config.get("method", {}) if isinstance(config, dict) else None
    if not isinstance(method, dict):
        raise ValueError("the set does not say by which method it was made: make the file again")
    configured = method.get("factor", 1) if method.get("name") != "imported" else factor
    if factor < 1 or factor != configured:
        raise ValueError(
            f"the set has factor {factor}, but its config has factor {configured}; they must be the same whole number of at "
            "least 1: make the file again"
        )


def sha256(data: bytes) -> str:
    """Hash of a file's bytes, as hex."""
    return hashlib.sha256(data).hexdigest()


def _space_text(preprocess: Preprocess) -> dict[str, str]:
    """The preprocessing as metadata; for ZCA only the key of its matrices."""
    if isinstance(preprocess, Whiten):
        return {"zca": preprocess.key}
    return {"mean": json.dumps(preprocess.mean), "std": json.dumps(preprocess.std)}


def _space_of(text: dict[str, str]) -> Preprocess:
    if "zca" in text:
        return Whiten(key=text["zca"])
    return Standardise(mean=tuple(read_json(text["mean"])), std=tuple(read_json(text["std"])))


def _in_fixed_order(data: bytes, metadata: dict[str, str]) -> bytes:
    """A safetensors file with sorted metadata keys: the library's own order differs between processes."""
    size = int.from_bytes(data[:8], "little")
    header = read_json(data[8 : 8 + size])
    text = json.dumps({"__metadata__": dict(sorted(metadata.items())), **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]
