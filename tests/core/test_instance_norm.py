"""Instance norm beside PyTorch's group norm, and its derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from raydistill.core.instance_norm import InstanceNorm


def drawn(norm: nn.GroupNorm) -> tuple[nn.GroupNorm, Tensor]:
    generator = torch.Generator().manual_seed(0)
    norm = norm.double()
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
    return norm, torch.randn(2, 3, 2, 4, generator=generator, dtype=torch.float64).requires_grad_()


def second_derivatives(norm: nn.GroupNorm, given: Tensor, wanted: str) -> list[Tensor]:
    """Gradients of a function of the first derivatives that are wanted: of the input, of the weights, or of both."""
    leaves = [given, *norm.parameters()]
    loss = norm(given).sin().square().sum()
    chosen = {"input": leaves[:1], "weights": leaves[1:], "both": leaves}[wanted]
    slopes = torch.autograd.grad(loss, chosen, create_graph=True)
    return list(torch.autograd.grad(sum(slope.pow(3).sum() for slope in slopes), leaves))


def test_its_derivatives_are_those_of_small_differences() -> None:
    norm, given = drawn(InstanceNorm(3))

    def apply(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(norm, {"weight": weight, "bias": bias}, (x,))  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(apply, (given, norm.weight, norm.bias))
    assert torch.autograd.gradgradcheck(apply, (given, norm.weight, norm.bias))


def test_two_pixels_become_minus_one_and_one_by_hand() -> None:
    """Of 1 and 5 the mean is 3 and the deviation 2, so they become -1 and 1, without regard to eps; then times 2, plus 3."""
    norm = InstanceNorm(1)
    with torch.no_grad():
        norm.weight.fill_(2.0)
        norm.bias.fill_(3.0)
    assert torch.allclose(norm(torch.tensor([[[[1.0, 5.0]]]])), torch.tensor([[[[1.0, 5.0]]]]), atol=1e-4)


@pytest.mark.parametrize("wanted", ["input", "weights", "both"])
def test_its_second_derivatives_are_those_of_pytorch(wanted: str) -> None:
    ours, theirs = (second_derivatives(*drawn(norm), wanted) for norm in (InstanceNorm(3), nn.GroupNorm(3, 3)))
    for own, other in zip(ours, theirs, strict=True):
        assert torch.allclose(own, other, rtol=1e-9, atol=1e-9)


def test_its_second_derivatives_do_not_depend_on_the_order_in_memory() -> None:
    norm, given = drawn(InstanceNorm(3))
    plain = second_derivatives(norm, given, "both")
    other = second_derivatives(norm, given.detach().to(memory_format=torch.channels_last).requires_grad_(), "both")
    for own, turned in zip(plain, other, strict=True):
        assert torch.allclose(own, turned, rtol=1e-12, atol=1e-12)


def test_frozen_weights_get_no_gradient() -> None:
    norm, given = drawn(InstanceNorm(3))
    norm.requires_grad_(False)
    (slope,) = torch.autograd.grad(norm(given).square().sum(), given, create_graph=True)
    (second,) = torch.autograd.grad(slope.square().sum(), given)
    assert second.shape == given.shape
    assert norm.weight.grad is None
