"""Unrolled student steps: a chain worked by hand, three gradients against each other and against finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from raydistill.core.augment import draw_one_operation
from raydistill.core.choices import parse_operations
from raydistill.core.networks import build_network, initialise
from raydistill.core.unroll import (
    Batch,
    FinalLoss,
    StudentStep,
    Unroll,
    flatten,
    logits_by_parameters,
    student_loss,
    unrolled_gradient,
)
from raydistill.spaces.network import ConvNetConfig

CPU = torch.device("cpu")


def pull(theta: Tensor, batch: Batch) -> Tensor:
    """A student whose slope is theta - x - y: each step moves it a share alpha of the way to x + y."""
    return 0.5 * (theta - batch.images - batch.logits).square().sum()


def by_hand() -> Unroll:
    one, two = (StudentStep(torch.tensor([i]), None) for i in (0, 1))
    x = torch.tensor([1.0, 2.0])
    return Unroll(pull, torch.zeros(1), x, torch.zeros(2), torch.tensor(0.5), [one, two])


@pytest.mark.parametrize("kind", ["full", "recompute"])
def test_a_chain_of_two_steps_by_hand(kind: str) -> None:
    """theta_0 = 0, x = 1, 2, y = 0, alpha = 0.5: theta_1 = 0.5, theta_2 = 1.25, loss theta_2^2 = 1.5625. As a function of a it is
    theta_2 = a(1-a)x_1 + a x_2, with slopes 0.25, 0.5 and (1-2a)x_1 + x_2 = 2; times 2 theta_2 = 2.5: 0.625, 1.25 and 5."""
    found = unrolled_gradient(kind, by_hand(), lambda theta: theta.square().sum())
    assert found.loss.item() == pytest.approx(1.5625)
    assert found.images.tolist() == pytest.approx([0.625, 1.25])
    assert found.lr.item() == pytest.approx(5.0)


def test_the_tesla_form_of_that_chain_by_hand() -> None:
    """With theta_1 a constant both images have slope alpha = 0.5, so 1.25 each; the slopes g are -1 and -1.5, so alpha's is
    2.5 * 2.5 = 6.25."""
    found = unrolled_gradient("tesla", by_hand(), lambda theta: theta.square().sum())
    assert found.loss.item() == pytest.approx(1.5625)
    assert found.images.tolist() == pytest.approx([1.25, 1.25])
    assert found.lr.item() == pytest.approx(6.25)


def convnet(steps: int = 4, batch: int = 6, augmentation: str = "dsa") -> tuple[Unroll, Tensor]:
    """A small ConvNet in float64 on 12 images, three to a class of four, and where it should arrive."""
    generator = torch.Generator().manual_seed(0)
    network = build_network(ConvNetConfig(name="convnet", depth=2, width=4), (1, 8, 8), 4, CPU)
    initialise(network, generator)
    start = flatten(network).double()
    images = torch.randn(12, 1, 8, 8, generator=generator).double()
    logits = torch.randn(12, 4, generator=generator).double()
    target = start + 0.05 * torch.randn(len(start), generator=generator).double()
    operations = parse_operations(augmentation, mirror_keeps_class=False)
    drawn = []
    for _ in range(steps):
        draw = draw_one_operation(operations, batch, generator) if operations else None
        drawn.append(StudentStep(torch.randperm(12, generator=generator)[:batch], draw))
    return Unroll(student_loss(network), start, images, logits, torch.tensor(0.1).double(), drawn), target


def to(target: Tensor) -> FinalLoss:
    return lambda theta: (theta - target).square().sum()


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("batch", [6, 12])
@pytest.mark.parametrize("augmentation", ["dsa", "none"])
def test_recomputing_is_exact(batch: int, augmentation: str) -> None:
    """Up to rounding: what is computed anew differs in the last bits from what was kept, as the kernels of the CPU have it."""
    unroll, target = convnet(batch=batch, augmentation=augmentation)
    full, again = (unrolled_gradient(k, unroll, to(target)) for k in ("full", "recompute"))
    for name in ("loss", "images", "logits", "lr"):
        assert relative(getattr(again, name), getattr(full, name)) < 1e-12


def test_the_tesla_form_is_not_the_gradient() -> None:
    """Its error is some percent after four steps and more after eight, because it ignores each step's effect on later ones."""
    off = []
    for steps in (1, 4, 8):
        unroll, target = convnet(steps)
        full, tesla = (unrolled_gradient(kind, unroll, to(target)) for kind in ("full", "tesla"))
        off.append(relative(tesla.images, full.images))
    assert off[0] < 1e-12
    assert 0.005 < off[1] < off[2]


@pytest.mark.parametrize("name", ["images", "logits", "lr"])
def test_the_gradient_agrees_with_finite_differences(name: str) -> None:
    """Central differences along a random direction, in float64."""
    unroll, target = convnet()

    def loss(moved: Unroll) -> float:
        return float(unrolled_gradient("full", moved, to(target)).loss)

    value = getattr(unroll, name)
    direction = torch.randn(value.shape, generator=torch.Generator().manual_seed(1)).double()
    width = 1e-5
    ahead, behind = (loss(unroll._replace(**{name: value + sign * width * direction})) for sign in (1, -1))
    found = getattr(unrolled_gradient("recompute", unroll, to(target)), name)
    assert float((found * direction).sum()) == pytest.approx((ahead - behind) / (2 * width), rel=1e-6)


def test_what_it_is_given_stays_as_it_is() -> None:
    unroll, target = convnet()
    before = [part.clone() for part in (unroll.start, unroll.images, unroll.logits, unroll.lr)]
    for kind in ("full", "recompute", "tesla"):
        unrolled_gradient(kind, unroll, to(target))
    after = (unroll.start, unroll.images, unroll.logits, unroll.lr)
    assert all(torch.equal(a, b) and not b.requires_grad for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("channels", "classes", "ends"),
    [
        (3, 10, [3456, 3840, 151_296, 151_680, 299_136, 299_520, 320_010]),
        (1, 10, [1152, 1536, 148_992, 149_376, 296_832, 297_216]),
    ],
)
def test_the_flat_order_is_shallow_to_deep(channels: int, classes: int, ends: list[int]) -> None:
    """ConvNet-3 of width 128: a convolution's weights, then its bias, norm weight and norm bias (3 x 128), and so on."""
    size = 32 if channels == 3 else 28
    network = build_network(ConvNetConfig(name="convnet"), (channels, size, size), classes, torch.device("meta"))
    sizes = [parameter.numel() for parameter in network.parameters()]
    sums = torch.tensor(sizes).cumsum(0).tolist()
    assert set(ends) <= set(sums)
    assert len(flatten(network)) == sums[-1]


def test_logits_by_flat_parameters_are_the_networks_own() -> None:
    generator = torch.Generator().manual_seed(0)
    network = build_network(ConvNetConfig(name="convnet", depth=2, width=4), (1, 8, 8), 4, CPU)
    initialise(network, generator)
    images = torch.randn(3, 1, 8, 8, generator=generator)
    # Not to the bit: views into the flat parameters may lie where a kernel takes another path.
    torch.testing.assert_close(logits_by_parameters(network)(flatten(network), images), network(images))
