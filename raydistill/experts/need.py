"""The experts that a trial reads, derived from its config."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from raydistill.core.choices import parse_operations
from raydistill.core.expert_fields import ExpertFields, ExpertSettings
from raydistill.core.networks import build_network, initialise
from raydistill.core.unroll import flatten
from raydistill.data.splits import Splits
from raydistill.errors import ExpertsError
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.sections import derive_seed
from raydistill.spaces.trial import TrialConfig

FOLDER = "experts"
"""Folder of all expert sets, in the store."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpertNeed:
    """The experts that one or more trials read: one expert set."""

    settings: ExpertSettings
    count: int
    """Number of experts."""
    epochs: range
    """Epochs whose snapshots the trials may read, in addition to the last epoch."""
    parameters: int
    """P, the number of parameters of a network."""
    train_images: int

    @property
    def kept(self) -> set[int]:
        """Every epoch whose snapshot is needed."""
        return {*self.epochs, self.settings.epochs}

    @property
    def size_bytes(self) -> int:
        """Size on disk, in float32."""
        return self.count * len(self.kept) * self.parameters * 4

    def passes(self, experts: int, scores: int) -> int:
        """Number of passes (forward and backward) over the train split that training takes.

        GSAM needs two passes per epoch. An epoch in which a curriculum leaves out images counts as a full one.

        Args:
            experts: number of experts to train.
            scores: number of scoring networks to train.
        """
        score_epochs = self.settings.curriculum.score_epochs if self.settings.curriculum else 0
        return (2 if self.settings.rho > 0 else 1) * (experts * self.settings.epochs + scores * score_epochs)

    @property
    def score_networks(self) -> int:
        """Number of networks that score images for the curriculum."""
        return self.settings.curriculum.score_networks if self.settings.curriculum else 0

    def file(self, kind: str, index: int) -> str:
        """Path in the store, without extension, of an expert (kind `expert`) or of a network's scores (kind `scores`)."""
        return f"{FOLDER}/{self.settings.key}/{kind}-{index:03d}"

    def joined(self, other: ExpertNeed) -> ExpertNeed:
        """The need that covers this one and another one with the same settings."""
        epochs = [*self.epochs, *other.epochs]
        span = range(min(epochs), max(epochs) + 1) if epochs else range(0)
        return replace(self, count=max(self.count, other.count), epochs=span)


def need_of(config: TrialConfig[Any], splits: Splits) -> ExpertNeed | None:
    """The experts that a trial reads; None if its method needs none.

    Raises:
        ExpertsError: the trial reads epochs after the experts' last one.
    """
    if not isinstance(config.method, ExpertFields):
        return None
    dataset = config.dataset.model_dump(mode="json", exclude={"path"})
    return need_for(config.method, config.network, dataset, splits)


def need_for(fields: ExpertFields, network: NetworkConfig, dataset: dict[str, Any], splits: Splits) -> ExpertNeed:
    """The experts that a method reads.

    Args:
        fields: the method's settings.
        network: architecture.
        dataset: name, split and preprocessing of the data set.
        splits: the data; the experts are trained on its train split.

    Raises:
        ExpertsError: the method reads epochs after the experts' last one.
    """
    if (beyond := fields.epochs_read()) and beyond[-1] > fields.expert_epochs:
        raise ExpertsError(
            f"trials of this space read experts up to epoch {beyond[-1]}, but method.expert_epochs is {fields.expert_epochs}: "
            "raise it, or use an earlier window"
        )
    settings = ExpertSettings(
        dataset=dataset,
        data_sha256=splits.sha256,
        network=network,
        operations=parse_operations(fields.augmentation, mirror_keeps_class=splits.mirror_keeps_class),
        epochs=fields.expert_epochs,
        lr=fields.expert_lr,
        momentum=fields.expert_momentum,
        batch=fields.expert_batch,
        rho=fields.expert_rho,
        gap_weight=fields.expert_gap_weight,
        seed=fields.expert_seed,
        curriculum=fields.curriculum(),
    )
    built = build_network(network, splits.shape, len(splits.class_names), torch.device("meta"))
    parameters = sum(parameter.numel() for parameter in built.parameters())
    return ExpertNeed(
        settings=settings,
        count=fields.experts,
        epochs=fields.epochs_read(),
        parameters=parameters,
        train_images=len(splits.train.labels),
    )


def needs_of(configs: Iterable[TrialConfig[Any]], splits: Splits) -> list[ExpertNeed]:
    """The experts that trials read, one entry per expert set."""
    joined: dict[str, ExpertNeed] = {}
    for need in filter(None, (need_of(config, splits) for config in configs)):
        key = need.settings.key
        joined[key] = joined[key].joined(need) if key in joined else need
    return list(joined.values())


class UntrainedExperts:
    """Replaces experts in measurements of time and memory: every snapshot is a different random network."""

    def __init__(self, need: ExpertNeed, splits: Splits) -> None:
        """Replace the experts of `need`."""
        self._need = need
        self._network = build_network(need.settings.network, splits.shape, len(splits.class_names), torch.device("cpu"))

    @property
    def count(self) -> int:
        """Number of experts."""
        return self._need.count

    @property
    def epochs(self) -> int:
        """Number of epochs of each replaced expert."""
        return self._need.settings.epochs

    def snapshot(self, expert: int, epoch: int) -> Tensor:
        """(P,) float32 on the CPU: random parameters."""
        initialise(self._network, torch.Generator().manual_seed(derive_seed("untrained", expert, epoch)))
        return flatten(self._network)
