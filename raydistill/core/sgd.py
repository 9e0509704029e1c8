"""Stochastic gradient descent with momentum and weight decay: PyTorch's arithmetic, without its optimiser's constructor.

`torch.optim.SGD` imports PyTorch's compiler when the first one is made: a second and 150 MB in the process of every trial, for
code that compiles nothing. The update itself is PyTorch's own function, so the numbers are those of `torch.optim.SGD`.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class SGD:
    """Updates tensors in place from their gradients; settings as in `torch.optim.SGD`, and `lr` may be set between steps."""

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        """Begin without momentum.

        Args:
            parameters: what is learned; leaves of the graph.
            lr: learning rate.
            momentum: part of the last update that is added to the next, 0 to 1.
            weight_decay: part of each parameter that is added to its gradient.
        """
        self.parameters = list(parameters)
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.buffers: list[Tensor | None] = [None] * len(self.parameters)
        """Momentum of each parameter; None before its first step."""

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def forget(self) -> None:
        """Forget the momentum, as a new optimiser would."""
        self.buffers = [None] * len(self.parameters)

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        places = [place for place, parameter in enumerate(self.parameters) if parameter.grad is not None]
        gradients = [grad for place in places if (grad := self.parameters[place].grad) is not None]
        buffers = [self.buffers[place] for place in places]
        sgd(
            [self.parameters[place] for place in places],
            gradients,
            buffers,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        for place, buffer in zip(places, buffers, strict=True):
            self.buffers[place] = buffer
