"""The files of an expert set: a row (JSON) and tensors with a verified hash per expert, and the set as methods read it."""

from __future__ import annotations

import functools
import hashlib
import statistics
from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import safe_open
from safetensors.torch import load
from torch import Tensor

from raydistill.core.synthetic import sha256
from raydistill.data.splits import Splits
from raydistill.errors import StoreError, StoreUnavailableError
from raydistill.experts.need import ExpertNeed, need_of
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.node_cache import cached
from raydistill.storage.record import code_sha256
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored

IN_MEMORY_BYTES = 2**29
"""Limit of the snapshots cached in memory; at least two are cached, because each iteration of a method needs two."""
HOW_TO_REBUILD = "build it again: raydistill experts build SPACE"


class ExpertRow(Config):
    """Information about one expert, or about one network's scores. Written after the tensors: if it exists, they are complete."""

    epochs: tuple[int, ...] = Field(strict=False)
    """Epochs whose snapshots the file contains; empty for scores."""
    sha256: str
    """Hash of the file of tensors."""
    bytes: int
    train_accuracy_fraction: float | None
    """Accuracy on the train split after the last epoch; null for scores."""
    seconds: float
    code_sha256: str
    versions: dict[str, str]
    device: str
    built_at: str
    """UTC, ISO 8601."""


def read_row(store: Store, file: str) -> ExpertRow | None:
    """The row of an expert or of scores; None if it is not built.

    Raises:
        StoreError: the row is damaged.
    """
    return read_stored(store, f"{file}.json", ExpertRow, HOW_TO_REBUILD)


def tensors_file(file: str, sha256: str) -> str:
    """Name of the file with an expert's tensors; includes their hash, so that a rebuild keeps the file a running trial reads."""
    return f"{file}-{sha256[:12]}.safetensors"


def read_tensors(store: Store, file: str, row: ExpertRow) -> dict[str, Tensor]:
    """The tensors that belong to a row.

    Raises:
        StoreError: the file is missing or damaged.
    """
    name = tensors_file(file, row.sha256)
    try:
        data = store.read(name)
    except FileNotFoundError as error:
        raise StoreError(f"{store.path(name)} is missing; {HOW_TO_REBUILD}") from error
    if sha256(data) != row.sha256:
        raise StoreError(f"{store.path(name)} is damaged: its hash differs from the one in its JSON file; {HOW_TO_REBUILD}")
    return load(data)


def tensors_path(store: Store, file: str, row: ExpertRow) -> Path:
    """Path of a local file with the tensors, after verifying its hash: the file in a local store, or a copy on this node.

    Raises:
        StoreError: the file is missing or damaged.
    """
    name = tensors_file(file, row.sha256)
    if store.is_local:
        read_tensors(store, file, row)
        return store.local_path(name)
    try:
        path = cached(store, name, row.sha256)
    except FileNotFoundError as error:
        raise StoreError(f"{store.path(name)} is missing; {HOW_TO_REBUILD}") from error
    if path is None:
        raise StoreError(f"{store.path(name)} is damaged: its hash differs from the one in its JSON file; {HOW_TO_REBUILD}")
    return path


def there(row: ExpertRow | None, file: str) -> ExpertRow:
    """The row, which must not be None.

    Raises:
        StoreError: the row is None.
    """
    if row is None:
        raise StoreError(f"expert file {file} does not exist; build the experts first: raydistill experts build SPACE")
    return row


def missing(need: ExpertNeed, store: Store, *, rebuild_damaged: bool = False) -> tuple[list[int], list[int]]:
    """Numbers of the scoring networks, and of the experts, that are still missing.

    Args:
        need: the expert set.
        store: the store with the expert sets.
        rebuild_damaged: count damaged files as missing.

    Raises:
        StoreError: a file is damaged, and `rebuild_damaged` is False.
    """
    scores = [i for i in range(need.score_networks) if not is_whole(store, need.file("scores", i), set(), rebuild_damaged)]
    experts = [i for i in range(need.count) if not is_whole(store, need.file("expert", i), need.kept, rebuild_damaged)]
    return (scores if experts else []), experts


def is_whole(store: Store, file: str, epochs: set[int], rebuild_damaged: bool) -> bool:
    """Whether a file exists and has the snapshots of these epochs; see `missing`."""
    try:
        row = read_row(store, file)
        if row is None or not epochs <= set(row.epochs):
            return False
        read_tensors(store, file, row)
    except StoreUnavailableError:
        raise  # the file may be whole
    except StoreError:
        if rebuild_damaged:
            return False
        raise
    return True


def open_experts(config: TrialConfig[Any], splits: Splits, store: Store) -> StoredExperts | None:
    """The experts that a trial reads; None if its method needs none.

    Raises:
        StoreError: an expert is missing, or the snapshot of a needed epoch is missing.
    """
    need = need_of(config, splits)
    return None if need is None else StoredExperts(need, store)


class StoredExperts:
    """The experts of one set, as methods read them."""

    def __init__(self, need: ExpertNeed, store: Store) -> None:
        """Open a set.

        Raises:
            StoreError: an expert is missing, or the snapshot of a needed epoch is missing.
        """
        self._need = need
        self._store = store
        self._rows = []
        for index in range(need.count):
            row = there(read_row(store, file := need.file("expert", index)), store.path(file))
            if lacking := need.kept - set(row.epochs):
                raise StoreError(f"{store.path(file)} lacks the snapshots of epochs {sorted(lacking)}; {HOW_TO_REBUILD}")
            self._rows.append(row)
        in_memory = max(2, IN_MEMORY_BYTES // (4 * need.parameters))
        self._load = functools.lru_cache(maxsize=in_memory)(self._read)
        self._paths: dict[int, Path] = {}

    @property
    def count(self) -> int:
        """Number of experts."""
        return self._need.count

    @property
    def epochs(self) -> int:
        """Number of epochs of each expert."""
        return self._need.settings.epochs

    @property
    def sha256(self) -> str:
        """Hash of all experts, on which a trial's result depends."""
        return hashlib.sha256("".join(row.sha256 for row in self._rows).encode()).hexdigest()

    @property
    def other_code(self) -> set[str]:
        """Hashes of other versions of the code that trained some of the experts."""
        return {row.code_sha256 for row in self._rows} - {code_sha256()}

    @property
    def collapsed(self) -> dict[int, float]:
        """Number and accuracy fraction of each expert whose final accuracy on the train split is below half of the median."""
        accuracies = [row.train_accuracy_fraction or 0.0 for row in self._rows]
        half = statistics.median(accuracies) / 2
        return {index: accuracy for index, accuracy in enumerate(accuracies) if accuracy < half}

    def snapshot(self, expert: int, epoch: int) -> Tensor:
        """(P,) float32 on the CPU: an expert's parameters after `epoch` epochs.

        Raises:
            KeyError: the snapshot of that epoch was not saved.
            StoreError: the file is damaged.
        """
        return self._load(expert, epoch)

    def _read(self, expert: int, epoch: int) -> Tensor:
        """Read one snapshot. The file's hash is verified at the first read; later reads load only the snapshot."""
        file, row = self._need.file("expert", expert), self._rows[expert]
        if epoch not in row.epochs:
            raise KeyError(epoch)
        place = row.epochs.index(epoch)
        if expert not in self._paths:
            self._paths[expert] = tensors_path(self._store, file, row)
        with safe_open(self._paths[expert], framework="pt") as tensors:
            return tensors.get_slice("snapshots")[place]  # type: ignore[no-any-return]
