"""Controls of methods with soft labels: real images as `coreset` takes them, labelled by the same experts. They learn nothing.

Reference: DD-Ranking (Li et al., 2024) compares soft-label methods with random images under labels of a teacher, because much of
their gain comes from the teacher. Here the labels are those that DATM and PAD start from (`core/soft_labels.py`).

Under the same seed the images are those that the control with hard labels takes, and those of `random_soft` are what a method
with `init: real` starts from, so that all compare in pairs. No rate is learned: networks are trained on the set at the recipe's
rate.

Algorithm: 1. choose K * IPC train images; 2. label them with the experts; 3. report them as the set after 0 of 0 steps.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field

from raydistill.core.contract import Checkpoint, Report, TrainPart
from raydistill.core.experts import ONLY_CHOICES, Curriculum, ExpertFields, Experts
from raydistill.core.selection import starting_images
from raydistill.core.soft_labels import soft_labels
from raydistill.core.synthetic import SyntheticSet, hard_labels
from raydistill.methods.coreset import HerdingConfig, KCenterConfig, KMeansConfig, KMeansMedoidsConfig, RandomConfig, start_of
from raydistill.spaces.network import NetworkConfig


class ExpertLabels(ExpertFields):
    """The experts that label the chosen images."""

    expert_curriculum: Curriculum | None = Field(default=None, json_schema_extra=ONLY_CHOICES)
    """What PAD's experts see in which epoch; null where experts see everything."""

    def curriculum(self) -> Curriculum | None:
        """The schedule as given."""
        return self.expert_curriculum


class RandomSoftConfig(ExpertLabels, RandomConfig):
    """Random real images of each class, without replacement, with soft labels."""

    name: Literal["random_soft"]  # type: ignore[assignment]


class KCenterSoftConfig(ExpertLabels, KCenterConfig):
    """Real images by greedy k-center, with soft labels."""

    name: Literal["k_center_soft"]  # type: ignore[assignment]


class HerdingSoftConfig(ExpertLabels, HerdingConfig):
    """Real images by herding, with soft labels."""

    name: Literal["herding_soft"]  # type: ignore[assignment]


class KMeansSoftConfig(ExpertLabels, KMeansConfig):
    """Mean images of k-means clusters, with soft labels."""

    name: Literal["k_means_soft"]  # type: ignore[assignment]


class KMeansMedoidsSoftConfig(ExpertLabels, KMeansMedoidsConfig):
    """The real image nearest to the centre of each k-means cluster, with soft labels."""

    name: Literal["k_means_medoids_soft"]  # type: ignore[assignment]


SoftConfig = RandomSoftConfig | KCenterSoftConfig | HerdingSoftConfig | KMeansSoftConfig | KMeansMedoidsSoftConfig


def of_the_same_experts(method: ExpertFields) -> dict[str, Any]:
    """The control's fields beside a method that reads experts."""
    return {**method.model_dump(include=set(ExpertFields.model_fields)), "expert_curriculum": method.curriculum()}


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
    images = starting_images(start_of(config), train, network, ipc, generator)  # 1
    labels = soft_labels(experts, network, train, images, hard_labels(train.classes, ipc))  # 2
    synthetic = SyntheticSet(images=images, labels=labels, ipc=ipc)
    report(0, 0, None, synthetic)  # 3
    return synthetic
