"""K-means in each class: the mean image of each cluster, or the real image nearest to it.

Symbols: N images, K classes, E features, k clusters per class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

RESTARTS = 1
"""Starts by k-means++, of which the best counts; one is scikit-learn's default. On MNIST's train part at k = 10 one takes
16 s of a busy core, ten take 150 s."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clusters:
    """The clusters of one class."""

    members: Tensor
    """(n,) int64, rows of the class's images."""
    cluster: Tensor
    """(n,) int64 in [0, k), the cluster of each."""
    distances: Tensor
    """(n,) from each image to the centre of its cluster, in the space that was clustered."""

    def means(self, images: Tensor) -> Tensor:
        """(k, ...) mean over the images of each cluster; images is (N, ...)."""
        picked = images[self.members.to(images.device)]
        return torch.stack([picked[(self.cluster == c).to(picked.device)].mean(dim=0) for c in range(self.count)])

    def medoids(self) -> Tensor:
        """(k,) row of the image nearest to the centre of its cluster; the first of several."""
        nearest = [torch.where(self.cluster == c, self.distances, torch.inf).argmin() for c in range(self.count)]
        return self.members[torch.stack(nearest)]

    @property
    def count(self) -> int:
        """Number of clusters, k."""
        return int(self.cluster.max()) + 1


def k_means(points: Tensor, labels: Tensor, classes: int, count: int, generator: torch.Generator) -> list[Clusters]:
    """Clusters of each class, in the order of classes.

    Lloyd's algorithm from k-means++ starts, the best of `RESTARTS`, in float32 on one thread: with several,
    sums run in any order and the same seed gives other bits. The clusters of a class are numbered by their first image.

    Args:
        points: (N, E), any float type; one class at a time is copied to the CPU.
        labels: (N,) int64 on the CPU.
        classes: K.
        count: k; at most the size of the smallest class.
        generator: on the CPU; gives one seed.

    Source: Lloyd, IEEE Transactions on Information Theory 28(2), 1982; starts by Arthur and Vassilvitskii, SODA 2007.
    """
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    found = []
    for c in range(classes):
        members = torch.nonzero(labels == c).flatten()
        rows = points[members.to(points.device)].flatten(1).to("cpu", torch.float32).numpy()
        found.append(_clusters(members, rows, count, seed))
    return found


def _clusters(members: Tensor, rows: np.ndarray, count: int, seed: int) -> Clusters:
    fitted = None
    _, firsts, alike = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    if len(firsts) >= count:
        # Here, because scikit-learn takes a second to import, and few trials cluster.
        from sklearn.cluster import KMeans

        with threadpool_limits(limits=1):
            fitted = KMeans(count, n_init=RESTARTS, random_state=seed).fit(rows)
    if fitted is None or len(np.unique(fitted.labels_)) < count:
        # Fewer different images than clusters, or fewer than single precision tells apart: each different image has a cluster of
        # its own as long as there are clusters, and repeats have those that are left.
        is_first = np.zeros(len(rows), dtype=bool)
        is_first[firsts] = True
        order = np.concatenate([np.flatnonzero(is_first), np.flatnonzero(~is_first)])
        own = np.empty(len(rows), dtype=np.int64)
        own[order] = np.arange(len(rows))
        cluster = np.where(own < count, own, np.minimum(own[firsts][alike.reshape(-1)], count - 1))
        distances = np.zeros(len(rows))
    else:
        cluster = fitted.labels_
        distances = np.linalg.norm(rows - fitted.cluster_centers_[cluster], axis=1)
    first = [int(np.flatnonzero(cluster == c)[0]) for c in range(count)]
    cluster = np.argsort(np.argsort(first))[cluster]
    return Clusters(members=members, cluster=torch.from_numpy(cluster), distances=torch.from_numpy(distances))
