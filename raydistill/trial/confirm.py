"""The confirmation of a candidate: networks with new seeds are evaluated on the confirm images, which the search never used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raydistill.core.evaluate import evaluate_set, network_seeds
from raydistill.core.lossless import GapInterval, gap_interval
from raydistill.core.metrics import accuracy_of
from raydistill.core.process import prepare_process
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import SyntheticSet, decode, sha256
from raydistill.data.splits import splits_of
from raydistill.errors import StoreError
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import read_baseline
from raydistill.storage.data_root import DataRoot
from raydistill.storage.layout import CONFIRMATION_FILE, SET_FILE, trial_file
from raydistill.storage.record import TrialRecord, pack_bits, read_record, unpack_bits
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_needed, read_stored, write_stored

TRAINED_AGAIN = "delete it and run the search again, which trains the network again"
"""What to do about a damaged file of a network."""


class ConfirmReading(Config):
    """One network trained on a candidate's set. Written to `trials/<id>/confirm-<index>.json`."""

    seed: int
    confirm_correct: str
    """Which confirm images it classifies correctly, as packed bits in hex (`pack_bits`)."""
    images_sha256: str | None = None
    """Hash of the set that it was trained on, as in the trial's record; null in files of older versions."""


class Confirmation(Config):
    """The result of one trial's set on the confirm images. Written to `trials/<id>/confirmation.json`."""

    interval: GapInterval
    is_lossless: bool
    """Whether the gap's upper bound is within the margin."""
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """Accuracy of each network on the confirm images; balanced accuracy where that is the goal's metric."""


def missing_readings(config: TrialConfig[Any], study: Store, indices: Iterable[int]) -> list[int]:
    """Those of the networks that have no file yet, or one of a set that the trial no longer has: it may have been made anew.

    Raises:
        StoreError: the trial is not finished, or a network's file is damaged.
    """
    record = _finished(study, config.trial_id)
    missing = []
    for index in indices:
        found = read_stored(study, _file(config.trial_id, index), ConfirmReading, TRAINED_AGAIN)
        if found is None or found.images_sha256 not in (None, record.images_sha256):
            missing.append(index)
    return missing


def train_confirm_networks(config: TrialConfig[Any], indices: Sequence[int], study: Store, data_root: DataRoot = None) -> None:
    """Train new networks together on a trial's set and write `trials/<id>/confirm-<index>.json`; those of this set stay."""
    missing = missing_readings(config, study, indices)
    if not missing:
        return
    splits = splits_of(config, data_root)
    device = prepare_process(config)
    every = network_seeds("confirm", splits.sha256, max(missing) + 1)
    seeds = [every[index] for index in missing]
    record, recipe = _finished(study, config.trial_id), RECIPES[config.evaluation.recipe]
    synthetic = read_set(study, config.trial_id)
    # A network that diverges counts as one that is right by chance: the candidate may then fall, where an error would end the
    # whole search.
    correct = evaluate_set(
        synthetic, splits, splits.confirm, config.network, recipe, seeds, device, at_once=len(seeds), diverged=None
    )
    for index, seed, bits in zip(missing, seeds, pack_bits(correct), strict=True):
        reading = ConfirmReading(seed=seed, confirm_correct=bits, images_sha256=record.images_sha256)
        write_stored(study, _file(config.trial_id, index), reading)


def finish_confirmation(config: TrialConfig[Any], study: Store, confidence: float) -> Confirmation:
    """Combine the networks and write `trials/<id>/confirmation.json`.

    Args:
        config: the trial's config.
        study: the study's folder.
        confidence: one-sided confidence of the gap's bounds; in a race each side has a share of the goal's.
    """
    baseline = read_baseline(study)
    if baseline is None:
        raise StoreError(f"{study.root} has no baseline; run the search again to build it")
    folder = f"trials/{config.trial_id}"
    files = [_file(config.trial_id, index) for index in range(config.evaluation.confirm_networks)]
    rows = [read_needed(study, name, ConfirmReading, TRAINED_AGAIN).confirm_correct for name in files]
    try:
        correct: NDArray[np.bool_] = unpack_bits(rows, baseline.confirm_images)
    except ValueError as error:
        raise StoreError(
            f"a file {study.path(folder)}/confirm-*.json is damaged ({error}); delete these files and run the search again, "
            "which trains the networks again"
        ) from error
    interval = gap_interval(baseline.confirm_correct, correct, confidence, baseline.confirm_classes)
    confirmation = Confirmation(
        interval=interval,
        is_lossless=interval.upper <= config.goal.margin_fraction,
        accuracy_fractions=tuple(accuracy_of(correct, baseline.confirm_classes).tolist()),
    )
    write_stored(study, f"{folder}/{CONFIRMATION_FILE}", confirmation)
    return confirmation


def read_set(study: Store, trial_id: str) -> SyntheticSet:
    """A finished trial's set, after verifying its hash.

    Raises:
        StoreError: the trial is not finished, or the file is missing or differs from the hash in the record.
    """
    record = _finished(study, trial_id)
    name = trial_file(trial_id, SET_FILE)
    data = study.read_or_none(name)
    if data is None:
        raise StoreError(
            f"{study.path(name)} is missing; restore it, or delete the trial's record.json and run the search again, which "
            "distils it again"
        )
    if sha256(data) != record.images_sha256:
        raise StoreError(
            f"{study.path(name)} has changed: its hash differs from the one in the trial's record; restore the original file"
        )
    return decode(data)[0]


def _finished(study: Store, trial_id: str) -> TrialRecord:
    record = read_record(study, trial_id)
    if record is None or record.images_sha256 is None:
        raise StoreError(f"trial {trial_id} in {study.root} has no finished set; run the search again")
    return record


def _file(trial_id: str, index: int) -> str:
    return f"trials/{trial_id}/confirm-{index}.json"
