"""The only place of a certification that opens the test split: once, after everything is trained and sealed."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import load

from raydistill.certify.arms import Plan
from raydistill.certify.certificate import Arm
from raydistill.core.metrics import counted_classes
from raydistill.core.networks import build_network
from raydistill.core.process import device_at_hand, prepare_process
from raydistill.core.train import is_correct
from raydistill.data.splits import LabelledImages, open_test, splits_of
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import pack_bits, pack_labels
from raydistill.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitReading:
    """Which test images the networks of all arms get right."""

    arms: tuple[Arm, ...]
    images: int
    sha256: str
    """Of the test images and labels."""
    read_on: str
    labels: str | None
    """Class of each test image, where the goal is of balanced accuracy (`pack_labels`)."""


def read_on_test(
    arms: tuple[Arm, ...],
    plan: Plan,
    winner: TrialConfig[Any],
    study: Store,
    *,
    reason: str,
    log: Store,
    data_root: DataRoot,
) -> SplitReading:
    """Open the test split and read every network of every arm on it.

    Args:
        arms: trained, in the order of the plan.
        plan: says where their parameters lie.
        winner: the certified trial's config.
        study: holds the parameters.
        reason: kept in the log of openings.
        log: the store whose log it is.
        data_root: folder or URI of the data files.
    """
    splits = splits_of(winner, data_root)
    # Networks that were trained on a GPU are read where the command runs, which on a cluster is a node without one.
    device_kind = device_at_hand() if winner.device == "cuda" else "cpu"
    device = prepare_process(winner.model_copy(update={"device": device_kind}))
    part = open_test(winner.dataset, reason=reason, log=log, data_root=data_root)
    on_device = part.to(device)
    read = []
    for arm, planned in zip(arms, plan.arms, strict=True):
        rows = []
        for index in range(plan.networks):
            network = build_network(winner.network, splits.shape, len(splits.class_names), device)
            network.load_state_dict(load(study.read(plan.parameters_file(planned, index))))
            rows.append(is_correct(network, on_device.images, on_device.labels).numpy())
        read.append(arm.model_copy(update={"correct": pack_bits(np.array(rows))}))
    counted = counted_classes(winner.goal.metric, part.labels.numpy())
    return SplitReading(
        arms=tuple(read),
        images=len(part.labels),
        sha256=_hash(part),
        read_on=_device_name(device),
        labels=None if counted is None else pack_labels(counted),
    )


def _hash(part: LabelledImages) -> str:
    digest = hashlib.sha256(part.labels.numpy().tobytes())
    for chunk in part.images.split(1000):
        # Flattened, images that are stored as bytes are an ordinary tensor, of which alone there is an array.
        digest.update(chunk.flatten(1).numpy().tobytes())
    return digest.hexdigest()


def _device_name(device: torch.device) -> str:
    """The device as a reader knows it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"
