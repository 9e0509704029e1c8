"""Adam for one tensor is PyTorch's, and goes on from a saved state."""

from __future__ import annotations

import torch

from raydistill.core.adam import Adam


def gradients() -> list[torch.Tensor]:
    return [torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.25]), torch.tensor([-3.0, 1.0])]


def test_the_first_step_moves_each_element_by_the_rate_against_its_gradient() -> None:
    """After one step both moments are the gradient's own, so the update is lr g / |g|."""
    values = torch.tensor([1.0, 1.0])
    Adam(values, lr=0.1).step(torch.tensor([4.0, -0.5]))
    torch.testing.assert_close(values, torch.tensor([0.9, 1.1]))


def test_steps_are_those_of_pytorch_s_optimiser() -> None:
    own, theirs = torch.ones(2), torch.ones(2)
    adam, reference = Adam(own, lr=0.1), torch.optim.Adam([theirs], lr=0.1)
    for gradient in gradients():
        adam.step(gradient)
        theirs.grad = gradient
        reference.step()
    torch.testing.assert_close(own, theirs)


def test_a_restored_state_goes_on_as_if_it_had_not_stopped() -> None:
    whole, halved = torch.ones(2), torch.ones(2)
    first, before = Adam(whole, lr=0.1), Adam(halved, lr=0.1)
    for gradient in gradients():
        first.step(gradient)
    for gradient in gradients()[:2]:
        before.step(gradient)
    state = {name: value.clone() for name, value in before.state().items()}
    after = Adam(halved, lr=0.1)
    after.restore(state)
    after.step(gradients()[2])
    torch.testing.assert_close(whole, halved)
