"""Distances to the nearest image."""

from __future__ import annotations

import pytest
import torch

from raydistill.uses import nearest as module
from raydistill.uses.nearest import copies, nearest, nearest_of_class, nearness

POINTS = torch.tensor([[0.0, 0.0], [3.0, 4.0], [10.0, 0.0]])


def test_the_nearest_is_found_in_parts_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """From (0, 1): 1 to the first; from (3, 4): 0 to the second; from (10, 2): 2 to the third."""
    points = torch.tensor([[0.0, 1.0], [3.0, 4.0], [10.0, 2.0]])
    assert nearest(points, POINTS).tolist() == [1.0, 0.0, 2.0]
    monkeypatch.setattr(module, "AT_ONCE", 3)
    assert nearest(points, POINTS).tolist() == [1.0, 0.0, 2.0]


def test_an_equal_image_is_at_distance_zero_in_a_large_set() -> None:
    """Distances by products would leave some thousandths here."""
    points = torch.rand(200, 3000, generator=torch.Generator().manual_seed(0)) * 100
    assert nearest(points[:50], points).max() == 0


def test_the_nearest_of_the_class_may_be_farther() -> None:
    """(3, 3) is 1 from the second point; of its class is the first alone, at 3 sqrt 2."""
    found = nearest_of_class(torch.tensor([[3.0, 3.0], [3.0, 3.0]]), torch.tensor([0, 1]), POINTS, torch.tensor([0, 1, 1]))
    assert found.tolist() == pytest.approx([18**0.5, 1.0])


def test_distances_are_told_beside_those_of_real_images() -> None:
    """Real distances 10 to 50: quantiles 12, 20, 30, 40, 48; of the synthetic ones 6, 15 and 60 one lies below 12."""
    found = nearness(torch.tensor([6.0, 15.0, 60.0]), torch.tensor([10.0, 20.0, 30.0, 40.0, 50.0]))
    assert found.real == pytest.approx((12, 20, 30, 40, 48))
    assert found.synthetic == pytest.approx((6.9, 10.5, 15, 37.5, 55.5))
    assert found.ratios == pytest.approx((0.23, 0.35, 0.5, 1.25, 1.85))
    assert found.nearer_fraction == pytest.approx(1 / 3)


def test_there_is_no_ratio_where_held_out_images_are_train_images() -> None:
    assert nearness(torch.tensor([1.0]), torch.zeros(3)).ratios is None


def test_a_copy_is_nearer_than_any_two_photographs() -> None:
    """A thousandth of the median 20 is 0.02."""
    assert copies(torch.tensor([0.0, 0.01, 0.03]), torch.tensor([10.0, 20.0, 30.0])) == 2
