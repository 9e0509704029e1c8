"""RaT-BPTT's maths by hand, its golden losses, and what its settings change."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from test_contract import distil
from three_classes import NETWORK, ON_ANY_CPU, distil_noted
from torch import Tensor

from raydistill.core.augment import Draw
from raydistill.core.synthetic import SyntheticSet
from raydistill.errors import DivergedError
from raydistill.methods.configs.rat_bptt import ABLATIONS, RaTBPTTConfig, images_passed
from raydistill.methods.rat_bptt import loss_after_training, rate, trained
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import ConvNetConfig

ALL = torch.tensor([0])
ONE_STEP: list[tuple[Tensor, Draw | None]] = [(ALL, None)]


def run(**fields: Any) -> tuple[SyntheticSet, list[float]]:
    given = {"name": "rat_bptt", "random_inits": 4, "training_steps": 6, "window": 3, "batch_real": 5, "lr_images": 0.1}
    return distil_noted(RaTBPTTConfig.model_validate({**given, **fields}), NETWORK)


def quadratic(image: Tensor, theta: Tensor) -> Tensor:
    return (theta - image).square().sum() / 2


def test_two_steps_on_a_quadratic_by_hand() -> None:
    """Loss (theta - x)^2 / 2 with alpha 1/4: theta_N = x + (3/4)^N (theta_0 - x); from 0 to x = 4 that is 1, then 1.75."""
    image = torch.tensor([4.0])
    end = trained(torch.zeros(1), lambda theta, _, __: quadratic(image, theta), ONE_STEP * 2, 0.25, keep_graph=False)
    assert end.tolist() == [1.75]


def test_gradients_flow_through_the_steps_that_keep_their_graph() -> None:
    """d theta_2 / dx = 1 - (3/4)^2 = 7/16 on the same quadratic."""
    image = torch.tensor([4.0], requires_grad=True)
    end = trained(torch.zeros(1), lambda theta, _, __: quadratic(image, theta), ONE_STEP * 2, 0.25, keep_graph=True)
    (slope,) = torch.autograd.grad(end.sum(), image)
    assert slope.tolist() == [0.4375]


def linear(theta: Tensor, images: Tensor) -> Tensor:
    """Logits (0, theta x) of two classes."""
    x = images.flatten(1)
    return torch.cat([torch.zeros_like(x), x * theta], dim=1)


def test_loss_after_one_step_and_its_gradient_by_hand() -> None:
    """One image x of class 1, alpha 1, theta_0 = 0: theta_1 = x/2, since the slope of -log sigmoid(theta x) is -x/2 there.

    A real image 2 of class 1 has the loss -log sigmoid(2 theta_1) = log(1 + e^-x); its slope in x is -1 / (1 + e^x).
    """
    image = torch.full((1, 1, 1, 1), 3.0, requires_grad=True)
    one, two = torch.tensor([1]), torch.full((1, 1, 1, 1), 2.0)
    loss = loss_after_training(linear, torch.zeros(1), (image, one), (two, one), ONE_STEP, window=1, lr=1.0)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-3)))
    (slope,) = torch.autograd.grad(loss, image)
    assert slope.item() == pytest.approx(-1 / (1 + math.exp(3)))


def test_loss_after_one_step_with_a_soft_label_and_its_gradient_by_hand() -> None:
    """As above with the probability q of class 1: theta_1 = x (q - 1/2), and the slope in q is -2x / (1 + e^(2 theta_1))."""
    q = torch.tensor(0.75, requires_grad=True)
    image, two = torch.full((1, 1, 1, 1), 3.0), torch.full((1, 1, 1, 1), 2.0)
    label = torch.stack([1 - q, q]).unsqueeze(0)
    loss = loss_after_training(linear, torch.zeros(1), (image, label), (two, torch.tensor([1])), ONE_STEP, window=1, lr=1.0)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1.5)))
    (slope,) = torch.autograd.grad(loss, q)
    assert slope.item() == pytest.approx(-6 / (1 + math.exp(1.5)))


def test_steps_before_the_window_change_the_loss_but_count_as_constant() -> None:
    """With theta_1 = 1/2 held, theta_2 = theta_1 + x s(-theta_1 x), s the sigmoid: the slope at x = 1 is that of x s(-x/2)."""
    image = torch.ones(1, 1, 1, 1, requires_grad=True)
    one, real = torch.tensor([1]), torch.ones(1, 1, 1, 1)
    loss = loss_after_training(linear, torch.zeros(1), (image, one), (real, one), ONE_STEP * 2, window=1, lr=1.0)
    s = 1 / (1 + math.exp(0.5))
    theta = 0.5 + s
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-theta)))
    slope_of_theta = s - 0.5 * s * (1 - s)
    (slope,) = torch.autograd.grad(loss, image)
    assert slope.item() == pytest.approx(-slope_of_theta / (1 + math.exp(theta)))


@pytest.mark.parametrize(("step", "expected"), [(0, 1.0), (5, 1.0), (7, 0.6), (9, 0.2)])
def test_the_rate_is_constant_and_then_falls_in_a_straight_line(step: int, expected: float) -> None:
    assert rate(1.0, step, 10) == pytest.approx(expected)


@pytest.mark.usefixtures("float64")
def test_golden_losses() -> None:
    assert run()[1] == pytest.approx(GOLDEN, rel=ON_ANY_CPU)


def test_images_improve() -> None:
    _, losses = run(random_inits=60, training_steps=5, window=5, init="noise", augmentation="none", lr_model=0.5)
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_a_rate_of_the_network_that_is_too_high_ends_in_one_message() -> None:
    with pytest.raises(DivergedError, match="the loss is nan at step 1; lower the learning rates"):
        run(lr_model=1e30)


def test_a_window_longer_than_the_training_is_told() -> None:
    with pytest.raises(ValueError, match="window is 9, but training_steps is 4: the window is part of the training"):
        RaTBPTTConfig(name="rat_bptt", training_steps=4, window=9)


def test_batch_norm_is_told() -> None:
    network = ConvNetConfig(name="convnet", depth=2, width=4, norm="batch")
    facts = DataFacts(smallest_class=500, confirm_images=300)
    ((field, message),) = RaTBPTTConfig(name="rat_bptt").against(facts, network)
    assert field == "name"
    assert "write norm: instance" in message


def test_a_batch_above_the_smallest_class_is_told() -> None:
    ((field, message),) = RaTBPTTConfig(name="rat_bptt").against(DataFacts(smallest_class=77, confirm_images=300), NETWORK)
    assert field == "batch_real"
    assert "the smallest class has 77 train images" in message


def test_cost_counts_the_window_twice() -> None:
    """Three updates; 20 images are a batch; on average (6 - 2) / 2 = 2 steps before the window, 2 in it; 3 x 5 real images."""
    config = RaTBPTTConfig(name="rat_bptt", random_inits=3, training_steps=6, window=2, batch_real=5)
    assert images_passed(config, 2, 10) == 3 * (20 * (2 + 4) + 50)


def test_ablations_turn_off_the_augmentation_and_the_random_place() -> None:
    config = RaTBPTTConfig(name="rat_bptt", training_steps=6, window=2)
    assert ABLATIONS["augmentation"](config) == {"augmentation": "none"}
    assert ABLATIONS["random place of the window"](config) == {"training_steps": 2}
    assert ABLATIONS["random place of the window"](RaTBPTTConfig(name="rat_bptt", training_steps=2, window=2)) == {}


def test_labels_are_learned_unless_their_rate_is_off() -> None:
    """The first update of Adam moves every logit that has a slope by the rate, and none where the rate is 0."""
    fields = {"training_steps": 4, "window": 2, "batch_real": 8, "random_inits": 1, "experts": 2, "expert_epochs": 3}
    learned, kept = (distil("rat_bptt_soft", {**fields, "lr_labels": lr}).labels for lr in (0.5, 0.0))
    assert (learned - kept).abs().max().item() == pytest.approx(0.5, rel=1e-3)


GOLDEN = [0.9368842790683825, 1.0175722439062038, 0.8823987290022999, 1.0067626066639401]
