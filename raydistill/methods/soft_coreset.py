"""Controls of methods with soft labels: real images as `coreset` takes them, labelled by the same experts. They learn nothing.

Reference: DD-Ranking (Li et al., 2024) compares soft-label methods with random images under labels of a teacher, because much of
their gain comes from the teacher. Here the labels are those that DATM and PAD start from (`core/soft_labels.py`).

Under the same seed the images are those that the control with hard labels takes, and those of `random_soft` are what a method
with `init: real` starts from, so that all compare in pairs. No rate is learned: networks are trained on the set at the recipe's
rate.

Algorithm: 1. choose IPC train images of each class; 2. label them with the experts; 3. report them as the set after 0 of 0 steps.
"""

from __future__ import annotations

import torch

from raydistill.core.contract import Checkpoint, Report, TrainPart
from raydistill.core.experts import Experts
from raydistill.core.selection import starting_images
from raydistill.core.soft_labels import with_soft_labels
from raydistill.core.synthetic import SyntheticSet, hard_labels
from raydistill.methods.configs.soft_coreset import (
    HerdingSoftConfig,
    KCenterSoftConfig,
    KMeansMedoidsSoftConfig,
    KMeansSoftConfig,
    RandomSoftConfig,
)
from raydistill.methods.coreset import start_of
from raydistill.spaces.network import NetworkConfig

SoftConfig = RandomSoftConfig | KCenterSoftConfig | HerdingSoftConfig | KMeansSoftConfig | KMeansMedoidsSoftConfig


def choose(
    train: TrainPart,
    network: NetworkConfig,
    config: SoftConfig,
    ipc: int,
    *,
    generator: torch.Generator,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint,
    experts: Experts,
) -> SyntheticSet:
    """The chosen images with their labels; arguments as in `trajectory.match_trajectories`."""
    del device, checkpoint
    images = starting_images(start_of(config), train, network, ipc, generator, config.factor)  # 1
    chosen = SyntheticSet(images=images, labels=hard_labels(train.classes, ipc), ipc=ipc, factor=config.factor)
    synthetic = with_soft_labels(chosen, experts, network, train)  # 2
    report(0, 0, None, synthetic)  # 3
    return synthetic
