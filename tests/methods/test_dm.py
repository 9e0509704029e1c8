"""DM's maths by hand, its golden losses, and what its settings change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from three_classes import NETWORK, ON_ANY_CPU, distil_noted

from raydistill.core.layers import Features
from raydistill.core.synthetic import SyntheticSet
from raydistill.errors import DivergedError
from raydistill.methods.configs.dm import DMConfig
from raydistill.methods.dm import embedding_loss, mean_embeddings
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import ConvNetConfig, MLPConfig, NetworkConfig


def run(network: NetworkConfig = NETWORK, **fields: Any) -> tuple[SyntheticSet, list[float]]:
    given = {"name": "dm", "random_inits": 4, "batch_real": 5, "lr_images": 0.5}
    return distil_noted(DMConfig.model_validate({**given, **fields}), network)


def test_mean_embeddings_keep_classes_apart() -> None:
    """Two classes of two images: (1, 3) and (5, 7) have means 2 and 6."""
    features = Features([], torch.tensor([[1.0], [3.0], [5.0], [7.0]]))
    (means,) = mean_embeddings(features, 2)
    assert means.tolist() == [[2.0], [6.0]]


def test_embedding_loss_sums_squared_distances_over_classes() -> None:
    """Class 0 differs by (3, 4): 25; class 1 by (0, 2): 4; together 29."""
    real = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    assert embedding_loss(real, torch.tensor([[3.0, 4.0], [1.0, 3.0]])).item() == 29.0


@pytest.mark.usefixtures("float64")
def test_golden_losses() -> None:
    assert run()[1] == pytest.approx(GOLDEN, rel=ON_ANY_CPU)


@pytest.mark.usefixtures("float64")
def test_golden_losses_of_batch_norm() -> None:
    network = ConvNetConfig(name="convnet", depth=2, width=4, norm="batch")
    assert run(network)[1] == pytest.approx(GOLDEN_BATCH_NORM, rel=ON_ANY_CPU)


def test_noise_start_moves_towards_the_real_images() -> None:
    _, losses = run(random_inits=40, init="noise", lr_images=1.0, augmentation="none")
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_a_network_without_maps_will_do() -> None:
    _, losses = run(MLPConfig(name="mlp", width=8))
    assert len(losses) == 4
    assert list(DMConfig(name="dm").against(DataFacts(smallest_class=256, confirm_images=300), MLPConfig(name="mlp"))) == []


def test_a_batch_above_the_smallest_class_is_told() -> None:
    ((field, message),) = DMConfig(name="dm").against(DataFacts(smallest_class=77, confirm_images=300), NETWORK)
    assert (field, message) == ("batch_real", "given 256; the smallest class has 77 train images: write at most that number")


def test_diverging_images_name_the_step() -> None:
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at step \d+; lower the learning rates"):
        run(network=MLPConfig(name="mlp", width=8), random_inits=30, lr_images=1e30)


GOLDEN = [3.588338040659692, 1.7113380553382043, 1.2299842607149554, 1.1911501631850892]
GOLDEN_BATCH_NORM = [2.172981028914993, 1.6113740307547402, 1.0417452873729602, 1.1830692692542508]
