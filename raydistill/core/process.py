"""Sets up the process of a trial, a network or an expert: threads, memory, device."""

from __future__ import annotations

import os
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


def gpu() -> torch.device | None:
    """This machine's GPU, or None if it has none."""
    return torch.device("cuda") if torch.cuda.is_available() else None


def device_at_hand() -> Literal["cpu", "cuda"]:
    """The kind of device to compute on where a config does not matter: a GPU if this machine has one."""
    return "cpu" if gpu() is None else "cuda"


def set_up_process(threads: int, device: Literal["cpu", "cuda"]) -> torch.device:
    """Set up this process for this number of torch threads, and return the device to compute on.

    Raises:
        DeviceError: the device is not available.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    if device == "cpu":
        return torch.device("cpu")
    _ask_for_the_same_bits()
    found = gpu()
    if found is None:
        raise DeviceError(
            "a GPU is requested, but CUDA finds none; set resources.gpus_per_trial to 0, or use a machine with a GPU"
        )
    return found


def _ask_for_the_same_bits() -> None:
    """Have CUDA compute the same bits each time, where it has kernels that do; torch warns of those that do not.

    The backward passes of grid_sample (affine augmentation of images that are learned) and of max pooling have none, so what is
    distilled through them may differ in its last bits. Called before CUDA starts: cuBLAS reads its variable then.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
