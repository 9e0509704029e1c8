"""A trial distilled again from its folder in a study, and whether the same set comes out."""

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
from raydistill.sets.one import only_trial, read_set_file
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.storage.checkout import commit
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import TrialRecord, code_sha256, read_record, versions
from raydistill.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Rerun:
    """A trial's set beside the set that came out when it was run again."""

    is_same_set: bool
    """Images, labels and learned rate, to the last bit."""
    is_same_reading: bool
    """Each network's accuracy is that of the trial's record."""
    recorded_accuracy_fractions: tuple[float, ...]
    then_by: str
    """Code and version of torch that made the trial."""
    then_device: str
    now_by: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EarlierTrial:
    """A trial of a study, as its folder tells it."""

    config: TrialConfig[Any]
    record: TrialRecord | None
    """None where it has not ended."""
    folder: Store

    @property
    def store(self) -> Store:
        """That of its study, which holds the experts."""
        return self.folder.absolute.parent.parent.parent

    def compare(self, again: SyntheticSet, accuracy_fractions: Sequence[float]) -> Rerun | None:
        """Whether a set that was distilled again is the trial's; None where the trial left no set.

        Args:
            again: the set.
            accuracy_fractions: of networks seeded as the trial's, trained on it and read on the select images.
        """
        record = self.record
        if record is None or record.final is None or not self.folder.exists("images.safetensors"):
            return None
        stored = read_set_file(self.folder.root)[0]
        return Rerun(
            is_same_set=torch.equal(stored.images, again.images.cpu())
            and torch.equal(stored.labels, again.labels.cpu())
            and stored.learned_lr == again.learned_lr,
            recorded_accuracy_fractions=record.final.accuracy_fractions,
            is_same_reading=tuple(accuracy_fractions) == record.final.accuracy_fractions,
            then_by=f"{_code(record.commit, record.code_sha256)}, torch {record.versions.get('torch')}",
            then_device=record.device,
            now_by=f"{_code(commit(), code_sha256())}, torch {versions().get('torch')}",
        )


def to_distil(
    given: str | Path | Mapping[str, Any], overrides: Sequence[str], store: str | Path | None, data_root: DataRoot
) -> tuple[TrialConfig[Any], Store, EarlierTrial | None]:
    """What a space without ranges, or a trial's folder, says to distil; the store of its experts; and the trial, where it is one.

    Args:
        given: a space, or the folder of a trial.
        overrides: of a space.
        store: with the experts; None is that of the trial, and `studies` for a space.
        data_root: folder or URI of the data files.

    Raises:
        SpaceError: the space has mistakes, or ranges are left.
        InputError: there is no such space, or as `earlier_trial` refuses.
    """
    trial = earlier_trial(given, overrides)
    if trial is not None:
        return trial.config, Store(str(store)) if store else trial.store, trial
    return only_trial(load_space(given, overrides, data_root), data_root), Store(str(store or "studies")), None


def earlier_trial(given: str | Path | Mapping[str, Any], overrides: Sequence[str]) -> EarlierTrial | None:
    """The trial in a folder or behind a URI; None if no trial lies there, as where a space is named.

    Raises:
        InputError: its config is damaged, or overrides are given, which would make it another trial.
        StoreError: its record is damaged.
    """
    if isinstance(given, Mapping) or ("://" not in str(given) and not Path(given).expanduser().is_dir()):
        return None
    folder = Store(str(given).rstrip("/"))
    data = folder.read_or_none("config.json")
    if data is None:
        return None
    if overrides:
        raise InputError(
            f"given {', '.join(overrides)} for the trial {folder.root}, which is run again as it was: leave --set out, or distil "
            "a space with it"
        )
    try:
        config = read_trial_config(data, method_configs())
    except ValueError as error:
        raise InputError(f"{folder.path('config.json')} is damaged ({error}); give the folder of a whole trial") from error
    absolute = folder.absolute
    record = read_record(absolute.parent.parent, config.trial_id)
    return EarlierTrial(config=config, record=record, folder=absolute)


def _code(commit: str | None, code_sha256: str) -> str:
    return f"code {code_sha256[:12]}" if commit is None else f"commit {commit}"
