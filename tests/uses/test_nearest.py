"""Distances to the nearest image."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from raydistill.data.preprocess import Standardise, fit
from raydistill.uses import nearest as module
from raydistill.uses.nearest import copies, nearest, nearest_of_class, nearness, rounding_distance

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


def test_a_copy_is_as_near_as_rounding_leaves_it() -> None:
    """On 1 x 2 pixels of deviation 0.25 half a step is 0.5 / 255 x 4 in each of two values."""
    bound = rounding_distance(Standardise(mean=(0.5,), std=(0.25,)), (1, 1, 2))
    assert bound == pytest.approx(0.5 / 255 * 4 * 2**0.5)
    assert copies(torch.tensor([0.0, 0.9 * bound, 1.1 * bound]), bound) == 2


@pytest.mark.parametrize("kind", ["standardise", "zca"])
def test_rounding_to_8_bits_makes_no_distance_above_the_bound(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYDISTILL_CACHE", str(tmp_path))
    draw = torch.Generator().manual_seed(0)
    preprocess = fit(kind, torch.randint(0, 256, (40, 3, 4, 4), generator=draw).to(torch.uint8).numpy(), 255)
    pixels = torch.rand(20, 3, 4, 4, generator=draw)
    moved = preprocess.apply(pixels) - preprocess.apply((pixels * 255).round() / 255)
    distances = moved.flatten(1).norm(dim=1)
    assert 0 < distances.min()
    assert copies(distances, rounding_distance(preprocess, (3, 4, 4))) == 20
