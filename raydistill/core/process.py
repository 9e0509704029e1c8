"""Sets up the process of a trial, a network or an expert: threads, memory, device."""

from __future__ import annotations

from typing import Any, Literal

import torch

from raydistill.core.cost import keep_freed_memory
from raydistill.errors import DeviceError
from raydistill.spaces.trial import TrialConfig


def prepare_process(config: TrialConfig[Any]) -> torch.device:
    """Set up this process as the config says (threads, memory), and return the device to compute on.

    Raises:
        DeviceError: the device is not available.
    """
    return set_up_process(config.cpus_per_trial, config.device)


def set_up_process(threads: int, device: Literal["cpu", "cuda"]) -> torch.device:
    """Set up this process for this number of torch threads, and return the device to compute on.

    Raises:
        DeviceError: the device is not available.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "a GPU is requested, but CUDA finds none; set resources.gpus_per_trial to 0, or use a machine with a GPU"
        )
    return torch.device(device)
