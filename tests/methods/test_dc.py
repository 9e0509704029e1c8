"""Gradient matching by hand, its golden losses, and what its settings change."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from three_classes import NETWORK, ON_ANY_CPU, distil_noted
from torch.nn import functional

from raydistill.core.networks import build_network, initialise
from raydistill.core.synthetic import SyntheticSet
from raydistill.errors import DivergedError
from raydistill.methods import dc
from raydistill.methods.configs.dc import DCConfig
from raydistill.methods.dc import gradient_distance, matching_gradient, weight_gradients
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import ConvNetConfig, MLPConfig, NetworkConfig, ResNet18Config

FACTS = DataFacts(smallest_class=256, confirm_images=300)
CPU = torch.device("cpu")


def run(**fields: Any) -> tuple[SyntheticSet, list[float]]:
    given = {"name": "dc", "random_inits": 2, "steps_per_init": 2, "model_steps": 3, "batch_real": 5, "lr_model": 0.1}
    return distil_noted(DCConfig.model_validate({**given, **fields}))


def test_gradient_distance_sums_one_minus_cosine_over_rows_of_all_weights() -> None:
    """Rows (1, 0) and (0, 2) against (3, 0) and (2, 0): 0 and 1. A 1 x 2 x 1 x 1 weight (1, 1) against (1, 0): 1 - 1/sqrt(2)."""
    real = [torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.ones(1, 2, 1, 1)]
    synthetic = [torch.tensor([[3.0, 0.0], [2.0, 0.0]]), torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)]
    assert gradient_distance(real, synthetic).item() == pytest.approx(1 + 1 - 1 / math.sqrt(2), abs=1e-5)


def test_a_row_without_a_gradient_counts_one_and_stays_finite() -> None:
    synthetic = torch.zeros(1, 3, requires_grad=True)
    distance = gradient_distance([torch.ones(1, 3)], [synthetic])
    distance.backward()
    assert distance.item() == 1.0
    assert synthetic.grad is not None
    assert bool(torch.isfinite(synthetic.grad).all())


def test_weight_gradients_by_hand() -> None:
    """Embedding 1, weights 0, two classes: p = 1/2 each, so the classifier's gradient for class 0 is -1/2 and 1/2.

    Its weight is 0, so nothing reaches the two hidden layers. Biases are left out: three weights, three gradients.
    """
    network = build_network(MLPConfig(name="mlp", width=1), (1, 1, 1), 2, CPU)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.hidden[1].bias.fill_(1.0)
        network.hidden[3].weight.fill_(1.0)
    first, second, last = weight_gradients(network, torch.ones(3, 1, 1, 1), 0, keep_graph=False)
    assert (first.item(), second.item()) == (0.0, 0.0)
    assert last.flatten().tolist() == pytest.approx([-0.5, 0.5])


def test_norms_and_biases_are_not_matched() -> None:
    network = build_network(NETWORK, (1, 8, 8), 3, CPU)
    initialise(network, torch.Generator().manual_seed(0))
    gradients = weight_gradients(network, torch.randn(2, 1, 8, 8), 1, keep_graph=False)
    assert [tuple(g.shape) for g in gradients] == [(4, 1, 3, 3), (4, 4, 3, 3), (3, 36)]


@pytest.mark.usefixtures("float64")
def test_matching_gradient_is_the_slope_of_the_loss_over_all_classes() -> None:
    """Against central differences on three pixels of three classes."""
    generator = torch.Generator().manual_seed(1)
    network = build_network(NETWORK, (1, 8, 8), 3, CPU)
    initialise(network, generator)
    images, real_images = (torch.randn(6, 1, 8, 8, generator=generator) for _ in range(2))
    real = [weight_gradients(network, part, c, keep_graph=False) for c, part in enumerate(real_images.chunk(3))]
    _, gradient = matching_gradient(network, images, real, None)
    for place in ((0, 0, 2, 3), (3, 0, 5, 5), (5, 0, 7, 0)):
        nudge = torch.zeros_like(images)
        nudge[place] = 1e-5
        above, below = (matching_gradient(network, images + sign * nudge, real, None)[0] for sign in (1, -1))
        assert gradient[place].item() == pytest.approx((above - below).item() / 2e-5, rel=1e-4, abs=1e-8)


def test_images_that_are_the_real_ones_have_no_distance() -> None:
    network = build_network(NETWORK, (1, 8, 8), 2, CPU)
    initialise(network, torch.Generator().manual_seed(0))
    images = torch.randn(4, 1, 8, 8)
    real = [weight_gradients(network, part, c, keep_graph=False) for c, part in enumerate(images.chunk(2))]
    loss, _ = matching_gradient(network, images, real, None)
    assert loss.item() == pytest.approx(0.0, abs=1e-2)


@pytest.mark.usefixtures("float64")
def test_golden_losses_of_dsa() -> None:
    assert run()[1] == pytest.approx(GOLDEN_DSA, rel=ON_ANY_CPU)


@pytest.mark.usefixtures("float64")
def test_golden_losses_of_dc_with_two_image_steps() -> None:
    _, losses = run(augmentation="none", init="noise", image_steps=2, random_inits=1)
    assert losses == pytest.approx(GOLDEN_DC, rel=ON_ANY_CPU)


def test_noise_start_comes_nearer_to_the_real_gradients() -> None:
    _, losses = run(random_inits=30, steps_per_init=1, init="noise", lr_images=1.0, augmentation="none")
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_model_steps_change_the_second_iteration_only() -> None:
    without, with_steps = run(model_steps=0, random_inits=1)[1], run(model_steps=5, random_inits=1)[1]
    assert without[0] == pytest.approx(with_steps[0])
    assert without[1] != pytest.approx(with_steps[1], rel=0.01)


def test_the_model_is_trained_by_plain_sgd_between_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """K = 2, T = 3: between iterations of one network only, so 2 * (3 - 1) times."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(dc, "train_between", lambda *_, **given: calls.append(given))
    run(steps_per_init=3, batch_model=4)
    assert calls == [{"lr": 0.1, "steps": 3, "batch": 4}] * 4


def test_diverging_images_name_the_step() -> None:
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at step \d+; lower the learning rates"):
        run(random_inits=15, lr_images=1e38)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (NETWORK, []),
        (MLPConfig(name="mlp"), []),
        (ResNet18Config(name="resnet18", norm="batch"), ["name"]),
        (ConvNetConfig(name="convnet", norm="batch"), ["name"]),
    ],
)
def test_batch_norm_is_refused(network: NetworkConfig, expected: list[str]) -> None:
    found = list(DCConfig(name="dc").against(FACTS, network))
    assert [field for field, _ in found] == expected
    assert all("batch norm would use that class's statistics: write norm: instance" in message for _, message in found)


def test_a_batch_above_the_smallest_class_is_told() -> None:
    ((field, message),) = DCConfig(name="dc").against(DataFacts(smallest_class=77, confirm_images=300), NETWORK)
    assert (field, message) == ("batch_real", "given 256; the smallest class has 77 train images: write at most that number")


def test_a_mean_over_a_batch_is_what_is_differentiated() -> None:
    """Twice the same image gives the gradient of one."""
    network = build_network(NETWORK, (1, 8, 8), 2, CPU)
    initialise(network, torch.Generator().manual_seed(0))
    image = torch.randn(1, 1, 8, 8)
    one, two = (weight_gradients(network, image.repeat(n, 1, 1, 1), 1, keep_graph=False) for n in (1, 2))
    by_hand = torch.autograd.grad(functional.cross_entropy(network(image), torch.tensor([1])), network.classifier.weight)
    torch.testing.assert_close(one[-1], by_hand[0])
    torch.testing.assert_close(one, two)


GOLDEN_DSA = [8.861624432851778, 5.990689271596491, 7.532892837343306, 6.703731350890509]
GOLDEN_DC = [19.418851770412417, 18.802147348980185, 17.250318764019866, 15.711700926179638]
