"""LeNet, AlexNet, VGG11 and ResNet18 against the published counts and sizes, and the sizes that they refuse."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from raydistill.core.networks import BUILDERS, Network, build_network, initialise
from raydistill.spaces.network import NETWORKS, NetworkConfig

MNIST, CIFAR, DIGITS = (1, 28, 28), (3, 32, 32), (1, 8, 8)
CLASSIC = ("lenet", "alexnet", "vgg11", "resnet18")


def config(name: str, **fields: Any) -> NetworkConfig:
    return TypeAdapter(NetworkConfig).validate_python({"name": name, **fields})


def network(name: str, shape: tuple[int, int, int] = CIFAR, classes: int = 10, **fields: Any) -> Network:
    return build_network(config(name, **fields), shape, classes, torch.device("cpu"))


def started(name: str, shape: tuple[int, int, int] = CIFAR, **fields: Any) -> Network:
    built = network(name, shape, **fields)
    initialise(built, torch.Generator().manual_seed(0))
    return built


def test_every_network_of_the_union_has_a_builder() -> None:
    assert set(NETWORKS.values()) == set(BUILDERS)
    assert set(NETWORKS) == {"convnet", "mlp", *CLASSIC}


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("lenet", (61_706, 62_006, 69_656)),
        ("alexnet", (1_865_802, 1_872_202, 2_148_772)),
        ("vgg11", (9_229_962, 9_231_114, 9_277_284)),
        ("resnet18", (11_172_810, 11_173_962, 11_220_132)),
    ],
)
def test_networks_have_the_published_number_of_parameters(name: str, counts: tuple[int, ...], norm: str) -> None:
    """LeNet, one channel: 6*25 + 6, 16*150 + 16, 400*120 + 120, 120*84 + 84, 84*10 + 10 = 61,706. Both norms have two each."""
    fields = {"norm": norm} if name in ("vgg11", "resnet18") else {}
    cases = ((MNIST, 10), (CIFAR, 10), (CIFAR, 100))
    assert tuple(sum(p.numel() for p in network(name, *case, **fields).parameters()) for case in cases) == counts


@pytest.mark.parametrize(
    ("name", "shape", "maps", "embedding"),
    [
        ("lenet", MNIST, [(6, 28), (16, 10)], 84),
        ("lenet", CIFAR, [(6, 28), (16, 10)], 84),
        ("alexnet", MNIST, [(128, 32), (192, 16), (256, 8), (192, 8), (192, 8)], 3072),
        ("alexnet", CIFAR, [(128, 32), (192, 16), (256, 8), (192, 8), (192, 8)], 3072),
        ("alexnet", DIGITS, [(128, 12), (192, 6), (256, 3), (192, 3), (192, 3)], 192),
        ("vgg11", MNIST, [(64, 32), (128, 16), (256, 8), (256, 8), (512, 4), (512, 4), (512, 2), (512, 2)], 512),
        ("vgg11", CIFAR, [(64, 32), (128, 16), (256, 8), (256, 8), (512, 4), (512, 4), (512, 2), (512, 2)], 512),
        ("resnet18", MNIST, [(64, 28), (128, 14), (256, 7), (512, 4)], 512),
        ("resnet18", CIFAR, [(64, 32), (128, 16), (256, 8), (512, 4)], 512),
        ("resnet18", (3, 64, 64), [(64, 64), (128, 32), (256, 16), (512, 8)], 512),
    ],
)
@torch.no_grad()
def test_maps_and_embeddings_have_the_published_sizes(
    name: str, shape: tuple[int, int, int], maps: list[tuple[int, int]], embedding: int
) -> None:
    """One channel pads the first convolution to 32 (ResNet18: not at all). AlexNet on digits: 8 + 4 = 12, pooled 6, 3, 1."""
    features = started(name, shape).features(torch.randn(2, *shape))
    assert [tuple(a.shape) for a in features.activations] == [(2, width, side, side) for width, side in maps]
    assert features.embedding.shape == (2, embedding)
    assert len(maps) == config(name).spatial_blocks


@pytest.mark.parametrize("name", CLASSIC)
@torch.no_grad()
def test_activations_are_taken_after_relu_and_logits_from_the_embedding(name: str) -> None:
    built, images = started(name), torch.randn(2, *CIFAR)
    features = built.features(images)
    assert all(float(a.min()) == 0 for a in features.activations)
    torch.testing.assert_close(built(images), built.classifier(features.embedding))


@torch.no_grad()
def test_a_residual_block_without_a_residual_gives_its_input() -> None:
    """With the last norm's weight and bias at 0 the residual is 0; ReLU keeps what is positive."""
    block = started("resnet18").stages[0][1]
    block.residual[4].weight.zero_()
    x = torch.rand(2, 64, 4, 4)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(
    ("name", "fields", "shape", "needed"),
    [
        ("lenet", {}, (1, 11, 28), 12),
        ("lenet", {}, (3, 15, 15), 16),
        ("alexnet", {}, (1, 3, 3), 4),
        ("alexnet", {}, (3, 7, 8), 8),
        ("vgg11", {}, (1, 27, 27), 28),
        ("vgg11", {"norm": "batch"}, (3, 31, 31), 32),
        ("resnet18", {}, DIGITS, 9),
    ],
)
@torch.no_grad()
def test_images_that_are_too_small_are_refused_with_the_size_needed(
    name: str, fields: dict[str, str], shape: tuple[int, int, int], needed: int
) -> None:
    pixels = f"{shape[1]} x {shape[2]} pixels; it needs at least {needed} x {needed}: use another network"
    with pytest.raises(ValueError, match=rf"network.name: given {name}.* {shape[0]}-channel images of {pixels}"):
        network(name, shape, **fields)
    enough = torch.randn(2, shape[0], needed, needed)
    assert bool(torch.isfinite(started(name, (shape[0], needed, needed), **fields)(enough)).all())


def test_resnet18_takes_digits_with_batch_norm() -> None:
    assert started("resnet18", DIGITS, norm="batch")(torch.randn(4, *DIGITS)).shape == (4, 10)


@pytest.mark.parametrize(
    ("name", "fields"), [*((name, {}) for name in CLASSIC), ("vgg11", {"norm": "batch"}), ("resnet18", {"norm": "batch"})]
)
@torch.no_grad()
def test_the_start_draws_every_parameter_from_the_generator(name: str, fields: dict[str, str]) -> None:
    """Filled with NaN before, none is left; weights stay within 1 / sqrt(fan-in); the global generator is not touched."""
    built = network(name, **fields)
    for tensor in built.state_dict().values():
        if tensor.is_floating_point():
            tensor.fill_(torch.nan)
    before = torch.get_rng_state()
    initialise(built, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())
    assert all(bool(torch.isfinite(tensor).all()) for tensor in built.state_dict().values())
    layers = [module for module in built.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert all(float(m.weight.abs().max()) <= 1 / math.sqrt(m.weight[0].numel()) for m in layers)
    assert all(float(m.weight.std()) > 0.5 / math.sqrt(m.weight[0].numel()) for m in layers)


@torch.no_grad()
def test_networks_run_on_parameters_that_are_handed_in() -> None:
    """Unrolling needs that: the same parameters by hand give the same logits."""
    built, images = started("resnet18"), torch.randn(2, *CIFAR)
    by_hand = torch.func.functional_call(built, dict(built.named_parameters()), (images,))
    torch.testing.assert_close(by_hand, built(images))
