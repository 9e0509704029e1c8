"""Expert trajectories (parameters saved while networks train on the full train split), and difficulty scores of images.

A snapshot of epoch e is the flat parameter vector (`unroll.flatten`) after e epochs; epoch 0 is the initialisation.

Training is SGD with momentum on cross-entropy at a constant learning rate. With `rho` above 0 each step is adaptive GSAM:

    g  = gradient at theta,      theta' = theta + rho * theta^2 * g / || |theta| * g ||,      g' = gradient at theta',
    step along  g' - gap_weight * (the part of g that is orthogonal to g').

Symbols: n train images, P parameters, K classes.

Source: trajectories as in MTT (Cazenavette et al., CVPR 2022); GSAM as in the experts of DATM (Guo et al., ICLR 2024), after
Zhuang et al., "Surrogate Gap Minimization Improves Sharpness-Aware Training", ICLR 2022; scores and curriculum as in PAD (Li et
al., "Prioritize Alignment in Dataset Distillation", 2024); the score is EL2N of Paul et al., NeurIPS 2021.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any, Protocol

import torch
from pydantic import Field, NonNegativeInt, field_validator, model_validator
from pydantic.config import JsonDict
from torch import Tensor
from torch.nn import functional

from raydistill.core.augment import augment_images, draw_one_operation, parse_operations, place_steps
from raydistill.core.contract import TrainPart
from raydistill.core.networks import Network, build_network, initialise
from raydistill.core.train import images_at_once, is_correct
from raydistill.core.unroll import flatten, logits_by_parameters
from raydistill.errors import DivergedError
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.sections import Config, derive_seed

ONLY_CHOICES: JsonDict = {"only_choices": True}
"""Marks a field that takes no range: every value needs its own experts, so a range would need too many."""


Share = Annotated[float, Field(ge=0, lt=1)]


class Curriculum(Config):
    """The images that an expert is trained on in each epoch (PAD's FIEX), as fractions of each class, ordered easy to hard."""

    initial_fraction: float = Field(gt=0, le=1)
    """IR: fraction of easiest images used in epoch 0."""
    all_from_epoch: int = Field(ge=0)
    """AEE: the fraction grows linearly to 1 until this epoch."""
    drop_epochs: tuple[NonNegativeInt, NonNegativeInt] = Field(strict=False)
    """R1, R2: after these epochs the easiest images are removed."""
    drop_fractions: tuple[Share, Share] = Field(strict=False)
    """r1, r2: fraction of easiest images removed after R1, and in total after R2."""
    score_networks: int = Field(ge=1)
    """Networks whose EL2N scores are averaged."""
    score_epochs: int = Field(ge=1)
    """Epochs that each of these networks is trained before it computes scores."""

    @model_validator(mode="after")
    def _drops_more_and_more(self) -> Curriculum:
        for name, (first, second) in (("epochs", self.drop_epochs), ("fractions", self.drop_fractions)):
            if first > second:
                raise ValueError(f"drop_{name} are {first} and {second}; the second must not be smaller: swap them")
        return self

    def span(self, epoch: int) -> tuple[float, float]:
        """The range of images of a class used in an epoch, as two fractions: 0 is the easiest image, 1 the hardest.

        Source: PAD, section 3.2 (data scheduler); the two steps of the removal are those of its published commands.
        """
        if epoch > self.drop_epochs[1]:
            return self.drop_fractions[1], 1.0
        if epoch > self.drop_epochs[0]:
            return self.drop_fractions[0], 1.0
        if epoch > self.all_from_epoch or self.all_from_epoch == 0:
            return 0.0, 1.0
        return 0.0, min(1.0, self.initial_fraction + (1 - self.initial_fraction) * epoch / self.all_from_epoch)

    def smallest_class(self) -> int:
        """Number of images that a class needs so that every epoch uses at least one of them."""
        shares = [self.initial_fraction, *(1 - dropped for dropped in self.drop_fractions)]
        return math.ceil(1 / min(shares) - 1e-9)


class ExpertFields(Config):
    """Settings of the experts, in the section of every method that needs them. "All" below means MTT, DATM and PAD."""

    experts: int = Field(default=100, ge=1, json_schema_extra=ONLY_CHOICES)
    """Expert networks; 100 in MTT, DATM and PAD."""
    expert_epochs: int = Field(default=100, ge=1, json_schema_extra=ONLY_CHOICES)
    """Epochs of each expert; 100 in DATM and PAD, 50 in MTT."""
    expert_lr: float = Field(default=0.01, gt=0, json_schema_extra=ONLY_CHOICES)
    """Constant learning rate; 0.01 in all."""
    expert_momentum: float = Field(default=0.0, ge=0, lt=1, json_schema_extra=ONLY_CHOICES)
    """0 in all: the student takes plain SGD steps, which can follow a trajectory of plain SGD."""
    expert_batch: int = Field(default=256, ge=1, json_schema_extra=ONLY_CHOICES)
    """Images per step; 256 in all."""
    expert_rho: float = Field(default=0.01, ge=0, json_schema_extra=ONLY_CHOICES)
    """GSAM's radius; 0.01 in DATM's and PAD's commands (2.0 is their scripts' default); 0 is plain SGD, as in MTT."""
    expert_gap_weight: float = Field(default=0.3, ge=0, json_schema_extra=ONLY_CHOICES)
    """GSAM's alpha, the weight of the surrogate gap; 0.3 in DATM's and PAD's commands; unused if expert_rho is 0."""
    expert_seed: int = Field(default=0, ge=0, json_schema_extra=ONLY_CHOICES)
    """Seed of all experts; independent of the study's seed, so that studies can share experts."""
    augmentation: str = Field(default="dsa", json_schema_extra=ONLY_CHOICES)
    """For experts and students: "dsa" (without flip if mirroring changes the class), "none", or names joined by _."""

    @field_validator("augmentation")
    @classmethod
    def _names_operations(cls, value: str) -> str:
        parse_operations(value, mirror_keeps_class=True)
        return value

    def epochs_read(self) -> range:
        """Epochs whose snapshots the method may read, apart from the last epoch, whose snapshot is always saved."""
        return range(0)

    def curriculum(self) -> Curriculum | None:
        """The images of each epoch; None trains on all images in every epoch."""
        return None

    def against(self, facts: DataFacts, network: Config) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for every value that does not fit the data set or the network."""
        del facts
        if getattr(network, "norm", None) == "batch":
            yield "name", "experts save parameters, but not the running statistics of batch norm: write another network.norm"


class ExpertSettings(Config):
    """Everything that an expert's trajectory depends on. Its hash names the set of experts in the store."""

    dataset: dict[str, Any]
    """The data set's section without the path of its files; includes the split and the preprocessing."""
    data_sha256: str
    network: NetworkConfig
    operations: tuple[str, ...] = Field(strict=False)
    """Augmentation, as returned by `augment.parse_operations`."""
    epochs: int
    lr: float
    momentum: float
    batch: int
    rho: float
    gap_weight: float
    seed: int
    curriculum: Curriculum | None

    @property
    def key(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON of all fields."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Experts(Protocol):
    """Trained experts, as methods use them."""

    @property
    def count(self) -> int:
        """Number of experts."""

    @property
    def epochs(self) -> int:
        """Number of epochs of each expert, which is also the epoch of its last snapshot."""

    def snapshot(self, expert: int, epoch: int) -> Tensor:
        """(P,) float32 on the CPU: an expert's parameters after `epoch` epochs.

        Raises:
            KeyError: the snapshot of that epoch was not saved.
        """


def train_expert(
    part: TrainPart, settings: ExpertSettings, index: int, kept: Collection[int], scores: Tensor | None, device: torch.device
) -> tuple[dict[int, Tensor], float]:
    """Train one expert from scratch.

    Args:
        part: the train images, on the device.
        settings: see `ExpertSettings`.
        index: number of the expert; its seed depends on it.
        kept: epochs whose snapshots are returned, in addition to the last epoch.
        scores: (n,) difficulty of each image, for the curriculum; None without a curriculum.
        device: device to train on.

    Returns:
        (P,) snapshots on the CPU by epoch, and the final accuracy fraction on the train images.

    Raises:
        DivergedError: the loss is not finite at the end of an epoch.
    """
    generator = torch.Generator().manual_seed(derive_seed("expert", settings.seed, index))
    network = build_network(settings.network, part.shape, part.classes, device)
    initialise(network, generator)
    network.train()
    optimiser = torch.optim.SGD(network.parameters(), lr=settings.lr, momentum=settings.momentum)
    labels = part.labels.to(device)
    curriculum = settings.curriculum
    order = easy_to_hard(scores, part.labels, part.classes) if scores is not None else []
    snapshots = {0: flatten(network).cpu()} if 0 in kept else {}
    for epoch in range(settings.epochs):
        seen = torch.arange(len(labels)) if curriculum is None else images_seen(order, curriculum, epoch)
        loss = torch.zeros(())
        for chosen in _batches(seen, settings.batch, generator):
            drawn = draw_one_operation(settings.operations, len(chosen), generator) if settings.operations else None
            ((own, draw),) = place_steps([(chosen, drawn)], part.images)
            loss = _step(network, (augment_images(part.images[own], draw), labels[own]), optimiser, settings)
        if not math.isfinite(value := loss.item()):
            raise DivergedError(epoch + 1, value, what=f"the loss of expert {index} (whose steps are epochs)")
        if epoch + 1 in kept or epoch + 1 == settings.epochs:
            # flatten makes a copy, so later steps do not change the snapshot.
            snapshots[epoch + 1] = flatten(network).cpu()
    return snapshots, float(is_correct(network, part.images, labels).float().mean())


def difficulty(part: TrainPart, settings: ExpertSettings, index: int, device: torch.device) -> Tensor:
    """(n,) EL2N scores by one network after `score_epochs` on all images; a higher score means a harder image.

    Source: Paul et al., "Deep Learning on a Data Diet", NeurIPS 2021; PAD averages them over networks.
    """
    assert settings.curriculum is not None
    plain = settings.model_copy(update={"curriculum": None, "epochs": settings.curriculum.score_epochs})
    seeded = plain.model_copy(update={"seed": derive_seed("score", settings.seed) % 2**31})
    snapshots, _ = train_expert(part, seeded, index, (), None, device)
    logits = logits_of(snapshots[plain.epochs], settings.network, part, part.images)
    return el2n(logits.cpu(), part.labels)


def el2n(logits: Tensor, labels: Tensor) -> Tensor:
    """(N,) lengths of the error vectors softmax(logits) - onehot(labels), between 0 and sqrt(2)."""
    errors = logits.softmax(dim=1) - functional.one_hot(labels, logits.shape[1])
    return errors.square().sum(dim=1).sqrt()


@torch.no_grad()
def logits_of(parameters: Tensor, network: NetworkConfig, part: TrainPart, images: Tensor) -> Tensor:
    """(N, K) logits of (N, C, H, W) images by a network with these flat parameters, on the images' device."""
    logits = logits_by_parameters(build_network(network, part.shape, part.classes, torch.device("meta")))
    parameters = parameters.to(images.device)
    return torch.cat([logits(parameters, x) for x in images.split(images_at_once(images))])


def easy_to_hard(scores: Tensor, labels: Tensor, classes: int) -> list[Tensor]:
    """For each class the indices of its images, easiest first; images with equal scores keep their order."""
    members = [torch.nonzero(labels == c).flatten() for c in range(classes)]
    return [own[torch.argsort(scores[own], stable=True)] for own in members]


def images_seen(order: list[Tensor], curriculum: Curriculum, epoch: int) -> Tensor:
    """Indices of the images that an expert is trained on in an epoch.

    Args:
        order: indices per class, from `easy_to_hard`.
        curriculum: its fractions are rounded down to whole images.
        epoch: counted from 0.
    """
    low, high = curriculum.span(epoch)
    return torch.cat([own[math.floor(low * len(own) + 1e-9) : math.floor(high * len(own) + 1e-9)] for own in order])


def _batches(seen: Tensor, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """One pass over the images in random order; the last batch may be smaller."""
    yield from seen[torch.randperm(len(seen), generator=generator)].split(batch)


def _step(network: Network, batch: tuple[Tensor, Tensor], optimiser: torch.optim.SGD, settings: ExpertSettings) -> Tensor:
    images, labels = batch
    parameters: list[Tensor] = list(network.parameters())
    loss = functional.cross_entropy(network(images), labels)
    gradients = torch.autograd.grad(loss, parameters)
    if settings.rho > 0:
        before = [parameter.detach().clone() for parameter in parameters]
        with torch.no_grad():
            torch._foreach_add_(parameters, gsam_shift(before, gradients, settings.rho))
        shifted = torch.autograd.grad(functional.cross_entropy(network(images), labels), parameters)
        with torch.no_grad():
            torch._foreach_copy_(parameters, before)  # subtracting the shift again would leave rounding errors
        gradients = gsam_direction(gradients, shifted, settings.gap_weight)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimiser.step()
    return loss.detach()


def gsam_shift(parameters: list[Tensor], gradients: tuple[Tensor, ...], rho: float) -> list[Tensor]:
    """The adaptive ascent step, rho * theta^2 * g / || |theta| * g ||, one tensor per parameter."""
    scaled = torch._foreach_mul(torch._foreach_abs(parameters), gradients)
    norm = _sum_of_all(torch._foreach_mul(scaled, scaled)).sqrt()
    steps = torch._foreach_mul(torch._foreach_mul(torch._foreach_mul(parameters, parameters), rho), gradients)
    return list(torch._foreach_div(steps, norm + 1e-12))


def gsam_direction(gradients: tuple[Tensor, ...], shifted: tuple[Tensor, ...], gap_weight: float) -> tuple[Tensor, ...]:
    """The direction of a GSAM step: g' - gap_weight * (g - its projection on g'), over all parameters together."""
    inner = _sum_of_all(torch._foreach_mul(gradients, shifted))
    square = _sum_of_all(torch._foreach_mul(shifted, shifted))
    along = inner / (square + 1e-12)
    across = torch._foreach_sub(gradients, torch._foreach_mul(shifted, along))
    return tuple(torch._foreach_sub(shifted, torch._foreach_mul(across, gap_weight)))


def _sum_of_all(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([part.sum() for part in parts]).sum()
