"""Networks against the published counts: parameters, map sizes, order of parameters, and their own random start."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import accumulate
from typing import Any

import pytest
import torch
from torch import nn

from raydistill.core.layers import average_pool
from raydistill.core.networks import ACTIVATIONS, POOLS, Network, build_network, initialise
from raydistill.spaces.network import ConvNetConfig, MLPConfig

CPU = torch.device("cpu")
MNIST, CIFAR, TINY, MHIST = (1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 224, 224)


def convnet(shape: tuple[int, int, int] = CIFAR, classes: int = 10, **fields: Any) -> Network:
    return build_network(ConvNetConfig(name="convnet", **fields), shape, classes, CPU)


def mlp(shape: tuple[int, int, int] = MNIST, classes: int = 10, **fields: Any) -> Network:
    return build_network(MLPConfig(name="mlp", **fields), shape, classes, CPU)


def parameters(network: Network) -> int:
    return sum(p.numel() for p in network.parameters())


def started(network: Network, seed: int = 0) -> Network:
    initialise(network, torch.Generator().manual_seed(seed))
    return network


@pytest.mark.parametrize(
    ("shape", "classes", "fields", "count"),
    [
        (MNIST, 10, {}, 317_706),
        (CIFAR, 10, {}, 320_010),
        (CIFAR, 100, {}, 504_420),
        (TINY, 200, {"depth": 4}, 857_160),
        (MHIST, 2, {"depth": 7, "width": 32}, 56_898),
    ],
)
def test_convnet_has_the_published_number_of_parameters(
    shape: tuple[int, int, int], classes: int, fields: dict[str, int], count: int
) -> None:
    """MNIST: 1*128*9 + 128 + 256, twice 128*128*9 + 128 + 256, 2048*10 + 10: 1,536 + 2 * 147,840 + 20,490 = 317,706."""
    assert parameters(convnet(shape, classes, **fields)) == count


@pytest.mark.parametrize(("shape", "classes", "count"), [(MNIST, 10, 118_282), (CIFAR, 10, 411_146), (CIFAR, 100, 422_756)])
def test_mlp_has_the_published_number_of_parameters(shape: tuple[int, int, int], classes: int, count: int) -> None:
    """MNIST: 784*128 + 128 + 128*128 + 128 + 128*10 + 10 = 100,480 + 16,512 + 1,290 = 118,282."""
    assert parameters(mlp(shape, classes)) == count


@pytest.mark.parametrize(
    ("norm", "count"), [("instance", 320_010), ("batch", 320_010), ("group", 320_010), ("none", 319_242), ("layer", 663_306)]
)
def test_norm_decides_the_number_of_affine_parameters(norm: str, count: int) -> None:
    """Per channel 3 * 256 = 768, so none has 320,010 - 768. Layer: 2 * 128 * (32^2 + 16^2 + 8^2) = 344,064 instead of 768."""
    assert parameters(convnet(norm=norm)) == count


@pytest.mark.parametrize(
    ("shape", "fields", "sizes", "embedding"),
    [
        (MNIST, {}, [32, 16, 8], 2048),
        (CIFAR, {}, [32, 16, 8], 2048),
        ((1, 32, 32), {}, [36, 18, 9], 2048),
        (TINY, {"depth": 4}, [64, 32, 16, 8], 2048),
        (MHIST, {"depth": 7, "width": 32}, [224, 112, 56, 28, 14, 7, 3], 32),
        ((1, 8, 8), {"depth": 3, "width": 4}, [12, 6, 3], 4),
    ],
)
def test_maps_have_the_published_sizes(
    shape: tuple[int, int, int], fields: dict[str, int], sizes: list[int], embedding: int
) -> None:
    """With one channel the first convolution adds 4 pixels: 28 becomes 32, 32 becomes 36, 8 becomes 12."""
    width = fields.get("width", 128)
    features = started(convnet(shape, **fields)).features(torch.zeros(2, *shape))
    assert [tuple(a.shape) for a in features.activations] == [(2, width, size, size) for size in sizes]
    assert features.embedding.shape == (2, embedding)


@pytest.mark.parametrize(
    ("shape", "ends"),
    [
        (CIFAR, {"block 1": 3840, "weight 2": 151_296, "block 2": 151_680, "weight 3": 299_136, "block 3": 299_520}),
        (MNIST, {"block 1": 1536, "block 2": 149_376, "block 3": 297_216}),
    ],
)
def test_parameters_come_in_the_published_order(shape: tuple[int, int, int], ends: dict[str, int]) -> None:
    """Per block convolution weight and bias, norm weight and bias; then the classifier's."""
    after = list(accumulate(p.numel() for p in convnet(shape).parameters()))
    places = {"block 1": 3, "weight 2": 4, "block 2": 7, "weight 3": 8, "block 3": 11}
    assert {name: after[places[name]] for name in ends} == ends


def test_first_weight_of_cifar_ends_at_3456() -> None:
    """128 * 3 * 9 = 3,456."""
    assert next(iter(convnet().parameters())).numel() == 3456


def test_activations_are_taken_after_relu() -> None:
    activations = started(convnet(width=4)).features(torch.randn(2, *CIFAR)).activations
    assert all(float(a.detach().min()) == 0 for a in activations)


def test_embedding_is_the_pooled_last_activation() -> None:
    features = started(convnet(width=4)).features(torch.randn(2, *CIFAR))
    pooled = nn.functional.avg_pool2d(features.activations[-1], 2)
    torch.testing.assert_close(features.embedding, pooled.flatten(1))


@pytest.mark.parametrize("network", [convnet(width=4), mlp(CIFAR)])
def test_logits_are_the_classifier_of_the_embedding(network: Network) -> None:
    images = torch.randn(2, *CIFAR)
    started(network)
    assert network(images).shape == (2, 10)
    torch.testing.assert_close(network(images), network.classifier(network.features(images).embedding))


def test_mlp_has_no_spatial_maps_and_its_width_as_embedding() -> None:
    features = started(mlp(width=16)).features(torch.zeros(2, *MNIST))
    assert features.activations == []
    assert features.embedding.shape == (2, 16)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 9), (2, 3)])
def test_average_pool_is_that_of_pytorch(height: int, width: int) -> None:
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    torch.testing.assert_close(average_pool(x), nn.functional.avg_pool2d(x, 2))


@pytest.mark.parametrize(("shape", "depth", "allowed"), [((1, 8, 8), 4, 3), ((3, 8, 8), 4, 3), (CIFAR, 6, 5), ((3, 4, 64), 3, 2)])
def test_images_too_small_for_the_depth_are_refused(shape: tuple[int, int, int], depth: int, allowed: int) -> None:
    pixels = f"{shape[1]} x {shape[2]} pixels"
    with pytest.raises(ValueError, match=f"network.depth: given {depth}; images of {pixels} allow at most {allowed}: lower it"):
        convnet(shape, depth=depth)
    convnet(shape, depth=allowed)


def test_the_same_generator_state_gives_the_same_parameters() -> None:
    first, second = started(convnet(width=4), seed=3), started(convnet(width=4), seed=3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_another_seed_gives_other_parameters() -> None:
    first, second = started(convnet(width=4), seed=3), started(convnet(width=4), seed=4)
    assert not torch.equal(first.classifier.weight, second.classifier.weight)


def test_a_second_start_from_one_generator_differs() -> None:
    generator = torch.Generator().manual_seed(0)
    network = convnet(width=4)
    initialise(network, generator)
    before = network.classifier.weight.clone()
    initialise(network, generator)
    assert not torch.equal(before, network.classifier.weight)


@torch.no_grad()
@pytest.mark.parametrize("network", [convnet(), mlp(CIFAR)])
def test_weights_and_biases_fill_one_over_the_root_of_the_fan_in(network: Network) -> None:
    """Fan-in 27, 1,152, 1,152 in the convolutions and 2,048 in the classifier; 3,072, 128, 128 in the MLP."""
    started(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(module.weight[0].numel())
            assert float(module.weight.abs().max()) <= bound
            assert float(module.bias.abs().max()) <= bound
            assert float(module.weight.max()) > 0.9 * bound
            assert float(module.weight.min()) < -0.9 * bound


def test_the_first_weight_is_the_first_draw_in_its_bounds() -> None:
    """u uniform in 0 to 1 gives (2 u - 1) / sqrt(27): 3 channels of 3 x 3."""
    drawn = torch.rand(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    first = next(iter(started(convnet(width=4)).parameters()))
    torch.testing.assert_close(first.detach(), (2 * drawn - 1) / math.sqrt(27))


@torch.no_grad()
def test_the_start_is_distributed_as_pytorch_distributes_it() -> None:
    """Uniform within b has standard deviation b / sqrt(3): PyTorch's own layer and ours agree with it to 2 %."""
    ours, theirs = started(mlp(CIFAR)).hidden[1].weight, nn.Linear(3072, 128).weight
    expected = 1 / math.sqrt(3 * 3072)
    assert float(ours.std()) == pytest.approx(expected, rel=0.02)
    assert float(theirs.std()) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("norm", ["instance", "batch", "layer", "group"])
def test_norms_start_at_weight_one_and_bias_zero(norm: str) -> None:
    network = convnet(width=4, norm=norm)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm)]
    for module in norms:
        nn.init.constant_(module.weight, 7.0)
        nn.init.constant_(module.bias, 7.0)
    started(network)
    assert len(norms) == 3
    assert all(bool((m.weight == 1).all()) and bool((m.bias == 0).all()) for m in norms)


@torch.no_grad()
def test_batch_norm_forgets_what_it_ran_over() -> None:
    network = started(convnet(width=4, norm="batch"))
    network(torch.randn(8, *CIFAR) + 3)
    norm = network.blocks[0][1]
    assert float(norm.running_mean.abs().max()) > 0
    started(network)
    assert bool((norm.running_mean == 0).all())
    assert bool((norm.running_var == 1).all())


def test_the_start_neither_uses_nor_touches_the_global_generator() -> None:
    network = convnet(width=4)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = started(network).classifier.weight.clone()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, started(network).classifier.weight)


def test_instance_norm_sees_each_image_alone() -> None:
    network = started(convnet(width=4))
    images = torch.randn(5, *CIFAR)
    torch.testing.assert_close(network(images)[:1], network(images[:1]))


def test_instance_norm_centres_and_scales_every_map() -> None:
    """One group per channel: before the ReLU each 32 x 32 map has mean 0 and variance 1."""
    block = started(convnet(width=4)).blocks[0]
    maps = block[1](block[0](torch.randn(2, *CIFAR)))
    torch.testing.assert_close(maps.mean(dim=(2, 3)), torch.zeros(2, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps.var(dim=(2, 3), correction=0), torch.ones(2, 4), atol=1e-3, rtol=0)


def test_building_a_network_and_a_step_of_its_optimiser_import_no_compiler() -> None:
    """Nor sympy, which PyTorch's compiler reads: each trial's process builds networks and trains them."""
    code = (
        "import sys, torch; from raydistill.core.networks import build_network; from raydistill.core.sgd import SGD; "
        "from raydistill.spaces.network import ConvNetConfig; "
        "build_network(ConvNetConfig(name='convnet', depth=1, width=2), (1, 4, 4), 2, torch.device('cpu')); "
        "x = torch.zeros(1, requires_grad=True); s = SGD([x], lr=1.0); x.sum().backward(); s.step(); s.zero_grad(); "
        "print([name for name in ('sympy', 'torch._dynamo') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(("pooling", "sides"), [("average", (8, 4)), ("max", (8, 4)), ("none", (8, 8))])
def test_a_convnet_without_pooling_keeps_the_size_of_its_maps(pooling: str, sides: tuple[int, int]) -> None:
    """Two blocks of width 4 on one 4 x 4 channel, padded to 8 x 8: 4 * 9 + 4 + 8 weights, then 4 * 4 * 9 + 4 + 8."""
    network = started(convnet((1, 4, 4), 2, depth=2, width=4, pooling=pooling))
    features = network.features(torch.zeros(2, 1, 4, 4))
    assert tuple(a.shape[-1] for a in features.activations) == sides
    last = 4 * (8 if pooling == "none" else 2) ** 2
    assert parameters(network) == (4 * 9 + 4 + 8) + (4 * 4 * 9 + 4 + 8) + last * 2 + 2


@pytest.mark.parametrize(("pooling", "pooled"), [("average", 2.5), ("max", 4.0)])
def test_pooling_takes_the_mean_or_the_largest_of_four(pooling: str, pooled: float) -> None:
    """Of 1, 2, 3 and 4: 2.5 and 4."""
    assert POOLS[pooling](torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).item() == pooled


@pytest.mark.parametrize(
    ("activation", "below", "above"), [("relu", 0.0, 2.0), ("leaky_relu", -0.02, 2.0), ("sigmoid", 0.1192, 0.8808)]
)
def test_activations_by_hand(activation: str, below: float, above: float) -> None:
    """At -2 and 2: the slope of leaky_relu below 0 is 0.01; 1 / (1 + e^2) is 0.1192."""
    assert ACTIVATIONS[activation]()(torch.tensor([-2.0, 2.0])).tolist() == pytest.approx([below, above], abs=1e-4)


def test_only_pooling_limits_the_depth() -> None:
    """Digits have 8 x 8 pixels, padded to 12 x 12: three poolings leave one."""
    assert list(ConvNetConfig(name="convnet", depth=4).against((1, 8, 8)))
    assert not list(ConvNetConfig(name="convnet", depth=4, pooling="none").against((1, 8, 8)))


def test_activation_and_pooling_leave_the_ids_of_older_trials_as_they_were() -> None:
    assert ConvNetConfig(name="convnet").model_dump() == {"name": "convnet", "depth": 3, "width": 128, "norm": "instance"}
    assert ConvNetConfig(name="convnet", pooling="max").model_dump()["pooling"] == "max"
