"""Trains experts and networks that score the difficulty of images, one job each."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from raydistill.core.contract import TrainPart, train_part
from raydistill.core.cost import Stopwatch
from raydistill.core.experts import difficulty, train_expert
from raydistill.core.process import prepare_process
from raydistill.core.synthetic import sha256
from raydistill.data.splits import splits_of
from raydistill.errors import StoreError
from raydistill.experts.files import ExpertRow, is_whole, missing, read_row, read_tensors, tensors_file, there
from raydistill.experts.need import ExpertNeed
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import code_sha256, versions
from raydistill.storage.store import Store
from raydistill.storage.versioned import write_stored


def check_disk(needs: Sequence[ExpertNeed], store: Store, *, rebuild_damaged: bool = False) -> None:
    """Check that the disk has space for the missing experts; does nothing for stores that are not local folders.

    Raises:
        StoreError: the disk has too little free space.
    """
    if not store.is_local:
        return
    needed = sum(need.size_bytes // need.count * len(missing(need, store, rebuild_damaged=rebuild_damaged)[1]) for need in needs)
    folder = store.local_path(".")
    free = shutil.disk_usage(next(path for path in (folder, *folder.absolute().parents) if path.exists())).free
    if needed > free:
        raise StoreError(
            f"the experts need {needed / 2**30:.2f} GiB, but {folder} has {free / 2**30:.2f} GiB free: use fewer experts or an "
            "earlier window, give another --store, or free space (raydistill experts prune)"
        )


def build_scores(config: TrialConfig[Any], index: int, store: Store, data_root: DataRoot = None, *, need: ExpertNeed) -> None:
    """Train one of the networks that score the images, and write its scores; does nothing if they exist.

    Args:
        config: a trial that reads the experts; determines data, threads and device.
        index: number of the network.
        store: the store with the expert sets.
        data_root: folder or URI of the data files.
        need: the expert set.
    """
    file = need.file("scores", index)
    if is_whole(store, file, set(), rebuild_damaged=True):
        return
    splits, device = splits_of(config, data_root), prepare_process(config)
    watch = Stopwatch()
    with watch.measure("train"):
        scores = difficulty(train_part(splits, device), need.settings, index, device)
    _write(store, file, {"scores": scores}, seconds=watch.seconds["train"], epochs=(), accuracy=None, device=device)


def build_expert(config: TrialConfig[Any], index: int, store: Store, data_root: DataRoot = None, *, need: ExpertNeed) -> None:
    """Train one expert and write it; does nothing if it exists. Arguments as for `build_scores`.

    Snapshots that an earlier build saved for another window are saved again.
    """
    file = need.file("expert", index)
    if is_whole(store, file, need.kept, rebuild_damaged=True):
        return
    splits, device = splits_of(config, data_root), prepare_process(config)
    train_and_keep(train_part(splits, device), index, store, need, device)


def train_and_keep(part: TrainPart, index: int, store: Store, need: ExpertNeed, device: torch.device) -> None:
    """Train one expert on the given images and write it; does nothing if it exists."""
    file = need.file("expert", index)
    if is_whole(store, file, need.kept, rebuild_damaged=True):
        return
    kept = need.kept | _epochs_there(store, file)
    scores = mean_scores(need, store) if need.score_networks else None
    watch = Stopwatch()
    with watch.measure("train"):
        snapshots, accuracy = train_expert(part, need.settings, index, kept, scores, device)
    epochs = tuple(sorted(snapshots))
    tensors = {"epochs": torch.tensor(epochs), "snapshots": torch.stack([snapshots[epoch] for epoch in epochs])}
    _write(store, file, tensors, seconds=watch.seconds["train"], epochs=epochs, accuracy=accuracy, device=device)


def mean_scores(need: ExpertNeed, store: Store) -> Tensor:
    """(n,) difficulty of each train image, averaged over the set's scoring networks."""
    files = [need.file("scores", index) for index in range(need.score_networks)]
    return torch.stack([read_tensors(store, file, there(read_row(store, file), file))["scores"] for file in files]).mean(dim=0)


def _write(
    store: Store,
    file: str,
    tensors: dict[str, Tensor],
    *,
    seconds: float,
    epochs: tuple[int, ...],
    accuracy: float | None,
    device: torch.device,
) -> None:
    data = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    row = ExpertRow(
        epochs=epochs,
        sha256=sha256(data),
        bytes=len(data),
        train_accuracy_fraction=accuracy,
        seconds=seconds,
        code_sha256=code_sha256(),
        versions=versions(),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        built_at=datetime.now(UTC).isoformat(),
    )
    store.write(tensors_file(file, row.sha256), data)
    write_stored(store, f"{file}.json", row)


def _epochs_there(store: Store, file: str) -> set[int]:
    try:
        row = read_row(store, file)
    except StoreError:
        return set()  # a damaged row is about to be replaced, so its epochs do not count
    return set() if row is None else set(row.epochs)
