"""Distances to the nearest image, in pixels or in features, and what they say beside those between real images.

Shapes: N and M images, D pixels or features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raydistill.core.networks import Network
from raydistill.core.train import images_at_once
from raydistill.uses.nearness import QUANTILES, Nearness

AT_ONCE = 2**25
"""Distances in memory at a time (128 MiB as float32)."""
COPY_FRACTION = 1e-3
"""An image nearer to a train image than this part of the median distance between real images is a copy of it: rounding to 8 bits
stays below, and no two photographs are as near."""


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


def copies(synthetic: Tensor, real: Tensor) -> int:
    """Synthetic images that are train images; distances in pixels, as in `nearness`."""
    return int((synthetic <= COPY_FRACTION * real.median()).sum())


@torch.no_grad()
def embedded(network: Network, images: Tensor) -> Tensor:
    """(N, D) what a network's classifier sees of (N, C, H, W) images."""
    network.eval()
    return torch.cat([network.features(part).embedding for part in images.split(images_at_once(images))])
