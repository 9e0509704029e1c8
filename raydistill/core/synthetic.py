"""A synthetic training set: images, hard or soft labels, an optional learned learning rate, and its file format."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from raydistill.data.preprocess import Preprocess, Standardise, Whiten

FORMAT = "raydistill-set-1"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SyntheticSet:
    """IPC images per class, ordered by class: image j belongs to class j // ipc. K is the number of classes."""

    images: Tensor
    """(K * IPC, C, H, W) float32, standardised or whitened."""
    labels: Tensor
    """(K * IPC,) int64 classes, or (K * IPC, K) float32 logits."""
    ipc: int
    learned_lr: float | None = None
    """Learning rate that was learned together with the images; with None the recipe's learning rate is used."""

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

    def __repr__(self) -> str:
        """The set in a line, without its tensors."""
        rate = "" if self.learned_lr is None else f", learned lr {self.learned_lr:g}"
        shape, device = tuple(self.images.shape), self.images.device
        return f"SyntheticSet(IPC {self.ipc}: images {shape}, {self.label_kind} labels{rate}, {self.size_bytes} bytes, {device})"

    def to(self, device: torch.device) -> SyntheticSet:
        """The same set on a device."""
        return SyntheticSet(
            images=self.images.to(device), labels=self.labels.to(device), ipc=self.ipc, learned_lr=self.learned_lr
        )


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
    return _in_fixed_order(save(tensors), text)


def decode(data: bytes) -> tuple[SyntheticSet, Manifest]:
    """The set and manifest in a file written by `encode`.

    Raises:
        ValueError: the file is not in this format, or its shapes do not fit together.
    """
    try:
        tensors = load(data)
        text = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        images, labels, lr = tensors["images"], tensors["labels"], tensors.get("learned_lr")
        form, ipc = text["format"], int(text["ipc"])
        manifest = Manifest(
            preprocess=_space_of(text),
            class_names=tuple(json.loads(text["class_names"])),
            config=json.loads(text["config"]),
            code_sha256=text["code_sha256"],
        )
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(
            f"not a synthetic set ({type(error).__name__}: {error}); give an images.safetensors that raydistill wrote"
        ) from error
    classes = len(manifest.class_names)
    label_shapes = ((len(images),), (len(images), classes))
    if form != FORMAT or images.ndim != 4 or len(images) != classes * ipc or tuple(labels.shape) not in label_shapes:
        raise ValueError(
            f"format {form!r}, images {tuple(images.shape)} and labels {tuple(labels.shape)} for {classes} classes, IPC {ipc}; "
            f"expected format {FORMAT!r} with {classes * ipc} images and labels: make the file again"
        )
    return SyntheticSet(images=images, labels=labels, ipc=ipc, learned_lr=None if lr is None else float(lr)), manifest


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
    return Standardise(mean=tuple(json.loads(text["mean"])), std=tuple(json.loads(text["std"])))


def _in_fixed_order(data: bytes, metadata: dict[str, str]) -> bytes:
    """A safetensors file with sorted metadata keys: the library's own order differs between processes."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    text = json.dumps({"__metadata__": dict(sorted(metadata.items())), **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]
