"""Selection of real images: distinct images of the right class, k-center and herding by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from raydistill.core.choices import Start
from raydistill.core.contract import TrainPart
from raydistill.core.recipes import RECIPES
from raydistill.core.selection import ClassBatches, herding, k_center, starting_images, trained_features
from raydistill.data.splits import load_splits
from raydistill.errors import DivergedError
from raydistill.spaces.network import ConvNetConfig, MLPConfig
from raydistill.spaces.sections import DatasetConfig

NETWORK = ConvNetConfig(name="convnet", depth=1, width=2)


@pytest.fixture(autouse=True)
def _features_of_a_short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "default", replace(RECIPES["plain"], steps=60))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def digits() -> TrainPart:
    """Ten images of each class."""
    part = load_splits(DatasetConfig(name="digits")).train
    chosen = torch.cat([torch.nonzero(part.labels == c).flatten()[:10] for c in range(10)])
    mixed = chosen[torch.randperm(100, generator=generator())]
    return TrainPart(images=part.images[mixed], labels=part.labels[mixed], classes=10, mirror_keeps_class=False)


UNEVEN = torch.tensor([2, 0, 1, 0, 2, 0, 1, 0, 2])


def test_a_draw_has_distinct_images_of_each_class() -> None:
    """Classes of 4, 2 and 3 images in any order."""
    batches = ClassBatches(UNEVEN, 3)
    for seed in range(50):
        drawn = batches.draw(2, generator(seed))
        assert drawn.shape == (3, 2)
        assert [UNEVEN[row].tolist() for row in drawn] == [[0, 0], [1, 1], [2, 2]]
        assert all(len(set(row)) == 2 for row in drawn.tolist())


def test_every_image_is_drawn_equally_often() -> None:
    """Of class 0 two of four: 1,000 of 2,000 draws each, with deviation sqrt(2000 / 4) = 22; within five of them."""
    batches = ClassBatches(UNEVEN, 3)
    source = generator()
    counts = torch.zeros(9)
    for _ in range(2000):
        counts[batches.draw(2, source).flatten()] += 1
    assert bool(((counts[UNEVEN == 0] - 1000).abs() < 112).all())
    assert counts[UNEVEN == 1].tolist() == [2000, 2000]


def test_a_draw_depends_on_its_generator_alone() -> None:
    batches = ClassBatches(UNEVEN, 3)
    assert torch.equal(batches.draw(2, generator(1)), batches.draw(2, generator(1)))
    assert len({tuple(batches.draw(2, generator(seed)).flatten().tolist()) for seed in range(20)}) > 1


def test_more_images_than_the_smallest_class_has_are_refused() -> None:
    with pytest.raises(ValueError, match="given 3 images per class, but the smallest class has 2: use at most 2"):
        ClassBatches(UNEVEN, 3).draw(3, generator())


def test_k_center_starts_at_the_mean_and_goes_to_the_farthest() -> None:
    """Points 0, 1, 2, 3, 10 on a line have mean 3.2: first 3. Farthest from it is 10, then 0.

    Of the last two 1 is 1 from 0 and 2 is 1 from 3, equally far from what is chosen: the first in order.
    """
    points = torch.tensor([0.0, 1.0, 2.0, 3.0, 10.0]).view(-1, 1)
    assert k_center(points, torch.zeros(5, dtype=torch.int64), 1, 5).tolist() == [3, 4, 0, 1, 2]


def test_k_center_in_the_plane() -> None:
    """Corners (0,0), (4,0), (0,3), (4,3) and (2,1), mean (2, 1.4): first (2,1). Squared distances from it are 5, 5, 8, 8, so
    (0,3) is next; of the rest (0,0) is 5 from (2,1), (4,0) 5, (4,3) 8: (4,3); then (0,0), 5 from (2,1), before (4,0), 5 too.
    """
    points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0], [4.0, 3.0], [2.0, 1.0]])
    assert k_center(points, torch.zeros(5, dtype=torch.int64), 1, 4).tolist() == [4, 2, 3, 0]


def test_k_center_works_in_each_class_alone() -> None:
    """Class 0 at places 0, 2, 4 holds 0, 5, 6, mean 3.67: 5, then 0. Class 1 holds 100, 90, 91, mean 93.67: 91, then 100."""
    points = torch.tensor([0.0, 100.0, 5.0, 90.0, 6.0, 91.0]).view(-1, 1)
    assert k_center(points, torch.tensor([0, 1, 0, 1, 0, 1]), 2, 2).tolist() == [2, 0, 5, 1]


def test_k_center_chooses_no_image_twice_though_they_are_alike() -> None:
    chosen = k_center(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64), 1, 4)
    assert sorted(chosen.tolist()) == [0, 1, 2, 3]


def test_herding_follows_the_mean_with_each_choice() -> None:
    """Points 0, 1, 2, 3, 10 on a line have mean 3.2. First 3, at distance 0.2.

    Two should sum to 6.4: 3.4 is missing and 2 is nearest (3 is taken; 1 is 2.4 away). Three to 9.6: 4.6 is wanted, 1 is 3.6 away
    and 10 is 5.4. Four to 12.8: 6.8 is wanted, 10 is 3.2 away and 0 is 6.8. Then 0.
    """
    points = torch.tensor([0.0, 1.0, 2.0, 3.0, 10.0]).view(-1, 1)
    assert herding(points, torch.zeros(5, dtype=torch.int64), 1, 5).tolist() == [3, 2, 1, 4, 0]


def test_herding_works_in_each_class_alone() -> None:
    """Class 0 at places 0, 2, 4 holds 0, 5, 6, mean 3.67: 5; then 2.33 is wanted: 0 is 2.33 away, 6 is 3.67.

    Class 1 holds 100, 90, 91, mean 93.67: 91; then 96.33 is wanted: 100 is 3.67 away, 90 is 6.33.
    """
    points = torch.tensor([0.0, 100.0, 5.0, 90.0, 6.0, 91.0]).view(-1, 1)
    assert herding(points, torch.tensor([0, 1, 0, 1, 0, 1]), 2, 2).tolist() == [2, 0, 5, 1]


def test_herding_is_the_search_over_all_images() -> None:
    """The published rule word for word: the smallest norm of (m + 1) mean - sum - h_i over those not chosen."""
    points = torch.randn(40, 5, generator=generator(), dtype=torch.float64)
    chosen: list[int] = []
    for m in range(12):
        left = [i for i in range(40) if i not in chosen]
        wanted = (m + 1) * points.mean(dim=0) - points[chosen].sum(dim=0)
        chosen.append(min(left, key=lambda i: float((wanted - points[i]).norm())))
    assert herding(points, torch.zeros(40, dtype=torch.int64), 1, 12).tolist() == chosen


def test_herding_chooses_no_image_twice_though_they_are_alike() -> None:
    assert sorted(herding(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64), 1, 4).tolist()) == [0, 1, 2, 3]


def rows_of(images: Tensor, part: TrainPart) -> list[int]:
    """Where in the part each image is."""
    return [int((part.images == image).flatten(1).all(dim=1).nonzero()[0]) for image in images]


@pytest.mark.parametrize("how", ["real", "k_center", "herding", "k_means_medoids", "k_means_medoids_features"])
def test_real_starts_are_train_images_class_after_class(how: str, digits: TrainPart) -> None:
    rows = rows_of(starting_images(how, digits, NETWORK, 3, generator()), digits)
    assert len(set(rows)) == 30
    assert digits.labels[rows].tolist() == [j // 3 for j in range(30)]


@pytest.mark.parametrize("how", [*get_args(Start), "herding"])
def test_a_start_depends_on_its_generator_alone(how: str, digits: TrainPart) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = starting_images(how, digits, NETWORK, 2, generator(1))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, starting_images(how, digits, NETWORK, 2, generator(1)))


def test_a_start_is_a_copy(digits: TrainPart) -> None:
    before = digits.images.clone()
    starting_images("real", digits, NETWORK, 2, generator()).zero_()
    assert torch.equal(before, digits.images)


def test_noise_is_standard_normal(digits: TrainPart) -> None:
    """10 * 20 * 64 = 12,800 numbers: their mean has deviation 0.009."""
    noise = starting_images("noise", digits, NETWORK, 20, generator())
    assert noise.shape == (200, 1, 8, 8)
    assert float(noise.mean()) == pytest.approx(0, abs=0.04)
    assert float(noise.std()) == pytest.approx(1, abs=0.04)


def test_features_are_the_embeddings_of_the_part_in_order(digits: TrainPart) -> None:
    """An MLP of width 5 embeds in 5 numbers; a trained one tells the classes apart better than a fresh one could."""
    features = trained_features(digits, MLPConfig(name="mlp", width=5), generator())
    assert features.shape == (100, 5)
    assert not features.requires_grad
    within = torch.stack([features[digits.labels == c].var(dim=0).sum() for c in range(10)]).mean()
    assert float(within) < 0.5 * float(features.var(dim=0).sum())


@pytest.mark.parametrize("how", ["k_means", "k_means_features"])
def test_k_means_starts_from_means_of_a_class(how: str, digits: TrainPart) -> None:
    """One cluster per class is the class: its mean image, whatever was clustered."""
    start = starting_images(how, digits, NETWORK, 1, generator())
    means = torch.stack([digits.images[digits.labels == c].mean(dim=0) for c in range(10)])
    torch.testing.assert_close(start, means)


def test_features_of_a_network_that_diverged_are_refused(digits: TrainPart, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a number to compare, herding would take one image again and again."""
    monkeypatch.setitem(RECIPES, "default", replace(RECIPES["default"], steps=3, lr=1e30))
    network = MLPConfig(name="mlp", width=4)
    with pytest.raises(DivergedError, match=r"for features is .* at step 3; name a network with a norm"):
        starting_images("herding", digits, network, 2, torch.Generator().manual_seed(0))
