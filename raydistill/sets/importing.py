"""Sets that others published, brought into this project's form: read apart, checked, taken to pixels, and into our own space.

Their authors standardise by constants of their own, or whiten by all published train images. Here real images are standardised or
whitened by the train part alone. So a set goes from its own space to pixels and from there to ours, without clipping: an affine
map that takes nothing away.
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
from raydistill.data.preprocess import Preprocess, Standardise, Whiten
from raydistill.data.splits import Splits, load_raw, load_splits
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
"""What the field standardises by, as in the code of Dataset Condensation. DATM and PAD take CIFAR-10's for CIFAR-100 too."""
SPACES = "pixels, standardised, standardised:NAME or zca"
OVERRIDABLE = ("network", "evaluation", "dataset", "goal")
"""Sections that say what an imported set is evaluated with."""
SECONDS = 120.0
"""Within which a file must have been read."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Imported:
    """A published set in this project's form."""

    synthetic: SyntheticSet
    manifest: Manifest
    notes: tuple[str, ...]
    """What was found and done, in words."""


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
    """A set in a file: an .npz that `raydistill export` wrote, as it was, or what others published; arguments as there.

    Raises:
        InputError: too much or too little is given; or see `import_published`.
    """
    if file.suffix == ".npz":
        if dataset or space or labels_file or lr_file or overrides:
            raise InputError(f"{file} says itself what it is; leave out --dataset, --space, --labels, --lr and --set")
        try:
            synthetic, manifest = from_npz(_existing(file).read_bytes())
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
        return Imported(synthetic=synthetic, manifest=manifest, notes=(f"{file.name}: as it was exported",))
    if not dataset or not space:
        raise InputError(f"{file} does not say what it was distilled from; give --dataset, and --space {SPACES}")
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
    """A set that somebody else published as a file of tensors.

    Args:
        file: images, or images and labels; the forms are in `weights_only`.
        dataset: what it was distilled from.
        space: what its images are in: `pixels` (0 to 1), `standardised` (by the constants of its data set),
            `standardised:NAME` (by those of another), or `zca` (fitted on all published train images).
        labels_file: classes or soft labels, where `file` holds images alone, as MTT's and DATM's do.
        lr_file: the learned rate.
        overrides: `path.to.field=value` of what the set is evaluated with; by default a ConvNet-3 and the default recipe.
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
            f"space {space!r} has constants for {len(constants.mean)} channels, {dataset} has {splits.shape[0]}: give others"
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
    range_note = f"pixels from {low:.2f} to {high:.2f}, mean {mean:.2f} (if far outside 0 to 1, --space is likely another)"
    rate_note = "no learned rate: the recipe's own" if learned_lr is None else f"learned rate {learned_lr:g}"
    return Imported(synthetic=synthetic, manifest=manifest, notes=(*notes, label_note, rate_note, range_note))


def read_published(file: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a published file and where in it they were found, read by another process.

    Raises:
        InputError: there is no such file, it was refused, or it took too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "set.safetensors")
        command = [sys.executable, "-m", "raydistill.sets.weights_only", str(_existing(file)), str(out)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{file} was not read within {SECONDS:g} seconds; it was given up: check the file") from error
        if ended.returncode:
            last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
            ended_how = "" if ended.returncode == REFUSED else f"reading it ended with code {ended.returncode}: "
            raise InputError(f"{file} is refused: {ended_how}{last}")
        with safe_open(str(out), framework="pt") as read:
            return {name: read.get_tensor(name) for name in read.keys()}, read.metadata()["place"]


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise InputError(f"there is no file {file}; give the file of a published set")
    return file


def _constants(space: str, dataset: str) -> Standardise | None:
    """The constants that a space names; None for one without."""
    if space in ("pixels", "zca"):
        return None
    kind, colon, name = space.partition(":")
    name = name if colon else dataset
    if kind != "standardised" or name not in CONSTANTS:
        raise InputError(
            f"space {space!r}; allowed: pixels, zca, standardised (where the data set is {', '.join(CONSTANTS)}), or "
            "standardised:NAME with one of these: say what the images are in"
        )
    return CONSTANTS[name]


def _published_zca(dataset: DatasetConfig, data_root: DataRoot) -> Preprocess:
    """The whitening that its authors used: fitted on all published train images."""
    raw = load_raw(dataset, data_root)
    if raw.load_test is None:
        raise InputError(f"space zca with {dataset.name}, which has no published train images; give another space")
    return Whiten(key=zca.fit(raw.search.images, raw.white))


def _read_all(file: Path, labels_file: Path | None, lr_file: Path | None) -> tuple[dict[str, Tensor], list[str]]:
    """Images, labels and perhaps lr from the files given."""
    found, place = read_published(file)
    notes = [f"{file.name}: {place}"]
    if "tensor" in found:
        found["images"] = found.pop("tensor")
    for name, other in (("labels", labels_file), ("lr", lr_file)):
        if other is not None:
            if name in found:
                raise InputError(f"{file} has {name} of its own, and {other} was given too; leave one out")
            tensors, _ = read_published(other)
            if "tensor" not in tensors:
                raise InputError(f"{other} is not a single tensor; give the file of the {name}")
            found[name] = tensors["tensor"]
            notes.append(f"{name} from {other.name}")
    if "labels" not in found:
        raise InputError(f"{file} holds images alone; give the file of their labels with --labels")
    return found, notes


def _config_for(dataset: str, space: str, overrides: Sequence[str], data_root: DataRoot) -> dict[str, Any]:
    """Data set, network, evaluation and goal that the set goes with, checked as a search space is."""
    document = {
        "study": "imported",
        "dataset": {"name": dataset, "preprocess": "zca" if space == "zca" else "standardise"},
        "network": {"name": "convnet"},
        "method": {"name": "random"},
        "ipc": 1,
        "goal": {"margin_fraction": 0.5},
        "budget": {"trials": 1},
    }
    idle = [override for override in overrides if override.partition("=")[0].partition(".")[0] not in OVERRIDABLE]
    if idle:
        raise InputError(
            f"--set {idle[0]} changes nothing of an imported set; what can be set: {', '.join(OVERRIDABLE)}: leave it out"
        )
    checked = load_space(document, overrides, data_root)
    sections = {name: checked.template[name] for name in ("network", "evaluation")}
    return {**sections, "dataset": dataset_config(checked.template["dataset"]), "goal": checked.goal}


def _check(tensors: dict[str, Tensor], splits: Splits, file: Path) -> tuple[Tensor, Tensor, int, str]:
    """Images and labels, class after class; the IPC; and what the labels are.

    Raises:
        InputError: they do not fit the data set or each other.
    """
    images, labels = tensors["images"], tensors["labels"]
    classes, shape = len(splits.class_names), splits.shape
    if images.ndim != 4 or tuple(images.shape[1:]) != shape or not images.is_floating_point():
        raise InputError(
            f"{file} has images {tuple(images.shape)} of {images.dtype}; (N, {', '.join(map(str, shape))}) of floats fit"
        )
    if len(images) == 0 or len(images) % classes:
        raise InputError(f"{file} has {len(images)} images for {classes} classes; as many of each class are wanted")
    if not bool(images.isfinite().all()):
        raise InputError(f"{file} has images with values that are not finite; ask for a whole file")
    ipc = len(images) // classes
    if labels.shape == (len(images), classes) and labels.is_floating_point():
        return images.float(), *_soft(labels.float(), file, ipc)
    if labels.shape != (len(images),) or labels.is_floating_point() or labels.dtype == torch.bool:
        raise InputError(
            f"{file} has labels {tuple(labels.shape)} of {labels.dtype} for {len(images)} images; whole numbers "
            f"({len(images)},) or floats ({len(images)}, {classes}) are wanted"
        )
    # The range first: counting a label of 10^12 would take its number of bytes.
    if int(labels.min()) < 0 or int(labels.max()) >= classes or torch.bincount(labels.long()).tolist() != [ipc] * classes:
        raise InputError(f"{file} has labels that are not {ipc} of each class from 0 to {classes - 1}; check both files")
    order = labels.long().argsort(stable=True)
    return images[order].float(), labels.long()[order], ipc, f"hard labels, {ipc} images per class"


def _soft(labels: Tensor, file: Path, ipc: int) -> tuple[Tensor, int, str]:
    if not bool(labels.isfinite().all()):
        raise InputError(f"{file} has soft labels that are not finite; ask for a whole file")
    are_probabilities = bool((labels >= 0).all()) and torch.allclose(labels.sum(dim=1), torch.ones(len(labels)), atol=1e-4)
    if are_probabilities:
        labels = labels.clamp(min=1e-12).log()
    own_class = float((labels.argmax(dim=1) == hard_labels(labels.shape[1], ipc)).float().mean())
    kind = "probabilities, kept as their logarithms" if are_probabilities else "logits"
    order = f"taken to be class after class, where {100 * own_class:.0f} % are largest"
    return labels, ipc, f"soft labels, {ipc} images per class; {kind}; {order}"


def _learned_lr(lr: Tensor | None, file: Path) -> float | None:
    if lr is None:
        return None
    if lr.numel() != 1 or not 0 < float(lr) < float("inf"):
        raise InputError(f"{file} has the learned rate {lr.flatten()[:5].tolist()}; one number above 0 is wanted")
    return float(lr)
