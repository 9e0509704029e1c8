"""Distils one set as a config says, with a checkpoint in the store from which a killed distillation continues.

Shared by trials, comparisons, certificates and forecasts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raydistill.core.contract import Checkpoint, Report, train_part
from raydistill.core.experts import Experts
from raydistill.core.synthetic import Manifest, SyntheticSet
from raydistill.core.train import Tick, no_tick
from raydistill.data.sealed_tensors import seal_tensors, unseal_tensors
from raydistill.data.splits import Splits
from raydistill.errors import StoreError
from raydistill.methods import METHODS
from raydistill.spaces.sections import derive_seed
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.layout import CHECKPOINT_FILE
from raydistill.storage.record import code_sha256
from raydistill.storage.store import Store

CHECKPOINT_SECONDS = 20.0
DROPPED = "dropped_steps"
"""Name beside a method's own tensors in a checkpoint; left out while it is 0."""


def distil(
    config: TrialConfig[Any],
    splits: Splits,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint,
    experts: Experts | None,
    *,
    tick: Tick = no_tick,
) -> SyntheticSet:
    """Distil the synthetic set of a config on the train split, with a generator seeded by the config.

    Args:
        config: the trial's config.
        splits: its data.
        device: device to compute on.
        report: called after every step.
        checkpoint: saves the method's state.
        experts: from `open_experts`; None if the method needs none.
        tick: called after every step of a network that trains before the first step, for a pool or for features.

    Raises:
        DivergedError: a loss is not finite.
        StoreError: an expert's file is damaged.
    """
    return METHODS[config.method.name].distill(
        train_part(splits, device, tick),
        config.network,
        config.method,
        config.ipc,
        generator=torch.Generator().manual_seed(derive_seed(config.seed, "distil")),
        device=device,
        report=report,
        checkpoint=checkpoint,
        **({} if experts is None else {"experts": experts}),
    )


def manifest_of(config: TrialConfig[Any], splits: Splits) -> Manifest:
    """What a set's file says of the set: its config, the images' preprocessing, the classes, and this code."""
    return Manifest(
        preprocess=splits.preprocess,
        class_names=splits.class_names,
        config=json.loads(config.canonical_json()),
        code_sha256=code_sha256(),
    )


class StoredCheckpoint:
    """Saves a method's state in `<trial>/checkpoint.safetensors`, at most every `every_seconds` seconds.

    With it goes `dropped_steps`, which the trial counts: the steps so far that did not change the set.
    """

    def __init__(self, folder: Store, every_seconds: float = CHECKPOINT_SECONDS, *, is_continued: bool = True) -> None:
        """Prepare.

        Args:
            folder: the trial's.
            every_seconds: the least time between two saves.
            is_continued: whether an earlier state may be continued; otherwise one that lies there is deleted.
        """
        self._folder = folder
        self._is_continued = is_continued
        self._every_seconds = every_seconds
        self._saved_at = time.monotonic()
        self.dropped_steps = 0

    def load(self) -> Mapping[str, Tensor] | None:
        """The last saved state, on the CPU, or None.

        Raises:
            StoreError: the file is damaged.
        """
        data = self._folder.read_or_none(CHECKPOINT_FILE)
        if data is not None and not self._is_continued:
            self._folder.delete(CHECKPOINT_FILE)
            return None
        try:
            saved = None if data is None else unseal_tensors(data)
        except ValueError as error:
            raise StoreError(
                f"{self._folder.path(CHECKPOINT_FILE)} is damaged ({error}); delete it and the progress.json in the same folder "
                "to run the trial from its start"
            ) from error
        if saved is not None and DROPPED in saved:
            self.dropped_steps = int(saved.pop(DROPPED))
        return saved

    def is_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._saved_at >= self._every_seconds

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Save a state."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
        if self.dropped_steps:
            tensors[DROPPED] = torch.tensor(self.dropped_steps)
        self._folder.write(CHECKPOINT_FILE, seal_tensors(tensors))
        self._saved_at = time.monotonic()
