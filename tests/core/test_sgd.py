"""Our optimiser beside PyTorch's, and by hand."""

from __future__ import annotations

import pytest
import torch

from raydistill.core.sgd import SGD


@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.0, 0.0), (0.9, 0.0), (0.9, 0.1), (0.0, 0.1)])
def test_updates_are_those_of_torch(momentum: float, weight_decay: float) -> None:
    """Two parameters, of which the second has no gradient in the second step; the rate falls."""
    ours, theirs = ([torch.tensor([1.0, -2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)] for _ in range(2))
    own = SGD(ours, lr=0.5, momentum=momentum, weight_decay=weight_decay)
    other = torch.optim.SGD(theirs, lr=0.5, momentum=momentum, weight_decay=weight_decay)
    for step, rate in enumerate((0.5, 0.25, 0.125)):
        own.lr = other.param_groups[0]["lr"] = rate
        for optimiser, (first, second) in ((own, ours), (other, theirs)):
            optimiser.zero_grad()
            loss = first.square().sum() + (0 if step == 1 else second.sum() * first.sum())
            loss.backward()
            optimiser.step()
    torch.testing.assert_close(ours, theirs)


def test_momentum_by_hand() -> None:
    """lr 1, momentum 0.5, gradient 1: 0 - 1 = -1, then -1 - 1.5 = -2.5; forgotten, -2.5 - 1 = -3.5."""
    value = torch.zeros(1, requires_grad=True)
    optimiser = SGD([value], lr=1.0, momentum=0.5)
    seen = []
    for step in range(3):
        if step == 2:
            optimiser.forget()
        optimiser.zero_grad()
        value.sum().backward()
        optimiser.step()
        seen.append(value.item())
    assert seen == pytest.approx([-1.0, -2.5, -3.5])
