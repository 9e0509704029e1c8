"""Measures time and memory of an iteration of trajectory matching with each of its three gradients.

Each case runs in a new process, so that its peak memory is its own. The images are random, because neither time nor memory
depends on their content.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import get_args

import torch

from raydistill.core.augment import draw_one_operation
from raydistill.core.choices import GradientKind, parse_operations
from raydistill.core.cost import keep_freed_memory, peak_memory_bytes, reset_peak_memory
from raydistill.core.networks import build_network, initialise
from raydistill.core.unroll import StudentStep, Unroll, flatten, student_loss, unrolled_gradient
from raydistill.errors import DeviceError
from raydistill.methods.trajectory import distance
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import Config

CLASSES = 10
REPETITIONS = 3


class UnrollCost(Config):
    """Cost of one gradient at one size; each student step uses the whole set."""

    gradient: GradientKind
    ipc: int
    student_steps: int
    seconds: float | None = None
    """Median seconds of one iteration; null if memory ran out."""
    grown_bytes: int | None = None
    """Peak memory during the iterations minus that before them: resident memory on a CPU, allocated memory on a GPU."""
    device: str
    threads: int


def time_unrolling(
    ipcs: Sequence[int], student_steps: Sequence[int], *, width: int, device: str, threads: int
) -> list[UnrollCost]:
    """Measure the three gradients on a ConvNet-3 with 28 x 28 grey images, for every pair of sizes.

    Args:
        ipcs: images per class, with ten classes.
        student_steps: numbers of student steps, N.
        width: width of the ConvNet-3.
        device: "cpu" or "cuda".
        threads: torch threads.

    Raises:
        DeviceError: the device is not available.
    """
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise DeviceError(f"device {device!r} is not available; allowed: cpu, or cuda on a machine with a GPU: give --device cpu")
    context = multiprocessing.get_context("spawn")
    costs = []
    for ipc, steps, gradient in itertools.product(ipcs, student_steps, get_args(GradientKind)):
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                costs.append(pool.submit(time_one, gradient, ipc, steps, width, device, threads).result())
            except (BrokenProcessPool, torch.OutOfMemoryError):
                # Out of memory: the process was killed, or the GPU reported it. The row stays in the table, without values.
                row = UnrollCost(gradient=gradient, ipc=ipc, student_steps=steps, device=device, threads=threads)
                costs.append(row)
    return costs


def time_one(gradient: GradientKind, ipc: int, student_steps: int, width: int, device_name: str, threads: int) -> UnrollCost:
    """Measure one gradient at one size in this process."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    device = torch.device(device_name)
    unroll, target = _problem(ipc, student_steps, width, device)
    final = partial(distance, start=unroll.start, target=target, keep=None)
    # One short step first, so that one-time allocations of libraries do not count.
    unrolled_gradient(gradient, unroll._replace(steps=unroll.steps[:1]), final)
    reset_peak_memory(device)
    before = peak_memory_bytes(device)
    seconds = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        # Reading the loss waits for the GPU.
        unrolled_gradient(gradient, unroll, final).loss.item()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return UnrollCost(
        gradient=gradient,
        ipc=ipc,
        student_steps=student_steps,
        seconds=statistics.median(seconds),
        grown_bytes=peak_memory_bytes(device) - before,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        threads=threads,
    )


def _problem(ipc: int, student_steps: int, width: int, device: torch.device) -> tuple[Unroll, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    network = build_network(ConvNetConfig(name="convnet", width=width), (1, 28, 28), CLASSES, torch.device("cpu"))
    initialise(network, generator)
    start = flatten(network)
    target = start + 0.05 * torch.randn(len(start), generator=generator)
    images = torch.randn(CLASSES * ipc, 1, 28, 28, generator=generator)
    logits = torch.randn(CLASSES * ipc, CLASSES, generator=generator)
    operations = parse_operations("dsa", mirror_keeps_class=False)
    steps = []
    for _ in range(student_steps):
        chosen = torch.randperm(len(images), generator=generator).to(device)
        steps.append(StudentStep(chosen, draw_one_operation(operations, len(images), generator)))
    lr = torch.tensor(0.01, device=device)
    unroll = Unroll(student_loss(network), start.to(device), images.to(device), logits.to(device), lr, steps)
    return unroll, target.to(device)
