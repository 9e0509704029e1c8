"""The cost of training: multiply-accumulates counted by fvcore, and the memory and time of a trial."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from raydistill.core.networks import build_network
from raydistill.spaces.network import NetworkConfig

with warnings.catch_warnings():
    # fvcore, unchanged since 2022, calls the deprecated torch.jit.script on import; its counts do not depend on that.
    warnings.simplefilter("ignore", FutureWarning)
    from fvcore.nn import FlopCountAnalysis


def forward_macs(network: NetworkConfig, shape: tuple[int, int, int], classes: int) -> int:
    """Multiply-accumulates of one image's forward pass: fvcore's conv and linear counts, without norms, ReLU and pooling."""
    # In training mode batch norm refuses one image whose last feature map is a single pixel.
    built = build_network(network, shape, classes, torch.device("cpu")).eval()
    analysis = FlopCountAnalysis(built, torch.zeros(1, *shape)).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counts = analysis.by_operator()
    return int(counts["conv"] + counts["linear"])


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks instead of returning them to the kernel after each operation.

    Otherwise tensors of a few hundred kilobytes are mapped again at every step: on two cores a training step of a ConvNet-2 of
    width 32 on 64 digits takes 7.4 ms without this and 3.5 ms with it. At width 128 single tensors of an update reach 52 MB;
    to keep those too saves a seventh of a DataDAM update. Does nothing if the C library is not glibc.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        trim_threshold, mmap_threshold = -1, -3
        if not libc.mallopt(mmap_threshold, 256 * 2**20):
            # The most that older versions take.
            libc.mallopt(mmap_threshold, 32 * 2**20)
        libc.mallopt(trim_threshold, 2**30)


class Stopwatch:
    """Seconds spent in named activities."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: dict[str, float] = {}

    @contextmanager
    def measure(self, activity: str) -> Iterator[None]:
        """Add the time of the `with` block to an activity."""
        self._running[activity] = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - self._running.pop(activity)
            self.seconds[activity] = self.seconds.get(activity, 0.0) + elapsed

    def so_far(self) -> dict[str, float]:
        """Seconds by activity, including activities that have not ended."""
        now = time.perf_counter()
        running = {activity: now - started for activity, started in self._running.items()}
        return {name: self.seconds.get(name, 0.0) + running.get(name, 0.0) for name in self.seconds | running}


CLEAR_REFS = Path("/proc/self/clear_refs")
"""Writing 5 to it resets a process's peak memory on Linux; where it is missing, the peak is that since the process started."""


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement of `peak_memory_bytes`."""
    if device.type != "cpu":
        torch.get_device_module(device).reset_peak_memory_stats(device)
    elif os.access(CLEAR_REFS, os.W_OK):
        CLEAR_REFS.write_text("5")


def peak_memory_bytes(device: torch.device) -> int:
    """Highest allocated device memory, or on a CPU highest resident memory of the process, since the last reset.

    On systems other than Linux the peak since the process started.
    """
    if device.type != "cpu":
        return int(torch.get_device_module(device).max_memory_allocated(device))
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
