"""Distances to the nearest image, in pixels or in features, and what they say beside those between real images.

Shapes: N and M images, D pixels or features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from raydistill.core.networks import Network
from raydistill.core.train import images_at_once
from raydistill.data.preprocess import Preprocess, Standardise
from raydistill.data.zca import EPS
from raydistill.uses.nearness import QUANTILES, Nearness

AT_ONCE = 2**25
"""Distances in memory at a time (128 MiB as float32)."""
HALF_STEP = 0.5 / 255
"""Of pixels in 0 to 1: the largest error of rounding to 8 bits."""


def nearest(points: Tensor, to: Tensor) -> Tensor:
    """(N,) distance of each point to the nearest of others.

    Args:
        points: (N, D).
        to: (M, D), on the same device; at least one.
    """
    found = []
    for part in points.split(max(1, AT_ONCE // len(to))):
        closest = torch.cdist(part, to).argmin(dim=1)
        # Again by subtraction: products, by which large sets are compared, leave some distance between equal points.
        found.append((part - to[closest]).norm(dim=1))
    return torch.cat(found)


def nearest_of_class(points: Tensor, classes: Tensor, to: Tensor, to_classes: Tensor) -> Tensor:
    """(N,) distance of each point to the nearest other of its own class.

    Args:
        points: (N, D).
        classes: (N,) on the CPU.
        to: (M, D), some of every class that is asked for.
        to_classes: (M,) on the CPU.
    """
    found = points.new_empty(len(points))
    for c in classes.unique().tolist():
        own = torch.nonzero(classes == c).flatten().to(points.device)
        found[own] = nearest(points[own], to[torch.nonzero(to_classes == c).flatten().to(to.device)])
    return found


def nearness(synthetic: Tensor, real: Tensor) -> Nearness:
    """Distances in short.

    Args:
        synthetic: (N,) of synthetic images to their nearest train image.
        real: (M,) of held-out images to theirs.
    """
    at = torch.tensor(QUANTILES, dtype=torch.float64)
    own, others = (torch.quantile(distances.cpu().double(), at) for distances in (synthetic, real))
    nearer = (synthetic.cpu().double() < others[0]).double().mean()
    return Nearness(synthetic=tuple(own.tolist()), real=tuple(others.tolist()), nearer_fraction=float(nearer))


def copies(synthetic: Tensor, rounding: float) -> int:
    """Synthetic images that are train images, as they are or rounded to 8 bits.

    Args:
        synthetic: (N,) distances in pixels, as in `nearness`.
        rounding: from `rounding_distance`.
    """
    return int((synthetic <= rounding).sum())


def rounding_distance(preprocess: Preprocess, shape: tuple[int, int, int]) -> float:
    """The largest distance between a preprocessed image and the same image with its pixels rounded to 8 bits.

    Every pixel is off by half a step at most. Standardisation divides by the channel's deviation; whitening stretches no
    direction by more than 1 / sqrt(eps).

    Args:
        preprocess: of the data.
        shape: (C, H, W).
    """
    channels, height, width = shape
    if isinstance(preprocess, Standardise):
        return HALF_STEP * math.sqrt(height * width * sum(std**-2 for std in preprocess.std))
    return HALF_STEP * math.sqrt(channels * height * width / EPS)


@torch.no_grad()
def embedded(network: Network, images: Tensor) -> Tensor:
    """(N, D) what a network's classifier sees of (N, C, H, W) images."""
    network.eval()
    return torch.cat([network.features(part).embedding for part in images.split(images_at_once(images))])
