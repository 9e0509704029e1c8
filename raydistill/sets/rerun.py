"""Repeats a trial from its folder in a study, and compares the new set with the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from raydistill.catalogue import load_space
from raydistill.core.synthetic import SyntheticSet
from raydistill.errors import InputError
from raydistill.methods import method_configs
from raydistill.sets.distilling import only_trial
from raydistill.sets.set_file import read_set_file
from raydistill.spaces.paths import given_path
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.storage.checkout import commit
from raydistill.storage.data_root import DataRoot
from raydistill.storage.layout import CONFIG_FILE, SET_FILE
from raydistill.storage.record import TrialRecord, code_sha256, read_record, versions
from raydistill.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Rerun:
    """Comparison of a trial's set with the set of its repetition."""

    is_same_set: bool
    """Whether images, labels and learned learning rate are bit for bit equal."""
    is_same_reading: bool
    """Whether each network's accuracy equals the one in the trial's record."""
    recorded_accuracy_fractions: tuple[float, ...]
    then_by: str
    """Versions of the code and of torch at the original trial."""
    then_device: str
    now_by: str
    """The same for the repetition."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EarlierTrial:
    """A trial of a study, read from its folder."""

    config: TrialConfig[Any]
    record: TrialRecord | None
    """None if the trial has not ended."""
    folder: Store

    @property
    def store(self) -> Store:
        """The store of its study, which also contains the experts."""
        return self.folder.absolute.parent.parent.parent

    def compare(self, again: SyntheticSet, accuracy_fractions: Sequence[float]) -> Rerun | None:
        """Compare a repeated set with the trial's; None if the trial has no set.

        Args:
            again: the repeated set.
            accuracy_fractions: accuracy on the select images of networks trained on it with the trial's seeds.
        """
        record = self.record
        if record is None or record.final is None or not self.folder.exists(SET_FILE):
            return None
        stored = read_set_file(self.folder.root)[0]
        recorded = record.final.accuracy_fractions
        return Rerun(
            is_same_set=torch.equal(stored.images, again.images.cpu())
            and torch.equal(stored.labels, again.labels.cpu())
            and stored.learned_lr == again.learned_lr,
            recorded_accuracy_fractions=recorded,
            # A trial with `least_networks` may have ended before its last network.
            is_same_reading=tuple(accuracy_fractions[: len(recorded)]) == recorded,
            then_by=f"{_code(record.commit, record.code_sha256)}, torch {record.versions.get('torch')}",
            then_device=record.device,
            now_by=f"{_code(commit(), code_sha256())}, torch {versions().get('torch')}",
        )


def to_distil(
    given: str | Path | Mapping[str, Any], overrides: Sequence[str], store: str | Path | None, data_root: DataRoot
) -> tuple[TrialConfig[Any], Store, EarlierTrial | None]:
    """What to distil: a space without ranges, or a trial that is repeated from its folder.

    Args:
        given: a space, or the folder of a trial.
        overrides: `path.to.field=value`; only for a space.
        store: store with the experts; None means the trial's store, and `studies` for a space.
        data_root: folder or URI of the data files.

    Returns:
        The trial config, the store of its experts, and the earlier trial (None for a space).

    Raises:
        SpaceError: the space has mistakes or ranges.
        InputError: there is no such space; or see `earlier_trial`.
    """
    trial = earlier_trial(given, overrides)
    if trial is not None:
        return trial.config, Store(str(store)) if store else trial.store, trial
    return only_trial(load_space(given, overrides, data_root, for_search=False), data_root), Store(str(store or "studies")), None


def earlier_trial(given: str | Path | Mapping[str, Any], overrides: Sequence[str]) -> EarlierTrial | None:
    """The trial in a folder or at a URI; None if there is no trial, for example because a space is given.

    Raises:
        InputError: the trial's config is damaged, or overrides are given, which would change the trial.
        StoreError: the trial's record is damaged.
    """
    if isinstance(given, Mapping) or ("://" not in str(given) and not given_path(given).is_dir()):
        return None
    folder = Store(str(given).rstrip("/"))
    data = folder.read_or_none(CONFIG_FILE)
    if data is None:
        return None
    if overrides:
        raise InputError(
            f"given --set {', '.join(overrides)} for the trial {folder.root}, which is repeated unchanged: remove --set, or "
            "distil a space with it"
        )
    try:
        config = read_trial_config(data, method_configs())
    except ValueError as error:
        raise InputError(f"{folder.path('config.json')} is damaged ({error}); give the folder of an undamaged trial") from error
    absolute = folder.absolute
    record = read_record(absolute.parent.parent, config.trial_id)
    return EarlierTrial(config=config, record=record, folder=absolute)


def _code(commit: str | None, code_sha256: str) -> str:
    return f"code {code_sha256[:12]}" if commit is None else f"commit {commit}"
