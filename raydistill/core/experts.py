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

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from raydistill.core.augment import augment_images, draw_one_operation, place_steps
from raydistill.core.contract import TrainPart
from raydistill.core.expert_fields import Curriculum, ExpertSettings
from raydistill.core.networks import Network, build_network, initialise
from raydistill.core.placement import moved
from raydistill.core.sgd import SGD
from raydistill.core.train import images_at_once, is_correct
from raydistill.core.unroll import flatten, logits_by_parameters
from raydistill.errors import DivergedError
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.sections import derive_seed


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
    optimiser = SGD(network.parameters(), lr=settings.lr, momentum=settings.momentum)
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
    (there,) = moved([parameters], images.device)
    return torch.cat([logits(there, x) for x in images.split(images_at_once(images))])


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


def _step(network: Network, batch: tuple[Tensor, Tensor], optimiser: SGD, settings: ExpertSettings) -> Tensor:
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
