"""Soft labels from experts: the logits that trained networks give for an image.

Symbols: E experts, K classes, N images.

Source: DATM (Guo et al., ICLR 2024), initialisation of labels, and of images that experts classify correctly.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from raydistill.core.contract import TrainPart
from raydistill.core.experts import Experts, logits_of
from raydistill.core.synthetic import SyntheticSet
from raydistill.spaces.network import NetworkConfig


def soft_labels(experts: Experts, network: NetworkConfig, part: TrainPart, images: Tensor, classes: Tensor) -> Tensor:
    """(N, K) logits of images: the mean over the trained experts that classify the image correctly.

    If no expert does (a case that the published code does not handle), it is the mean over all experts, with its largest logit
    and the logit of the image's class exchanged: equally confident, but in the correct class.

    Args:
        experts: their last snapshots are used.
        network: their architecture.
        part: the train images, for their shape and number of classes.
        images: (N, C, H, W).
        classes: (N,) the images' classes.
    """
    every = torch.stack([logits_of(experts.snapshot(e, experts.epochs), network, part, images) for e in range(experts.count)])
    own = classes.to(images.device)
    is_right = (every.argmax(dim=2) == own).unsqueeze(2)
    mean_of_right = (every * is_right).sum(dim=0) / is_right.sum(dim=0).clamp(min=1)
    return torch.where(is_right.any(dim=0), mean_of_right, _in_favour_of(own, every.mean(dim=0)))


def with_soft_labels(synthetic: SyntheticSet, experts: Experts, network: NetworkConfig, part: TrainPart) -> SyntheticSet:
    """A set with hard labels, labelled by experts in place of them: a row for each image that networks are trained on."""
    seen = synthetic.decoded()
    return replace(synthetic, labels=soft_labels(experts, network, part, seen.images, seen.labels))


def images_classified_right(
    experts: Experts, network: NetworkConfig, part: TrainPart, ipc: int, generator: torch.Generator
) -> Tensor:
    """(K * ipc, C, H, W) random train images of each class that a trained expert classifies correctly.

    The images of a class are visited in random order, and those that the first expert classifies correctly are taken. If they
    are too few, the second expert classifies the rest, and so on. If all experts together give too few, the next images in that
    order are taken, although no expert classifies them correctly.
    """
    remaining = [own[torch.randperm(len(own), generator=generator)] for own in _by_class(part)]
    chosen: list[list[Tensor]] = [[] for _ in remaining]
    for expert in range(experts.count):
        if all(len(taken) == ipc for taken in chosen):
            break
        predicted = logits_of(experts.snapshot(expert, experts.epochs), network, part, part.images).argmax(dim=1).cpu()
        for own_class, order in enumerate(remaining):
            is_right = predicted[order] == own_class
            room = ipc - len(chosen[own_class])
            chosen[own_class] += order[is_right][:room].unbind()
            remaining[own_class] = torch.cat([order[is_right][room:], order[~is_right]])
    picks = [[*taken, *rest[: ipc - len(taken)].unbind()] for taken, rest in zip(chosen, remaining, strict=True)]
    return part.images[torch.stack([pick for taken in picks for pick in taken]).to(part.images.device)].clone()


def _by_class(part: TrainPart) -> list[Tensor]:
    return [torch.nonzero(part.labels == c).flatten() for c in range(part.classes)]


def _in_favour_of(classes: Tensor, logits: Tensor) -> Tensor:
    """The logits with the largest of each row and that of the row's class exchanged."""
    rows = torch.arange(len(logits), device=logits.device)
    top = logits.argmax(dim=1)
    exchanged = logits.clone()
    exchanged[rows, top] = logits[rows, classes]
    exchanged[rows, classes] = logits[rows, top]
    return exchanged
