"""Adam for one tensor: PyTorch's arithmetic, without its optimiser's constructor; see `core/sgd.py` for why."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Updates one tensor in place from its gradient; settings and numbers are those of `torch.optim.Adam`."""

    def __init__(self, parameter: Tensor, *, lr: float, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8) -> None:
        """Begin without moments.

        Args:
            parameter: what is learned; a leaf of the graph.
            lr: learning rate, about the most by which one element moves in a step; may be set between steps.
            betas: how much of the first and of the second moment is kept.
            epsilon: added to the root of the second moment.
        """
        self.parameter = parameter
        self.lr = lr
        self._betas = betas
        self._epsilon = epsilon
        self._moments = [torch.zeros_like(parameter, requires_grad=False) for _ in range(2)]
        self._steps = torch.zeros(())

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """Update the tensor by its gradient, of the same shape."""
        first, second = self._moments
        adam(
            [self.parameter],
            [gradient],
            [first],
            [second],
            [],
            [self._steps],
            amsgrad=False,
            beta1=self._betas[0],
            beta2=self._betas[1],
            lr=self.lr,
            weight_decay=0.0,
            eps=self._epsilon,
            maximize=False,
        )

    def state(self) -> Mapping[str, Tensor]:
        """What a checkpoint keeps."""
        return {"adam.first": self._moments[0], "adam.second": self._moments[1], "adam.steps": self._steps}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        device = self.parameter.device
        self._moments = [state["adam.first"].to(device).clone(), state["adam.second"].to(device).clone()]
        self._steps = state["adam.steps"].clone()
