"""Seconds of a distillation that was interrupted: they are saved with the state from which it continues."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from raydistill.core.contract import Checkpoint
from raydistill.core.cost import Stopwatch

DISTIL = "distil"
"""The activity of the stopwatch."""
SECONDS = "seconds_of_distillation"
"""Name in the saved state, beside the method's own tensors."""


class TimedCheckpoint:
    """A checkpoint that saves the seconds of `DISTIL` in the state, and adds those of the loaded state to the stopwatch."""

    def __init__(self, inner: Checkpoint, watch: Stopwatch) -> None:
        """Prepare.

        Args:
            inner: where the state is saved.
            watch: measures the distillation.
        """
        self._inner = inner
        self._watch = watch

    def load(self) -> Mapping[str, Tensor] | None:
        """The method's last saved state, on the CPU, or None; its seconds count from now on.

        Raises:
            StoreError: the file is damaged.
        """
        found = self._inner.load()
        if found is None:
            return None
        state = dict(found)
        self._watch.seconds[DISTIL] = float(state.pop(SECONDS))
        return state

    def is_due(self) -> bool:
        """Whether it is time to save."""
        return self._inner.is_due()

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Save a state with the seconds so far."""
        seconds = torch.tensor(self._watch.so_far()[DISTIL], dtype=torch.float64)
        self._inner.save({**state, SECONDS: seconds})
