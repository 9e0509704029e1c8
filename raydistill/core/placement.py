"""Moves tensors of the CPU to another device: several in one copy, without waiting for the work that is queued there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ALIGNED_TO = 16
"""Bytes; a tensor in the common buffer starts at a multiple, so that it can be viewed as any of our types."""


def moved(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """The CPU tensors on a device, in one copy; on the CPU the tensors themselves.

    A copy from memory that is not pinned makes the host wait for the device if it is large, so the buffer of a GPU is pinned.
    """
    if device.type == "cpu" or not tensors:
        return list(tensors)
    sizes = [tensor.numel() * tensor.element_size() for tensor in tensors]
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + -(-size // ALIGNED_TO) * ALIGNED_TO)
    buffer = torch.empty(starts[-1], dtype=torch.uint8, pin_memory=device.type == "cuda")
    for tensor, start, size in zip(tensors, starts, sizes, strict=False):
        buffer[start : start + size] = tensor.reshape(-1).view(torch.uint8)
    there = buffer.to(device, non_blocking=True)
    return [
        there[start : start + size].view(tensor.dtype).view(tensor.shape)
        for tensor, start, size in zip(tensors, starts, sizes, strict=False)
    ]
