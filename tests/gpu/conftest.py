"""The pretend GPU: registered once for the process, in use around each test."""

from __future__ import annotations

from collections.abc import Iterator

import pretend_device
import pytest
import torch

from raydistill.core import process


@pytest.fixture(scope="session", autouse=True)
def _registered() -> None:
    if not pretend_device.HAS_PYTHON_DEVICES:
        pytest.skip(pretend_device.WITHOUT_THEM)
    pretend_device.register()


@pytest.fixture
def device() -> Iterator[torch.device]:
    """The device, as a method is given it."""
    with pretend_device.in_use() as device:
        yield device


@pytest.fixture
def gpu_of_this_machine(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Configs that ask for a GPU are given the device."""
    monkeypatch.setattr(process, "gpu", lambda: device)
    return device
