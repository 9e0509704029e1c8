"""The process that a trial, a network or an expert runs in: its threads, its memory, its device."""

from __future__ import annotations

from typing import Any, Literal

import torch

from raydistill.core.cost import keep_freed_memory
from raydistill.errors import DeviceError
from raydistill.spaces.trial import TrialConfig


def prepare_process(config: TrialConfig[Any]) -> torch.device:
    """Set this process up as a config says (threads, memory) and give the device to compute on.

    Raises:
        DeviceError: the device is not there.
    """
    return set_up_process(config.cpus_per_trial, config.device)


def set_up_process(threads: int, device: Literal["cpu", "cuda"]) -> torch.device:
    """Set this process up for so many torch threads, and give the device to compute on.

    Raises:
        DeviceError: the device is not there.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("a GPU is asked for (gpus_per_trial above 0) and CUDA finds none; set resources.gpus_per_trial to 0")
    return torch.device(device)
