"""K-means in each class: clusters by hand, their means and medoids."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from raydistill.core.k_means import k_means

TWO_CLASSES = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1, 0])
POINTS = torch.tensor([[0.0], [100.0], [1.0], [102.0], [10.0], [101.0], [14.0], [50.0], [5.0]])
"""Class 0 at rows 0, 2, 4, 6, 8 holds 0, 1, 10, 14, 5; class 1 at rows 1, 3, 5, 7 holds 100, 102, 101, 50."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(5))
def test_the_clusters_of_each_class_by_hand(seed: int) -> None:
    """Two clusters of class 0, {0, 1, 5} and {10, 14}: centres 2 and 12, squared distances 4 + 1 + 9 + 4 + 4 = 22; any other cut
    has more: {0, 1}, {5, 10, 14} 0.5 + 40.7. Of class 1 {100, 102, 101} and {50}.

    Nearest to 2 is 1 (row 2), to 12 both are equally near: the first, 10 (row 4). Nearest to 101 is 101 (row 5), to 50 row 7.
    """
    first, second = k_means(POINTS, TWO_CLASSES, 2, 2, generator(seed))
    assert first.cluster.tolist() == [0, 0, 1, 1, 0]
    assert second.cluster.tolist() == [0, 0, 0, 1]
    torch.testing.assert_close(first.means(POINTS), torch.tensor([[2.0], [12.0]]))
    torch.testing.assert_close(second.means(POINTS), torch.tensor([[101.0], [50.0]]))
    assert (first.medoids().tolist(), second.medoids().tolist()) == ([2, 4], [5, 7])


def test_one_cluster_is_the_mean_of_the_class() -> None:
    """Class 0 has mean 6, to which 5 (row 8) is nearest; class 1 88.25, nearest 100 (row 1)."""
    clusters = k_means(POINTS, TWO_CLASSES, 2, 1, generator())
    torch.testing.assert_close(torch.cat([c.means(POINTS) for c in clusters]), torch.tensor([[6.0], [88.25]]))
    assert [c.medoids().tolist() for c in clusters] == [[8], [1]]


def test_as_many_clusters_as_images_gives_every_image() -> None:
    clusters = k_means(POINTS, TWO_CLASSES, 2, 4, generator())
    assert sorted(clusters[1].medoids().tolist()) == [1, 3, 5, 7]
    assert len(set(clusters[0].medoids().tolist())) == 4


@pytest.mark.parametrize("points", [torch.zeros(4, 2), torch.tensor([[0.0], [0.0], [1.0], [0.0]])])
def test_images_that_are_alike_are_shared_out(points: Tensor) -> None:
    """Three clusters of four images with one or two different ones: no cluster is empty, and no image is taken twice."""
    (clusters,) = k_means(points, torch.zeros(4, dtype=torch.int64), 1, 3, generator())
    assert clusters.count == 3
    assert len(set(clusters.medoids().tolist())) == 3
    assert bool(torch.isfinite(clusters.means(points)).all())


def test_with_fewer_different_images_than_clusters_each_of_them_has_one_and_repeats_the_rest() -> None:
    """Five of eight images are the same: of five clusters four have different images, and the fifth a repeat."""
    points = torch.tensor([0.0, 0, 0, 0, 0, 1, 2, 3])[:, None]
    for count, medoids in ((4, [0, 5, 6, 7]), (5, [0, 1, 5, 6, 7]), (8, list(range(8)))):
        (found,) = k_means(points, torch.zeros(8, dtype=torch.int64), 1, count, torch.Generator().manual_seed(0))
        assert found.medoids().tolist() == medoids
        assert sorted(set(found.cluster.tolist())) == list(range(count))


def test_images_that_single_precision_hardly_tells_apart_are_shared_out_too() -> None:
    """Two differ in the last bits: scikit-learn takes them for one, and would leave the fourth cluster empty."""
    points = torch.tensor([[10.0, 0.0], [10.000001, 0.0], [11.0, 1.0], [5.0, 5.0]])
    (clusters,) = k_means(points, torch.zeros(4, dtype=torch.int64), 1, 4, generator())
    assert sorted(clusters.medoids().tolist()) == [0, 1, 2, 3]


def test_the_same_seed_gives_the_same_clusters() -> None:
    points = torch.rand(200, 6, generator=generator())
    labels = torch.arange(200) % 2
    first, again = (k_means(points, labels, 2, 7, generator(3)) for _ in range(2))
    assert all(torch.equal(a.cluster, b.cluster) for a, b in zip(first, again, strict=True))


def test_means_are_of_images_while_clusters_may_be_of_features() -> None:
    """Features 0, 0, 9, 9 cut the images 1, 3, 10, 20 into means 2 and 15."""
    (clusters,) = k_means(torch.tensor([[0.0], [0.0], [9.0], [9.0]]), torch.zeros(4, dtype=torch.int64), 1, 2, generator())
    images = torch.tensor([1.0, 3.0, 10.0, 20.0]).view(4, 1, 1, 1)
    torch.testing.assert_close(clusters.means(images).flatten(), torch.tensor([2.0, 15.0]))
