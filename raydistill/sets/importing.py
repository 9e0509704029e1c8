"""Imports published sets: reads them in a separate process, checks them, and converts them to this project's preprocessing.

Their authors standardise with constants of their own, or whiten with all published train images. This project fits its
preprocessing on the train split only. So a set is converted from its own value space to pixels, and from pixels to this project's
preprocessing, without clipping: an affine map without loss.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from raydistill.catalogue import load_space
from raydistill.core.synthetic import Manifest, SyntheticSet, hard_labels
from raydistill.data import zca
from raydistill.data.datasets import load_raw
from raydistill.data.preprocess import Preprocess, Standardise, Whiten
from raydistill.data.splits import Splits, load_splits
from raydistill.errors import InputError
from raydistill.sets.exporting import from_npz
from raydistill.sets.weights_only import REFUSED
from raydistill.spaces.sections import DatasetConfig, ImportedConfig, dataset_config
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.trial.distillation import manifest_of

CONSTANTS = {
    "mnist": Standardise(mean=(0.1307,), std=(0.3081,)),
    "fashion_mnist": Standardise(mean=(0.2861,), std=(0.3530,)),
    "cifar10": Standardise(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010)),
    "cifar100": Standardise(mean=(0.5071, 0.4866, 0.4409), std=(0.2673, 0.2564, 0.2762)),
    "imagenet": Standardise(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
}
"""Common constants for standardisation, as in the code of Dataset Condensation. DATM and PAD use CIFAR-10's for CIFAR-100 too."""
SPACES = "pixels, standardised, standardised:NAME or zca"
OVERRIDABLE = ("network", "evaluation", "dataset", "goal")
"""Sections with which an imported set is evaluated, and which `--set` may change."""
SECONDS = 120.0
"""Time limit for reading a file."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Imported:
    """A published set in this project's form."""

    synthetic: SyntheticSet
    manifest: Manifest
    notes: tuple[str, ...]
    """Sentences about what was found in the file and how it was converted."""


def import_file(
    file: Path,
    *,
    dataset: str | None = None,
    space: str | None = None,
    labels_file: Path | None = None,
    lr_file: Path | None = None,
    overrides: Sequence[str] = (),
    data_root: DataRoot = None,
) -> Imported:
    """Import a set: an .npz file written by `raydistill export`, or a published file; arguments as in `import_published`.

    Raises:
        InputError: arguments are missing, or not allowed for an .npz file; or see `import_published`.
    """
    if file.suffix == ".npz":
        if dataset or space or labels_file or lr_file or overrides:
            raise InputError(f"{file} already contains its settings; remove --dataset, --space, --labels, --lr and --set")
        try:
            synthetic, manifest = from_npz(_existing(file).read_bytes())
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
        return Imported(synthetic=synthetic, manifest=manifest, notes=(f"{file.name}: unchanged since its export",))
    if not dataset or not space:
        raise InputError(f"{file} does not contain the data set and the value space; give --dataset, and --space {SPACES}")
    return import_published(
        file,
        dataset=dataset,
        space=space,
        labels_file=labels_file,
        lr_file=lr_file,
        overrides=overrides,
        data_root=data_root,
    )


def import_published(
    file: Path,
    *,
    dataset: str,
    space: str,
    labels_file: Path | None = None,
    lr_file: Path | None = None,
    overrides: Sequence[str] = (),
    data_root: DataRoot = None,
) -> Imported:
    """Import a set that others published as a file of tensors.

    Args:
        file: images, or images and labels; `weights_only` lists the supported contents.
        dataset: data set from which it was distilled.
        space: value space of its images: `pixels` (0 to 1), `standardised` (with the constants of its data set),
            `standardised:NAME` (with those of another data set), or `zca` (fitted on all published train images).
        labels_file: classes or soft labels, if `file` contains only images, as in MTT and DATM.
        lr_file: the learned learning rate.
        overrides: `path.to.field=value` for the evaluation; by default a ConvNet-3 and the default recipe.
        data_root: folder or URI of the data files.

    Raises:
        InputError: a file is missing, refused, or does not fit the data set.
        SpaceError: data set or overrides have mistakes.
        DataError: the data is missing or damaged.
    """
    constants = _constants(space, dataset)
    tensors, notes = _read_all(file, labels_file, lr_file)
    config = _config_for(dataset, space, overrides, data_root)
    splits = load_splits(config["dataset"], data_root)
    images, labels, ipc, label_note = _check(tensors, splits, file)
    if constants is not None and len(constants.mean) != splits.shape[0]:
        raise InputError(
            f"--space {space} has constants for {len(constants.mean)} channels, but {dataset} has {splits.shape[0]}: give "
            "another --space"
        )
    pixels = images if space == "pixels" else (constants or _published_zca(config["dataset"], data_root)).invert(images)
    learned_lr = _learned_lr(tensors.get("lr"), lr_file or file)
    described = ImportedConfig(
        name="imported",
        source=file.name,
        source_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        space=f"standardised:{dataset}" if space == "standardised" else space,
    )
    trial = TrialConfig[ImportedConfig](seed=0, data_sha256=splits.sha256, method=described, ipc=ipc, **config)
    manifest = manifest_of(trial, splits)
    synthetic = SyntheticSet(images=splits.preprocess.apply(pixels), labels=labels, ipc=ipc, learned_lr=learned_lr)
    low, high, mean = float(pixels.min()), float(pixels.max()), float(pixels.mean())
    range_note = f"pixels from {low:.2f} to {high:.2f}, mean {mean:.2f} (if far outside of 0 to 1, --space is probably wrong)"
    rate_note = "learning rate of the recipe" if learned_lr is None else f"learned learning rate {learned_lr:g}"
    return Imported(synthetic=synthetic, manifest=manifest, notes=(*notes, label_note, rate_note, range_note))


def read_published(file: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a published file, read by another process, and a description of where in the file they were found.

    Raises:
        InputError: there is no such file, it is refused, or reading takes too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "set.safetensors")
        command = [sys.executable, "-m", "raydistill.sets.weights_only", str(_existing(file)), str(out)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise InputError(f"reading {file} took more than {SECONDS:g} seconds and was stopped: check the file") from error
        if ended.returncode:
            last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
            ended_how = "" if ended.returncode == REFUSED else f"reading it failed with exit code {ended.returncode}: "
            raise InputError(f"{file} is refused: {ended_how}{last}")
        with safe_open(str(out), framework="pt") as read:
            return {name: read.get_tensor(name) for name in read.keys()}, read.metadata()["place"]


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise InputError(f"file {file} does not exist; give the file of a published set")
    return file


def _constants(space: str, dataset: str) -> Standardise | None:
    """The constants of a value space; None for pixels and zca."""
    if space in ("pixels", "zca"):
        return None
    kind, colon, name = space.partition(":")
    name = name if colon else dataset
    if kind != "standardised" or name not in CONSTANTS:
        raise InputError(
            f"unknown --space {space}; allowed: pixels, zca, standardised (if the data set is {', '.join(CONSTANTS)}), or "
            "standardised:NAME with one of these names: give the value space of the images"
        )
    return CONSTANTS[name]


def _published_zca(dataset: DatasetConfig, data_root: DataRoot) -> Preprocess:
    """The whitening that the authors of published sets use: fitted on all published train images."""
    raw = load_raw(dataset, data_root)
    if raw.load_test is None:
        raise InputError(f"--space zca for {dataset.name}, which has no published train images; give another --space")
    return Whiten(key=zca.fit(raw.search.images, raw.white))


def _read_all(file: Path, labels_file: Path | None, lr_file: Path | None) -> tuple[dict[str, Tensor], list[str]]:
    """Images, labels and optionally lr from the given files, with notes."""
    found, place = read_published(file)
    notes = [f"{file.name}: {place}"]
    if "tensor" in found:
        found["images"] = found.pop("tensor")
    for name, other in (("labels", labels_file), ("lr", lr_file)):
        if other is not None:
            if name in found:
                raise InputError(f"{file} already contains {name}, but {other} is given too; remove one of them")
            tensors, _ = read_published(other)
            if "tensor" not in tensors:
                raise InputError(f"{other} is not a single tensor; give the file of the {name}")
            found[name] = tensors["tensor"]
            notes.append(f"{name} from {other.name}")
    if "labels" not in found:
        raise InputError(f"{file} contains only images; give the file of their labels with --labels")
    return found, notes


def _config_for(dataset: str, space: str, overrides: Sequence[str], data_root: DataRoot) -> dict[str, Any]:
    """Data set, network, evaluation and goal of the set, checked like a search space."""
    document = {
        "study": "imported",
        "dataset": {"name": dataset, "preprocess": "zca" if space == "zca" else "standardise"},
        "network": {"name": "convnet"},
        "method": {"name": "random"},
        "controls": [],
        "ipc": 1,
        "goal": {"margin_fraction": 0.5},
        "budget": {"trials": 1},
    }
    idle = [override for override in overrides if override.partition("=")[0].partition(".")[0] not in OVERRIDABLE]
    if idle:
        raise InputError(
            f"--set {idle[0]} has no effect on an imported set; allowed sections: {', '.join(OVERRIDABLE)}: remove it"
        )
    checked = load_space(document, overrides, data_root, for_search=False)
    sections = {name: checked.shared[name] for name in ("network", "evaluation")}
    return {**sections, "dataset": dataset_config(checked.shared["dataset"]), "goal": checked.goal}


def _check(tensors: dict[str, Tensor], splits: Splits, file: Path) -> tuple[Tensor, Tensor, int, str]:
    """Check images and labels.

    Returns:
        Images and labels ordered by class, the IPC, and a note about the labels.

    Raises:
        InputError: they do not fit the data set or each other.
    """
    images, labels = tensors["images"], tensors["labels"]
    classes, shape = len(splits.class_names), splits.shape
    if images.ndim != 4 or tuple(images.shape[1:]) != shape or not images.is_floating_point():
        raise InputError(
            f"{file}: images have shape {tuple(images.shape)} and type {images.dtype}; expected shape (N, "
            f"{', '.join(map(str, shape))}) and a floating-point type: check --dataset"
        )
    if len(images) == 0 or len(images) % classes:
        raise InputError(f"{file} has {len(images)} images for {classes} classes; expected the same number of images per class")
    if not bool(images.isfinite().all()):
        raise InputError(f"{file} has images with values that are not finite; ask its author for an undamaged file")
    ipc = len(images) // classes
    if labels.shape == (len(images), classes) and labels.is_floating_point():
        return images.float(), *_soft(labels.float(), file, ipc)
    if labels.shape != (len(images),) or labels.is_floating_point() or labels.dtype == torch.bool:
        raise InputError(
            f"{file}: labels have shape {tuple(labels.shape)} and type {labels.dtype}; expected shape ({len(images)},) and whole "
            f"numbers, or shape ({len(images)}, {classes}) and floats"
        )
    # Check the range first: bincount allocates memory in proportion to the largest label.
    if int(labels.min()) < 0 or int(labels.max()) >= classes or torch.bincount(labels.long()).tolist() != [ipc] * classes:
        raise InputError(f"{file} does not have {ipc} labels of each class from 0 to {classes - 1}; check images and labels")
    order = labels.long().argsort(stable=True)
    return images[order].float(), labels.long()[order], ipc, f"hard labels, {ipc} images per class"


def _soft(labels: Tensor, file: Path, ipc: int) -> tuple[Tensor, int, str]:
    if not bool(labels.isfinite().all()):
        raise InputError(f"{file} has soft labels that are not finite; ask its author for an undamaged file")
    are_probabilities = bool((labels >= 0).all()) and torch.allclose(labels.sum(dim=1), torch.ones(len(labels)), atol=1e-4)
    if are_probabilities:
        labels = labels.clamp(min=1e-12).log()
    own_class = float((labels.argmax(dim=1) == hard_labels(labels.shape[1], ipc)).float().mean())
    kind = "probabilities, stored as their logarithms" if are_probabilities else "logits"
    order = f"assumed to be ordered by class, which agrees with the largest label of {100 * own_class:.0f} % of the images"
    return labels, ipc, f"soft labels, {ipc} images per class; {kind}; {order}"


def _learned_lr(lr: Tensor | None, file: Path) -> float | None:
    if lr is None:
        return None
    if lr.numel() != 1 or not 0 < float(lr) < float("inf"):
        raise InputError(f"{file} has the learned learning rate {lr.flatten()[:5].tolist()}; expected one number above 0")
    return float(lr)
