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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from raydistill.catalogue import load_space
from raydistill.core.synthetic import Manifest, SyntheticSet
from raydistill.data.preprocess import Preprocess
from raydistill.data.splits import Splits, load_splits
from raydistill.errors import InputError
from raydistill.sets.npz import from_npz
from raydistill.sets.published_labels import LabelsAre, order_by_class
from raydistill.sets.set_file import write_set
from raydistill.sets.value_spaces import SPACES, constants_of, published_zca
from raydistill.sets.weights_only import REFUSED, Entry, read_written
from raydistill.spaces.paths import given_path
from raydistill.spaces.sections import ImportedConfig, dataset_config
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot, as_data_root
from raydistill.storage.store import Store
from raydistill.trial.distillation import manifest_of

OVERRIDABLE = ("network", "evaluation", "dataset", "goal")
"""Sections with which an imported set is evaluated, and which `--set` may change."""
SECONDS = 120.0
"""Time limit for reading a file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a published file does not say about itself."""

    dataset: str | None = None
    """Data set from which it was distilled."""
    space: str | None = None
    """Value space of its images: `pixels` (0 to 1), `standardised` (with the constants of its data set), `standardised:NAME`
    (with those of another data set), or `zca` (fitted on all published train images)."""
    labels_file: Path | None = None
    """Classes or soft labels, if the file contains only images, as in MTT and DATM."""
    labels_are: LabelsAre | None = None
    """What soft labels are; None decides it from their values, and refuses a doubtful case."""
    lr_file: Path | None = None
    """The learned learning rate."""
    overrides: Sequence[str] = ()
    """`path.to.field=value` for the evaluation; by default a ConvNet-3 and the default recipe."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Imported:
    """A published set in this project's form."""

    synthetic: SyntheticSet
    manifest: Manifest
    notes: tuple[str, ...]
    """Sentences about what was found in the file and how it was converted."""
    number: int = 1
    """Number of the set in its file, counted from 1."""


def import_sets(
    file: Path, given: Given | None = None, *, entry: int | Literal["last", "all"] = "last", data_root: DataRoot = None
) -> list[Imported]:
    """Import an .npz file written by `raydistill export`, or sets that others published as a file of tensors.

    Args:
        file: images, or images and labels; `weights_only` lists the supported contents.
        given: what the file does not say; nothing for an .npz file.
        entry: which set of a file with several: a number counted from 1, the last, or all of them.
        data_root: folder or URI of the data files.

    Raises:
        InputError: a file is missing, refused, or does not fit the data set; or arguments are missing, or not allowed for .npz;
            or no set has such a number.
        SpaceError: data set or overrides have mistakes.
        DataError: the data is missing or damaged.
    """
    given = given or Given()
    _check_entry(entry)
    if file.suffix == ".npz":
        return [_import_npz(file, given, entry)]
    if not given.dataset or not given.space:
        raise InputError(f"{file} does not contain the data set and the value space; give --dataset, and --space {SPACES}")
    constants = constants_of(given.space, given.dataset)
    entries = read_published(file, entry)
    config = _config_for(given.dataset, given.space, given.overrides, data_root)
    splits = load_splits(config["dataset"], data_root)
    if constants is not None and len(constants.mean) != splits.shape[0]:
        raise InputError(
            f"--space {given.space} has constants for {len(constants.mean)} channels, but {given.dataset} has "
            f"{splits.shape[0]}: give another --space"
        )
    theirs = None if given.space == "pixels" else constants or published_zca(config["dataset"], data_root)
    target = _Target(config=config, splits=splits, theirs=theirs)
    beside = _read_beside(given)
    if entry == "last" and entries[0].count > 1:
        place = f"{entries[0].place}, the last; --entry N takes another, --entry all takes each"
        entries = [replace(entries[0], place=place)]
    return [_convert(file, given, one, beside, target) for one in entries]


def import_into(
    out: str | None, file: Path, given: Given, *, entry: int | Literal["last", "all"], data_root: str | Path | None
) -> tuple[list[Imported], list[tuple[str, str]]]:
    """Import sets as `import_sets` does, and write them: all of a file to `entry-<number>/`, a single one to the folder itself.

    Args:
        out: folder or URI; None writes nothing.
        file: as in `import_sets`.
        given: as in `import_sets`.
        entry: as in `import_sets`.
        data_root: folder or URI of the data files.

    Returns:
        The sets, and for each that is written the paths of its file and its picture.

    Raises:
        StoreError: `out` cannot be written; or see `import_sets`.
    """
    folder = None if out is None else Store(out)
    if folder is not None:
        folder.check_writable()
    imported = import_sets(file, given, entry=entry, data_root=as_data_root(data_root))
    if folder is None:
        return imported, []
    places = [folder.at(f"entry-{one.number}") if entry == "all" else folder for one in imported]
    return imported, [write_set(one.synthetic, one.manifest, place) for one, place in zip(imported, places, strict=True)]


def _check_entry(entry: object) -> None:
    """Refuse what is no number of a set: counted from the end, -1 would be one without a word."""
    is_number = isinstance(entry, int) and not isinstance(entry, bool) and entry >= 1
    if not is_number and entry not in ("last", "all"):
        raise InputError(f"given {entry!r} as entry; allowed: a whole number from 1 on, 'last' or 'all': give one of these")


def _import_npz(file: Path, given: Given, entry: int | Literal["last", "all"]) -> Imported:
    if given != Given() or entry not in ("last", "all", 1):
        raise InputError(
            f"{file} already contains its settings, and one set; remove --dataset, --space, --labels, --labels-are, --lr, "
            "--entry and --set"
        )
    data = _existing(file).read_bytes()
    try:
        synthetic, manifest = from_npz(data)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    return Imported(synthetic=synthetic, manifest=manifest, notes=(f"{file.name}: unchanged since its export",))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Beside:
    """What comes from other files than the set's."""

    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Target:
    """Where a set is brought to, and from which preprocessing."""

    config: Mapping[str, Any]
    """Data set, network, evaluation and goal."""
    splits: Splits
    theirs: Preprocess | None
    """Preprocessing of the published images; None for pixels."""


def _convert(file: Path, given: Given, entry: Entry, beside: _Beside, target: _Target) -> Imported:
    """One set of a file in this project's preprocessing, with its manifest."""
    splits = target.splits
    tensors = _joined(file, entry, beside.tensors, given)
    ordered = order_by_class(tensors, splits, file, given.labels_are)
    pixels = ordered.images if target.theirs is None else target.theirs.invert(ordered.images)
    learned_lr = _learned_lr(tensors.get("lr"), given.lr_file or file)
    described = ImportedConfig(
        name="imported",
        source=file.name,
        source_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        entry=entry.number if entry.count > 1 else None,
        space=f"standardised:{given.dataset}" if given.space == "standardised" else str(given.space),
        labels_are=ordered.labels_are,
    )
    trial = TrialConfig[ImportedConfig](seed=0, data_sha256=splits.sha256, method=described, ipc=ordered.ipc, **target.config)
    images = splits.preprocess.apply(pixels)
    synthetic = SyntheticSet(images=images, labels=ordered.labels, ipc=ordered.ipc, learned_lr=learned_lr)
    low, high, mean = float(pixels.min()), float(pixels.max()), float(pixels.mean())
    range_note = f"pixels from {low:.2f} to {high:.2f}, mean {mean:.2f} (if far outside of 0 to 1, --space is probably wrong)"
    rate_note = "learning rate of the recipe" if learned_lr is None else f"learned learning rate {learned_lr:g}"
    notes = (f"{file.name}: {entry.place}", *beside.notes, ordered.note, rate_note, range_note)
    return Imported(synthetic=synthetic, manifest=manifest_of(trial, splits), notes=notes, number=entry.number)


def read_published(file: Path, which: int | Literal["last", "all"] = "last") -> list[Entry]:
    """The sets of a published file that are asked for, read by another process.

    Raises:
        InputError: there is no such file or entry, it is refused, or reading takes too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "set.safetensors")
        command = [sys.executable, "-m", "raydistill.sets.weights_only", str(_existing(file)), str(which), str(out)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise InputError(f"reading {file} took more than {SECONDS:g} seconds and was stopped: check the file") from error
        if ended.returncode:
            last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
            ended_how = "" if ended.returncode == REFUSED else f"reading it failed with exit code {ended.returncode}: "
            raise InputError(f"{file} is refused: {ended_how}{last}")
        return read_written(out)


def _existing(file: Path) -> Path:
    if not given_path(file).is_file():
        found = f"{file} is no file" if file.exists() else f"file {file} does not exist"
        raise InputError(f"{found}; give the file of a published set")
    return file


def _read_beside(given: Given) -> _Beside:
    """Labels and learned rate from files of their own."""
    found, notes = {}, []
    for name, other in (("labels", given.labels_file), ("lr", given.lr_file)):
        if other is not None:
            tensors = read_published(other)[0].tensors
            if "tensor" not in tensors:
                raise InputError(f"{other} is not a single tensor; give the file of the {name}")
            found[name] = tensors["tensor"]
            notes.append(f"{name} from {other.name}")
    return _Beside(tensors=found, notes=tuple(notes))


def _joined(file: Path, entry: Entry, beside: Mapping[str, Tensor], given: Given) -> dict[str, Tensor]:
    """Images, labels and optionally lr of one set, with what comes from other files."""
    tensors = {"images" if name == "tensor" else name: tensor for name, tensor in entry.tensors.items()}
    for name, other in (("labels", given.labels_file), ("lr", given.lr_file)):
        if name in beside and name in tensors:
            raise InputError(f"{file} already contains {name}, but {other} is given too; remove one of them")
    if "labels" not in tensors and "labels" not in beside:
        raise InputError(f"{file} contains only images; give the file of their labels with --labels")
    return {**tensors, **beside}


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


def _learned_lr(lr: Tensor | None, file: Path) -> float | None:
    if lr is None:
        return None
    if lr.numel() != 1 or lr.is_complex() or not 0 < float(lr) < float("inf"):
        raise InputError(f"{file} has the learned learning rate {lr.flatten()[:5].tolist()}; expected one number above 0")
    return float(lr)
