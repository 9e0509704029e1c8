"""The pretend GPU itself: what it refuses, and what it says that its tensors hold."""

from __future__ import annotations

import pretend_device
import pytest
import torch
from pretend_device import MEMORY, MixedDevicesError


def test_tensors_of_two_devices_are_refused(device: torch.device) -> None:
    with pytest.raises(MixedDevicesError, match=r"add: a tensor of the device beside one of the CPU, of shape \(3,\)"):
        torch.ones(3, device=device) + torch.ones(3)


def test_a_number_of_the_cpu_may_stand_beside_the_devices_tensors(device: torch.device) -> None:
    assert (torch.ones(3, device=device) + torch.tensor(1.0)).tolist() == [2.0, 2.0, 2.0]


def test_a_generator_of_the_cpu_is_refused(device: torch.device) -> None:
    with pytest.raises(MixedDevicesError, match="a generator of the CPU for numbers on the device"):
        torch.rand(3, device=device, generator=torch.Generator())


def test_numpy_cannot_read_the_device(device: torch.device) -> None:
    with pytest.raises(RuntimeError, match="is not supported for tensor subclasses"):
        torch.ones(3, device=device).numpy()


def test_live_bytes_are_those_of_storages_not_of_views(device: torch.device) -> None:
    """1,000 float32 take 4,000 bytes, eight blocks of 512; a view takes none, and keeps them alive."""
    before = MEMORY.live
    whole = torch.zeros(1000, device=device)
    view = whole[10:]
    assert MEMORY.live - before == 4096
    del whole
    assert MEMORY.live - before == 4096
    del view
    assert MEMORY.live == before


def test_the_peak_is_measured_anew_after_a_reset(device: torch.device) -> None:
    torch.zeros(10_000, device=device)
    assert torch.pretend.max_memory_allocated(device) >= MEMORY.live + 40_000  # type: ignore[attr-defined]
    torch.pretend.reset_peak_memory_stats(device)  # type: ignore[attr-defined]
    assert torch.pretend.max_memory_allocated(device) == MEMORY.live  # type: ignore[attr-defined]


def test_a_backward_pass_leaves_nothing_on_the_device(device: torch.device) -> None:
    before = pretend_device.MEMORY.live
    x = torch.ones(100, device=device, requires_grad=True)
    (x * x).exp().sum().backward()
    del x
    assert before == pretend_device.MEMORY.live
