"""The files of a trial, as frozen, versioned values: its record and its progress."""

from __future__ import annotations

import functools
import gc
import hashlib
import importlib.metadata
import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from raydistill.errors import StoreError
from raydistill.spaces.sections import Config, GrownConfig
from raydistill.spaces.trial import TrialConfig, read_trial_config, trial_id_of
from raydistill.spaces.units import points
from raydistill.storage.layout import CONFIG_FILE, PROGRESS_FILE, RECORD_FILE, trial_file
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored, write_stored

State = Literal["finished", "pruned", "diverged", "out_of_memory", "timed_out", "crashed"]
FINAL_STATES: frozenset[str] = frozenset({"finished", "pruned", "diverged", "out_of_memory", "timed_out"})
"""States that a resumed search does not run again; a crashed trial continues from its checkpoint."""


class Reading(Config):
    """A measurement at one step of a distillation: the accuracy of networks trained on the current set, on the select images."""

    step: int
    """Image updates done."""
    fraction: float
    """Fraction of the distillation that is done, 0 to 1."""
    accuracy_fractions: tuple[float, ...] = Field(strict=False, min_length=1)
    """One per network, 0 to 1."""
    gap: float
    """Full-data accuracy minus the mean of `accuracy_fractions`."""
    loss: float | None
    """The method's loss at that step; null before the first step, and where it is not finite and the step was dropped."""

    @property
    def accuracy_fraction(self) -> float:
        """Mean over the networks, 0 to 1."""
        return statistics.mean(self.accuracy_fractions)


class Progress(Config):
    """Progress of a running trial: `progress.json`, written at each reading and every 20 seconds, removed when the trial ends."""

    step: int
    """Image updates done."""
    steps: int
    """Total number of image updates; 0 until it is known."""
    readings: tuple[Reading, ...] = Field(strict=False)
    seconds: dict[str, float]
    """Seconds by activity, over all processes of the trial."""
    experts_sha256: str | None
    """Hash of the experts that the method reads; null if it reads none."""


class Cost(Config):
    """Time and memory of a trial, and the cost of training on its set."""

    distill_seconds: float
    evaluate_seconds: float
    peak_memory_bytes: int
    """Highest resident memory of the process, or allocated device memory on a GPU."""
    train_macs: int
    """Multiply-accumulates (fvcore, conv and linear, forward) of training one network on the set with the recipe."""
    epoch_macs: int
    """Multiply-accumulates (forward) of one pass over the set."""

    @property
    def seconds(self) -> float:
        """Of distilling and evaluating."""
        return self.distill_seconds + self.evaluate_seconds


class TrialRecord(GrownConfig):
    """The result of one trial. Written by `run_trial`, or by the driver if the trial's process was lost."""

    LATER: ClassVar[tuple[str, ...]] = ("class_accuracy_fractions", "accepted_steps")
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    record_version: Literal[1] = 1
    trial_id: str
    state: State
    config: dict[str, Any]
    """The `TrialConfig`, as JSON."""
    readings: tuple[Reading, ...] = Field(default=(), strict=False)
    """At the initial set, during the distillation, and (for a finished trial) at the end."""
    select_correct: tuple[str, ...] = Field(default=(), strict=False)
    """Per network of the final reading: which select images it classifies correctly, as packed bits in hex (`pack_bits`)."""
    class_accuracy_fractions: dict[str, float] | None = None
    """By class name: mean over the networks of the final reading of the accuracy on the class's select images, 0 to 1. Left out
    of records of trials without a set, and of older versions."""
    accepted_steps: int | None = None
    """Steps that changed the set. Left out where all did, and of older versions; DATM and PAD drop those above their `gate`."""
    images: int = 0
    """Stored images in the set."""
    set_bytes: int = 0
    """Bytes of images, labels and learned learning rate, without file headers."""
    label_kind: Literal["hard", "soft"] = "hard"
    images_sha256: str | None = None
    """Hash of `images.safetensors`."""
    experts_sha256: str | None = None
    """Hash of the experts that the method read; null if it reads none."""
    cost: Cost | None = None
    error: str | None = None
    """Cause of a state other than finished; the traceback if there is one."""
    code_sha256: str
    commit: str | None = None
    """Git commit of the code, with `-dirty` if files differ from it; null outside of a checkout. For information only."""
    versions: dict[str, str]
    device: str
    host: str
    started_at: str
    """UTC, ISO 8601."""

    @property
    def weakest_class(self) -> tuple[str, float] | None:
        """Name and accuracy of the class with the lowest accuracy; None where the record does not say."""
        return min((self.class_accuracy_fractions or {}).items(), key=lambda one: one[1], default=None)

    @property
    def ipc(self) -> int:
        """Images per class."""
        return int(self.config["ipc"])

    @property
    def factor(self) -> int:
        """Side of the square of smaller images in each stored one; 1 where a stored image is one image."""
        return int(self.config["method"].get("factor", 1))

    @property
    def method(self) -> str:
        """Name of its method."""
        return str(self.config["method"]["name"])

    @property
    def arm(self) -> str:
        """Name of its arm in a race of several: the label, or the method's name."""
        return str(self.config.get("label") or self.method)

    @property
    def ask_number(self) -> int:
        """Number of the trial, counted from 0 in the order in which the solver proposes trials."""
        return int(self.config["ask_number"])

    @property
    def final(self) -> Reading | None:
        """The reading of the finished set."""
        return self.readings[-1] if self.state == "finished" else None

    @property
    def gap(self) -> float | None:
        """Gap of the finished set; None unless finished."""
        return self.final.gap if self.final else None

    def __repr__(self) -> str:
        """The trial in a line; `model_dump` has everything."""
        gap = "" if self.gap is None else f", gap {points(self.gap)}"
        return f"TrialRecord({self.trial_id}: {self.arm} at IPC {self.ipc}, {self.state.replace('_', ' ')}{gap})"

    __str__ = __repr__


def pack_bits(correct: NDArray[np.bool_]) -> tuple[str, ...]:
    """Each row of (R, n) booleans as hex, most significant bit first, padded with zeros to whole bytes."""
    return tuple(np.packbits(row).tobytes().hex() for row in correct)


def pack_labels(classes: NDArray[np.int64]) -> str:
    """(n,) classes as text: two bytes each in hex."""
    return classes.astype("<u2").tobytes().hex()


def unpack_labels(text: str | None) -> NDArray[np.int64] | None:
    """The classes that `pack_labels` packed; None for None."""
    return None if text is None else np.frombuffer(bytes.fromhex(text), dtype="<u2").astype(np.int64)


def unpack_bits(rows: Sequence[str], images: int) -> NDArray[np.bool_]:
    """The (R, n) booleans that `pack_bits` packed; n is `images`.

    Raises:
        ValueError: a row has another number of bytes than `images` bits need.
    """
    other = [4 * len(row) for row in rows if len(row) != 2 * math.ceil(images / 8)]
    if other:
        raise ValueError(f"{other[0]} bits for {images} images: they belong to a different set of images")
    bits = [np.unpackbits(np.frombuffer(bytes.fromhex(row), dtype=np.uint8), count=images) for row in rows]
    return np.array(bits, dtype=np.bool_).reshape(len(rows), images)


def write_record(study: Store, record: TrialRecord) -> None:
    """Write `trials/<id>/record.json`."""
    write_stored(study, trial_file(record.trial_id, RECORD_FILE), record)


def read_record(study: Store, trial_id: str) -> TrialRecord | None:
    """The record of a trial, or None if it has none.

    Raises:
        StoreError: the record is damaged, of an unknown version, or belongs to another trial, or its config does.
    """
    name = trial_file(trial_id, RECORD_FILE)
    record = read_stored(study, name, TrialRecord, "restore it, or delete it to run the trial again")
    if record is not None and record.trial_id != trial_id:
        raise StoreError(f"{study.path(name)} is the record of trial {record.trial_id}; delete it to run trial {trial_id} again")
    if record is not None and not _is_of(record.config, trial_id):
        raise StoreError(
            f"{study.path(name)} is damaged (its config is not that of trial {trial_id}); restore it, or delete it to run the "
            "trial again"
        )
    if record is not None and (contradiction := _contradiction(record)):
        raise StoreError(
            f"{study.path(name)} contradicts itself ({contradiction}); restore it, or delete it to run the trial again"
        )
    return record


def _contradiction(record: TrialRecord) -> str | None:
    """What in a record does not agree with the rest of it; a gap is always the same baseline's accuracy minus one of them."""
    if record.state == "finished" and not record.readings:
        return "it is finished and has no reading"
    baselines = [reading.gap + reading.accuracy_fraction for reading in record.readings]
    if baselines and max(baselines) - min(baselines) > 1e-9:
        return "its gaps and accuracies are not of one baseline"
    if record.final is None or not record.select_correct:
        return None
    accuracies = record.final.accuracy_fractions
    if len(accuracies) != len(record.select_correct):
        return f"it has {len(accuracies)} accuracies and the answers of {len(record.select_correct)} networks"
    if record.config.get("goal", {}).get("metric", "accuracy") != "accuracy":
        return None  # the classes of the images are not in a record
    for accuracy, row in zip(accuracies, record.select_correct, strict=True):
        right, most = int(row, 16).bit_count(), 4 * len(row)
        # The number of images is not in a record; its bits, padded to whole bytes, bound it.
        images = round(right / accuracy) if accuracy > 0 and right > 0 else most
        if not most - 8 < images <= most or abs(right / images - accuracy) > 1e-9:
            return f"an accuracy is {accuracy}, but its network has {right} of at most {most} images right"
    return None


def read_progress(study: Store, trial_id: str) -> Progress | None:
    """The progress of a trial that has not ended, or None if it has written none.

    Raises:
        StoreError: the file is damaged.
    """
    name = trial_file(trial_id, PROGRESS_FILE)
    return read_stored(study, name, Progress, "delete it to run the trial from its start")


def read_trials(study: Store, methods: Mapping[str, type[Config]]) -> list[tuple[TrialConfig[Any], TrialRecord | None]]:
    """Every trial of the study, in the order in which the solver proposed them, each with its record if it has one.

    Raises:
        StoreError: a trial's config or record is damaged.
    """
    with _without_a_search_for_cycles():
        records = {trial_id: read_record(study, trial_id) for trial_id in study.at("trials").folders(".")}
        pairs = [(config_of(study, trial_id, record, methods), record) for trial_id, record in records.items()]
        trials = [(config, record) for config, record in pairs if config is not None]
    return sorted(trials, key=lambda pair: pair[0].ask_number)


def config_of(
    study: Store, trial_id: str, record: TrialRecord | None, methods: Mapping[str, type[Config]]
) -> TrialConfig[Any] | None:
    """The config in a trial's folder, or in its record where that file is gone or damaged; None if the folder holds neither.

    Raises:
        StoreError: the config is damaged, and no record holds it.
    """
    name = trial_file(trial_id, CONFIG_FILE)
    data = study.read_or_none(name)
    try:
        config = None if data is None else read_trial_config(data, methods)
        if config is not None and config.trial_id != trial_id:
            raise ValueError(f"it was changed after it was written: its hash is {config.trial_id}")
    except ValueError as error:
        if record is None:
            raise StoreError(f"{study.path(name)} is damaged ({error}); delete it, and the search asks again") from error
        config = None
    if config is None and record is not None:
        try:
            config = read_trial_config(json.dumps(record.config), methods)
            if config.trial_id != trial_id:
                raise ValueError(f"its hash is {config.trial_id} here")
        except ValueError as error:
            raise StoreError(
                f"{study.path(name)} is gone or damaged, and this version of raydistill does not read the config in the record "
                f"beside it ({error}); restore it, or use the version that wrote it"
            ) from error
    return config


def _is_of(config: Mapping[str, Any], trial_id: str) -> bool:
    return isinstance(config.get("dataset"), dict) and trial_id_of(config) == trial_id


@contextmanager
def _without_a_search_for_cycles() -> Iterator[None]:
    """Ten thousand records are a million objects without a cycle; looking for one takes a third of the time of reading them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@functools.cache
def code_sha256() -> str:
    """Hash of every Python file of the installed package."""
    return package_sha256(Path(__file__).parents[1])


def package_sha256(root: Path) -> str:
    """Hash of every Python file below a folder and of its relative path."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@functools.cache
def versions() -> dict[str, str]:
    """Versions of the packages on which the computed numbers depend."""
    names = ("raydistill", "torch", "torchvision", "numpy", "scikit-learn", "optuna", "ray")
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
