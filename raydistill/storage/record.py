"""The files of a study, as frozen, versioned values: the record of a trial, its progress, and the result of the search."""

from __future__ import annotations

import functools
import gc
import hashlib
import importlib.metadata
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from raydistill.errors import StoreError
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.spaces.units import points
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored

PROGRESS_FILE = "progress.json"
State = Literal["finished", "pruned", "diverged", "out_of_memory", "crashed"]
FINAL_STATES: frozenset[str] = frozenset({"finished", "pruned", "diverged", "out_of_memory"})
"""States that a resumed search does not run again; a crashed trial continues from its checkpoint."""


class Reading(Config):
    """A measurement at one step of a distillation: the accuracy of networks trained on the current set, on the select images."""

    step: int
    """Image updates done."""
    fraction: float
    """Fraction of the distillation that is done, 0 to 1."""
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """One per network, 0 to 1."""
    gap: float
    """Full-data accuracy minus the mean of `accuracy_fractions`."""
    loss: float | None
    """The method's loss at that step; null before the first step."""

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


class TrialRecord(Config):
    """The result of one trial. Written by `run_trial`, or by the driver if the trial's process was lost."""

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
    images: int = 0
    """Images in the set."""
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
    def ipc(self) -> int:
        """Images per class."""
        return int(self.config["ipc"])

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


class GapBounds(Config):
    """A gap with its one-sided bounds, as fractions: the result of `lossless.gap_interval` in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, from_attributes=True, use_attribute_docstrings=True)

    gap: float
    lower: float
    upper: float
    confidence: float
    """One-sided, of each bound."""
    networks: int
    images: int


class Smallest(Config):
    """The smallest set of one side of a race, the methods or the controls, that is shown to be lossless."""

    arm: str
    trial_id: str
    ipc: int
    gap_interval: GapBounds
    """Its gap on the confirm images, at the side's share of the confidence."""
    images: int
    float_bytes: int
    """Bytes of the set as stored, in float32."""
    byte_bytes: int
    """Bytes of the set with one byte per pixel and channel, as the data set itself is published; soft labels stay float32."""


class ControlAt(Config):
    """New draws of a control, each with a new network, at the IPC of the smallest lossless distilled set or of a smaller one."""

    arm: str
    ipc: int
    gap_interval: GapBounds
    """Mean gap over draws and networks, on the confirm images; `networks` counts both, because each network has its own draw."""
    is_lossy: bool
    """Whether the gap's lower bound is above the margin."""


Claim = Literal["needed", "not_needed", "not_shown", "no_controls"]


class Finding(Config):
    """What a race says: does the smallest set have to be distilled?"""

    claim: Claim
    """needed: a distilled set is shown lossless and every control of its IPC lossy. not_needed: a control of that IPC or a
    smaller one is shown lossless. not_shown: neither. no_controls: the study has none."""
    sentence: str
    """The claim in one sentence, with IPCs and bounds."""
    decides: str | None
    """What would decide a claim that is not shown."""
    distilled: Smallest | None
    control: Smallest | None
    controls_at: tuple[ControlAt, ...] = Field(default=(), strict=False)
    """From the smallest candidate's IPC up to that of the smallest lossless distilled set, at each IPC in the order of their
    readings; the first that is not shown lossy ends the list: distilling is then not shown needed."""
    ratio_images: float | None
    """Images of the smallest lossless control over those of the smallest lossless distilled set; null without both."""
    ratio_float_bytes: float | None
    """The same in bytes as stored; `ratio_byte_bytes` is with one byte per pixel and channel."""
    ratio_byte_bytes: float | None
    confidence: float
    """With at least this probability nothing in the finding is wrong: neither of the two sets is lossy, and, if the claim is
    needed, no control is lossless there."""

    def __repr__(self) -> str:
        """The sentence; `model_dump` has everything."""
        return f"Finding({self.claim}: {self.sentence})"

    __str__ = __repr__


class SearchResult(Config):
    """The result of a search: `result.json`. The verdict is about the confirm images, never about the test split."""

    record_version: Literal[1] = 1
    study: str
    dataset: str
    method: str
    """The winner's arm, its method's name where it has no label; without a winner every method of the study."""
    label_kind: Literal["hard", "soft"]
    verdict: Literal["lossless", "not_reached", "inconclusive"]
    reason: str
    """Why this is the verdict, in one sentence, with gaps in points."""
    split: Literal["confirm"] = "confirm"
    finding: Finding | None = None
    """Whether the smallest set has to be distilled; null in results of older versions."""
    smallest_lossless_ipc: int | None
    """Of any arm; a control of the same IPC comes before a distilled set."""
    winner_trial_id: str | None
    largest_lossy_ipc: int | None
    """Largest IPC below the winner's at which even the best trial's lower bound is above the margin; null if there is none."""
    largest_lossy_trials: int | None
    """Finished trials at that IPC."""
    largest_ipc_tried: int | None
    closest_gap: float | None
    """Smallest gap of a finished trial, on the select images."""
    floor_gap: float | None = None
    """If the verdict is not_reached: the gap at which the curve of gap against IPC, fitted to the trials, levels off."""
    floor_gap_low: float | None = None
    """Lower end of its two-sided 90 % interval; `floor_gap_high` is the upper end."""
    floor_gap_high: float | None = None
    margin_fraction: float
    confidence: float
    gap_interval: GapBounds | None
    """The winner's gap on the confirm images."""
    confirmed_candidates: int
    """Candidates evaluated on the confirm images, from the largest IPC down until one is not lossless. Because the order is
    fixed, the probability of an error holds for all of them together."""
    baseline_accuracy_fraction: tuple[float, ...] = Field(strict=False)
    """Accuracy of each full-data network on the select images, one per seed."""
    baseline_admissible: bool
    """Whether doubling the recipe's steps changes the baseline by less than a quarter of the margin."""
    trials: dict[str, int]
    """Trials by state."""
    compression_images: float | None
    """Number of train images divided by the number of images in the winner's set."""
    compression_bytes: float | None
    """Bytes of the train split divided by the bytes of the winner's set."""
    seconds: float
    """Seconds of distilling and evaluating, over all trials."""

    @property
    def in_short(self) -> str:
        """The verdict in a few words."""
        verdict = self.verdict.replace("_", " ")
        if self.smallest_lossless_ipc is not None:
            return f"{verdict} at IPC {self.smallest_lossless_ipc} ({self.method})"
        return verdict if self.largest_ipc_tried is None else f"{verdict} up to IPC {self.largest_ipc_tried}"

    def __repr__(self) -> str:
        """The result in a line; `model_dump` has everything."""
        return f"SearchResult({self.study}: {self.in_short}; {sum(self.trials.values())} trials)"

    __str__ = __repr__


def pack_bits(correct: NDArray[np.bool_]) -> tuple[str, ...]:
    """Each row of (R, n) booleans as hex, most significant bit first, padded with zeros to whole bytes."""
    return tuple(np.packbits(row).tobytes().hex() for row in correct)


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
    study.write(f"trials/{record.trial_id}/record.json", record.model_dump_json(indent=2) + "\n")


def read_record(study: Store, trial_id: str) -> TrialRecord | None:
    """The record of a trial, or None if it has none.

    Raises:
        StoreError: the record is damaged, of an unknown version, or belongs to another trial.
    """
    name = f"trials/{trial_id}/record.json"
    record = read_stored(study, name, TrialRecord, "restore it, or delete it to run the trial again")
    if record is not None and record.trial_id != trial_id:
        raise StoreError(f"{study.path(name)} is the record of trial {record.trial_id}; delete it to run trial {trial_id} again")
    return record


def read_result(study: Store) -> SearchResult | None:
    """The result of the search, or None if the search has not ended.

    Raises:
        StoreError: the file is damaged.
    """
    return read_stored(study, "result.json", SearchResult, "run the search again, which writes it again")


def read_progress(study: Store, trial_id: str) -> Progress | None:
    """The progress of a trial that has not ended, or None if it has written none.

    Raises:
        StoreError: the file is damaged.
    """
    name = f"trials/{trial_id}/{PROGRESS_FILE}"
    return read_stored(study, name, Progress, "delete it to run the trial from its start")


def read_trials(study: Store, methods: Mapping[str, type[Config]]) -> list[tuple[TrialConfig[Any], TrialRecord | None]]:
    """Every trial of the study, in the order in which the solver proposed them, each with its record if it has one.

    Raises:
        StoreError: a trial's config or record is damaged.
    """
    with _without_a_search_for_cycles():
        configs = {trial_id: _read_config(study, trial_id, methods) for trial_id in study.at("trials").folders(".")}
        trials = [(config, read_record(study, trial_id)) for trial_id, config in configs.items() if config is not None]
    return sorted(trials, key=lambda pair: pair[0].ask_number)


def _read_config(study: Store, trial_id: str, methods: Mapping[str, type[Config]]) -> TrialConfig[Any] | None:
    """The config in a trial's folder; None if it has none."""
    name = f"trials/{trial_id}/config.json"
    data = study.read_or_none(name)
    if data is None:
        return None
    try:
        config = read_trial_config(data, methods)
    except ValueError as error:
        raise StoreError(f"{study.path(name)} is damaged ({error}); delete the trial's folder to run the trial again") from error
    if config.trial_id != trial_id:
        raise StoreError(
            f"{study.path(name)} was changed after it was written: its hash is {config.trial_id}; delete the trial's folder to "
            "run the trial again"
        )
    return config


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
