"""DataDAM's maths by hand, its golden losses, and what each of its settings changes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from three_classes import NETWORK, ON_ANY_CPU, distil_noted, small_part
from torch import Tensor

from raydistill.core import matching
from raydistill.core.contract import NoCheckpoint
from raydistill.core.layers import Features
from raydistill.core.synthetic import SyntheticSet
from raydistill.errors import DivergedError
from raydistill.methods import datadam
from raydistill.methods.configs.datadam import DataDAMConfig
from raydistill.methods.datadam import attention_map, class_means, matching_loss
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import ConvNetConfig, MLPConfig


def run(**fields: Any) -> tuple[SyntheticSet, list[float]]:
    given = {"name": "datadam", "random_inits": 3, "batch_real": 5, "lr_images": 0.1, "attention_power": 4.0}
    return distil_noted(DataDAMConfig.model_validate({**given, **fields}))


def test_attention_map_sums_powers_over_channels_and_has_unit_length() -> None:
    """Two channels, two positions, p = 2: (1, 2) and (2, 0) give sums (1+4, 4+0) = (5, 4); norm sqrt(41)."""
    features = torch.tensor([[[[1.0, 2.0]], [[2.0, 0.0]]]])
    assert attention_map(features, 2.0).tolist()[0] == pytest.approx([5 / math.sqrt(41), 4 / math.sqrt(41)])


def test_attention_map_of_dead_activations_is_zero_with_a_finite_gradient() -> None:
    features = torch.zeros(1, 2, 2, 2, requires_grad=True)
    maps = attention_map(features, 4.0)
    maps.sum().backward()
    assert maps.abs().sum() == 0
    assert features.grad is not None
    assert bool(torch.isfinite(features.grad).all())


@pytest.mark.parametrize(("shape", "power"), [((2, 3), 1.0), ((1, 1, 2, 2), 0.0)])
def test_attention_map_refuses_what_it_cannot_map(shape: tuple[int, ...], power: float) -> None:
    with pytest.raises(ValueError, match=r"give features \(N, C, H, W\) and a power above 0"):
        attention_map(torch.ones(shape), power)


def test_class_means_leave_out_the_last_block_and_keep_classes_apart() -> None:
    """Two classes of two images; embeddings (1, 3) and (5, 7) have means 2 and 6."""
    features = Features([torch.rand(4, 2, 3, 3), torch.rand(4, 2, 2, 2)], torch.tensor([[1.0], [3.0], [5.0], [7.0]]))
    maps, embeddings = class_means(features, classes=2, power=1.0)
    assert maps.shape == (2, 9)
    assert embeddings.tolist() == [[2.0], [6.0]]


def test_matching_loss_is_scale_times_attention_plus_lambda_times_mmd() -> None:
    """Attention means differ by (3, 4) in class 0 and not in class 1: 25 + 0. Embeddings by 1 and 2: 1 + 4. With lambda 0.1 and
    scale 10 the sum over classes is 10 * (25 + 0.1 * 5) = 255, the mean 127.5."""
    real = [torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0], [0.0]])]
    synthetic = [torch.tensor([[3.0, 4.0], [1.0, 1.0]]), torch.tensor([[1.0], [2.0]])]
    fields = {"name": "datadam", "loss_scale": 10.0, "mmd_weight": 0.1}
    assert matching_loss(real, synthetic, DataDAMConfig(**fields)).item() == pytest.approx(255.0)
    assert matching_loss(real, synthetic, DataDAMConfig(**fields, class_reduction="mean")).item() == pytest.approx(127.5)


def test_either_term_can_be_left_out() -> None:
    """As above: attention 25, embeddings 5. Without attention 10 * 0.1 * 5 = 5, without embeddings 10 * 25 = 250."""
    real = [torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0], [0.0]])]
    synthetic = [torch.tensor([[3.0, 4.0], [1.0, 1.0]]), torch.tensor([[1.0], [2.0]])]
    fields = {"name": "datadam", "loss_scale": 10.0, "mmd_weight": 0.1}
    without = [{"attention_weight": 0.0}, {"mmd_weight": 0.0}]
    losses = [matching_loss(real, synthetic, DataDAMConfig(**{**fields, **off})).item() for off in without]
    assert losses == pytest.approx([5.0, 250.0])


def test_attention_term_per_class_and_layer_is_at_most_two() -> None:
    """Means of non-negative unit vectors have norm at most 1 and no negative product: |a - b|^2 <= 2."""
    generator = torch.Generator().manual_seed(0)
    a, b = (attention_map(torch.rand(50, 3, 4, 4, generator=generator) ** 8, 4.0) for _ in range(2))
    assert float((a.mean(0) - b.mean(0)).square().sum()) <= 2


@pytest.mark.usefixtures("float64")
def test_golden_losses_of_three_single_step_networks() -> None:
    _, losses = run()
    assert losses == pytest.approx(GOLDEN_SINGLE, rel=ON_ANY_CPU)


@pytest.mark.usefixtures("float64")
def test_golden_losses_of_the_k_by_t_variant() -> None:
    _, losses = run(random_inits=2, steps_per_init=2, image_steps=2, model_steps=3, lr_model=0.1)
    assert losses == pytest.approx(GOLDEN_BILEVEL, rel=ON_ANY_CPU)


@pytest.mark.usefixtures("float64")
def test_real_batches_in_chunks_give_the_loss_of_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run()[1]
    monkeypatch.setattr(matching, "REAL_CHUNK", 5)
    assert run()[1] == pytest.approx(whole, rel=ON_ANY_CPU)


def test_noise_start_moves_towards_the_real_images() -> None:
    _, losses = run(random_inits=40, init="noise", lr_images=1.0, augmentation="none")
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_start_set_is_the_first_draw_whatever_the_settings_are() -> None:
    starts = []
    for weight in (0.0, 1.0):
        seen: list[Tensor] = []
        config = DataDAMConfig(name="datadam", random_inits=1, batch_real=5, mmd_weight=weight)
        datadam.distill(
            small_part(),
            NETWORK,
            config,
            2,
            generator=torch.Generator().manual_seed(3),
            device=torch.device("cpu"),
            report=lambda step, steps, loss, synthetic, seen=seen: seen.append(synthetic.images.clone()),  # type: ignore[misc]
            checkpoint=NoCheckpoint(),
        )
        starts.append(seen[0])
    assert torch.equal(*starts)


@pytest.mark.parametrize("init", ["real", "k_center", "k_means_medoids"])
def test_real_starts_are_train_images_of_their_class(init: str) -> None:
    part = small_part()
    synthetic, _ = run(init=init, lr_images=1e-30)
    for image, label in zip(synthetic.images, synthetic.labels, strict=True):
        matches = (part.images - image).abs().amax(dim=(1, 2, 3)) == 0
        assert matches.sum() == 1
        assert part.labels[matches] == label


def test_model_steps_change_the_second_iteration_only_where_a_network_is_kept() -> None:
    first = {"random_inits": 1, "steps_per_init": 2}
    without, with_steps = run(**first, model_steps=0)[1], run(**first, model_steps=5)[1]
    assert without[0] == pytest.approx(with_steps[0])
    assert without[1] != pytest.approx(with_steps[1], rel=0.01)
    assert run(model_steps=0)[1] == pytest.approx(run(model_steps=5)[1])


def test_loss_scale_multiplies_the_learning_rate() -> None:
    scaled, _ = run(loss_scale=100.0, lr_images=0.01)
    plain, _ = run(loss_scale=1.0, lr_images=1.0)
    assert torch.allclose(scaled.images, plain.images, atol=1e-5)


def test_diverging_images_name_the_step() -> None:
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at step \d+; lower the learning rates"):
        run(random_inits=30, lr_images=1e30)


def test_an_unknown_operation_is_refused_by_the_config() -> None:
    with pytest.raises(ValidationError, match="unknown operation 'blur'; allowed: dsa"):
        DataDAMConfig(name="datadam", augmentation="crop_blur")


@pytest.mark.parametrize(
    ("fields", "network", "message"),
    [
        ({"batch_real": 90}, NETWORK, "the smallest class has 77 train images: write at most that number"),
        ({}, MLPConfig(name="mlp"), "depth: 2 or more"),
        ({}, ConvNetConfig(name="convnet", depth=1), "depth: 2 or more"),
    ],
)
def test_settings_that_data_or_network_cannot_serve_are_named(fields: dict[str, Any], network: Any, message: str) -> None:
    found = list(DataDAMConfig(name="datadam", **fields).against(DataFacts(smallest_class=77, confirm_images=300), network))
    assert len(found) == 1
    assert message in found[0][1]


GOLDEN_SINGLE = [133.2197270911736, 116.48839624569702, 131.41000119495172]
GOLDEN_BILEVEL = [
    133.2197270911736,
    90.57632971131646,
    90.4679077147778,
    68.80094931479437,
    111.4969407545761,
    75.81011437900457,
    64.21224648851822,
    49.26052575505383,
]
