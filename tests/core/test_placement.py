"""Moving tensors between devices; what it does on a device that is not the CPU is in tests/gpu/test_placement.py."""

from __future__ import annotations

import torch

from raydistill.core.placement import moved


def test_on_the_cpu_the_tensors_are_given_back_themselves() -> None:
    given = [torch.ones(3), torch.arange(4)]
    found = moved(given, torch.device("cpu"))
    assert [a is b for a, b in zip(found, given, strict=True)] == [True, True]
