"""Distilling one set as a config says, and the checkpoint on a store from which a method that was killed continues.

What trials, comparisons, certificates and forecasts share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from raydistill.core.contract import Checkpoint, Report, train_part
from raydistill.core.experts import Experts
from raydistill.core.synthetic import Manifest, SyntheticSet
from raydistill.data.splits import Splits
from raydistill.errors import StoreError
from raydistill.methods import METHODS
from raydistill.spaces.sections import derive_seed
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.record import code_sha256
from raydistill.storage.store import Store

CHECKPOINT_SECONDS = 20.0


def distil(
    config: TrialConfig[Any],
    splits: Splits,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint,
    experts: Experts | None,
) -> SyntheticSet:
    """The synthetic set of a config: its method, run on the train part alone with a generator seeded by the config.

    Args:
        config: what to run.
        splits: its data.
        device: where it computes.
        report: told after every step.
        checkpoint: keeps the method's state.
        experts: as `open_experts` gives them for the config.

    Raises:
        DivergedError: a loss is not finite.
        StoreError: an expert's file is damaged.
    """
    return METHODS[config.method.name].distill(
        train_part(splits, device),
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
    """A method's state in `<trial>/checkpoint.safetensors`, written every so many seconds."""

    def __init__(self, folder: Store, every_seconds: float = CHECKPOINT_SECONDS) -> None:
        self._folder = folder
        self._every_seconds = every_seconds
        self._saved_at = time.monotonic()

    def load(self) -> Mapping[str, Tensor] | None:
        """The state last saved, on the CPU, or None.

        Raises:
            StoreError: its file is damaged.
        """
        name = "checkpoint.safetensors"
        data = self._folder.read_or_none(name)
        try:
            return None if data is None else load(data)
        except SafetensorError as error:
            raise StoreError(
                f"{self._folder.path(name)} is damaged ({error}); delete it and progress.json beside it to run the trial from "
                "its start"
            ) from error

    def is_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._saved_at >= self._every_seconds

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Keep a state."""
        self._folder.write(
            "checkpoint.safetensors", save({name: value.detach().cpu().contiguous() for name, value in state.items()})
        )
        self._saved_at = time.monotonic()
