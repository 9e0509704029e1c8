"""Moving several tensors to the device in one copy."""

from __future__ import annotations

import torch
from pretend_device import COUNTS, to_host

from raydistill.core.placement import moved

GIVEN = [
    torch.tensor([True, False, True]),
    torch.arange(5),
    torch.tensor(0.5),
    torch.arange(6.0).view(2, 3).T,
    torch.empty(0),
    torch.tensor([[1.5]], dtype=torch.float64),
]
"""Types whose sizes do not divide each other, a number, one that is not contiguous, and one without elements."""


def test_values_shapes_and_types_are_kept(device: torch.device) -> None:
    for before, after in zip(GIVEN, moved(GIVEN, device), strict=True):
        assert (after.device, after.dtype, after.shape) == (device, before.dtype, before.shape)
        assert torch.equal(to_host(after), before)


def test_there_is_one_copy_and_no_wait(device: torch.device) -> None:
    before = COUNTS.copy()
    moved(GIVEN, device)
    asked = COUNTS - before
    assert (asked.copies, asked.waits.total(), asked.kernels.total()) == (1, 0, 0)


def test_of_nothing_there_is_no_copy(device: torch.device) -> None:
    before = COUNTS.copy()
    assert moved([], device) == []
    assert (COUNTS - before).copies == 0
