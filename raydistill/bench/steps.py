"""Measures a DataDAM iteration (as a whole and in parts), the training of an evaluation network, and peak memory.

Every case runs in a new process, so that its peak memory is its own; times are medians over repetitions, without the first tenth.
On a GPU each part is timed with a wait for the device, which the distillation itself does not have, so the parts may sum to more
than the whole: `iteration_seconds` is measured without these waits, as the mean of the same repetitions.
"""

from __future__ import annotations

import functools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from raydistill.core.choices import parse_operations
from raydistill.core.contract import NoCheckpoint, TrainPart
from raydistill.core.cost import keep_freed_memory, peak_memory_bytes, reset_peak_memory
from raydistill.core.evaluate import train_and_read
from raydistill.core.matching import augment_classes, real_features, siamese_draw
from raydistill.core.networks import build_network, initialise
from raydistill.core.recipes import RECIPES
from raydistill.core.selection import ClassBatches, starting_images
from raydistill.core.sgd import SGD
from raydistill.core.synthetic import SyntheticSet, hard_labels
from raydistill.data.splits import LabelledImages, Splits, load_splits
from raydistill.errors import DeviceError, InputError
from raydistill.methods import datadam
from raydistill.methods.configs.datadam import DataDAMConfig
from raydistill.methods.datadam import class_means, matching_loss
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import Config, DatasetConfig
from raydistill.storage.data_root import DataRoot


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One setting to time."""

    name: str
    dataset: DatasetConfig
    network: ConvNetConfig
    method: DataDAMConfig
    ipc: int


CASES = {
    case.name: case
    for case in (
        Case(
            name="digits",
            dataset=DatasetConfig(name="digits"),
            network=ConvNetConfig(name="convnet", depth=2, width=32),
            method=DataDAMConfig(name="datadam", batch_real=64),
            ipc=10,
        ),
        Case(
            name="mnist-cpu-space",
            dataset=DatasetConfig(name="mnist"),
            network=ConvNetConfig(name="convnet", depth=3, width=16),
            method=DataDAMConfig(name="datadam", batch_real=64),
            ipc=10,
        ),
        Case(
            name="mnist-table-2",
            dataset=DatasetConfig(name="mnist"),
            network=ConvNetConfig(name="convnet", depth=3, width=128),
            method=DataDAMConfig(name="datadam", batch_real=256),
            ipc=10,
        ),
    )
}
"""Cases by name; `mnist-table-2` has the network and the batch of the report's Table II."""


class Timing(Config):
    """One case on one device; seconds are medians, but for `iteration_seconds` on a GPU."""

    case: str
    device: str
    threads: int
    repetitions: int
    iteration_seconds: float
    """One image update as a whole; on a GPU the mean, because updates are queued ahead of it."""
    real_seconds: float
    """Real images: sampling, augmentation, forward, class means."""
    forward_seconds: float
    """Synthetic images: augmentation, forward, loss."""
    backward_seconds: float
    """Synthetic images: backward, and the update."""
    rest_seconds: float
    """The rest of the iteration, mostly the initialisation of a network."""
    evaluation_seconds: float
    """Training one network on the set with the default recipe, and evaluating it on the select images."""
    peak_memory_bytes: int
    """Resident memory of the process on a CPU, allocated device memory on a GPU."""


def run_bench(
    names: Sequence[str], *, device: str, threads: int, repetitions: int, evaluation_steps: int, data_root: DataRoot
) -> list[Timing]:
    """Measure cases one after the other, each in a new process.

    Args:
        names: keys of `CASES`; empty means all.
        device: "cpu" or "cuda".
        threads: torch threads.
        repetitions: timed DataDAM iterations; the first tenth is ignored as warm-up.
        evaluation_steps: timed steps of the recipe; the time is scaled to the whole recipe.
        data_root: folder or URI of the data files.

    Raises:
        InputError: an unknown case.
        DeviceError: the device is not available.
        DataError: the data is missing or damaged.
    """
    names = list(names) or list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise InputError(f"unknown case {unknown[0]!r}; allowed: {', '.join(CASES)}: correct --cases")
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise DeviceError(f"device {device!r} is not available; allowed: cpu, or cuda on a machine with a GPU: give --device cpu")
    context = multiprocessing.get_context("spawn")
    timings = []
    for name in names:
        with context.Pool(1) as pool:
            timings.append(pool.apply(time_case, (CASES[name], device, threads, repetitions, evaluation_steps, data_root)))
    return timings


def time_case(case: Case, device_name: str, threads: int, repetitions: int, evaluation_steps: int, data_root: DataRoot) -> Timing:
    """Measure one case in this process."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    device = torch.device(device_name)
    splits = load_splits(case.dataset, data_root)
    part = TrainPart(images=splits.train.images.to(device), labels=splits.train.labels, classes=10, mirror_keeps_class=False)
    reset_peak_memory(device)
    whole = _time_whole(case, part, device, repetitions)
    pieces = _time_pieces(case, part, device, repetitions)
    evaluation = _time_evaluation(case, splits, device, evaluation_steps)
    return Timing(
        case=case.name,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        threads=threads,
        repetitions=repetitions,
        iteration_seconds=whole,
        real_seconds=pieces[0],
        forward_seconds=pieces[1],
        backward_seconds=pieces[2],
        rest_seconds=max(0.0, whole - sum(pieces)),
        evaluation_seconds=evaluation,
        peak_memory_bytes=peak_memory_bytes(device),
    )


def _time_whole(case: Case, part: TrainPart, device: torch.device, repetitions: int) -> float:
    """Seconds of an update of a distillation after the first tenth: the median, on a GPU the mean."""
    warm = repetitions // 10
    clocks: dict[int, float] = {}

    def note(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        if device.type == "cuda":
            # Updates are queued ahead of the device: between the two waits only the time of all of them is meaningful.
            if step not in (warm, steps):
                return
            torch.cuda.synchronize(device)
        clocks[step] = time.perf_counter()

    method = case.method.model_copy(update={"random_inits": repetitions})
    generator = torch.Generator().manual_seed(0)
    datadam.distill(
        part, case.network, method, case.ipc, generator=generator, device=device, report=note, checkpoint=NoCheckpoint()
    )
    if device.type == "cuda":
        return (clocks[repetitions] - clocks[warm]) / (repetitions - warm)
    return statistics.median(clocks[step] - clocks[step - 1] for step in range(warm + 1, repetitions + 1))


def _time_pieces(case: Case, part: TrainPart, device: torch.device, repetitions: int) -> tuple[float, float, float]:
    generator = torch.Generator().manual_seed(0)
    images = starting_images("real", part, case.network, case.ipc, generator).requires_grad_()
    optimiser = SGD([images], lr=case.method.lr_images, momentum=case.method.momentum_images)
    model = build_network(case.network, part.shape, part.classes, device).requires_grad_(False)
    operations = parse_operations(case.method.augmentation, mirror_keeps_class=False)
    batches = ClassBatches(part.labels, part.classes)
    means = functools.partial(class_means, power=case.method.attention_power)
    real_times, forward_times, backward_times = [], [], []
    for _ in range(repetitions):
        initialise(model, generator)
        draw = siamese_draw(operations, part.classes, case.method.augmentation_draws, generator)
        assert draw is not None

        def real_branch(draw: Any = draw) -> list[Tensor]:
            chosen = batches.draw(case.method.batch_real, generator).to(device, non_blocking=True)
            return real_features(model, part.images, chosen, draw, means)

        real, seconds = _clocked(real_branch, device)
        real_times.append(seconds)

        def forward(draw: Any = draw, real: list[Tensor] = real) -> Tensor:
            seen = augment_classes(images.unflatten(0, (part.classes, case.ipc)), draw)
            return matching_loss(real, means(model.features(seen), part.classes), case.method)

        loss, seconds = _clocked(forward, device)
        forward_times.append(seconds)

        def backward(loss: Tensor = loss) -> None:
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

        backward_times.append(_clocked(backward, device)[1])
    warm = repetitions // 10
    real_median, forward_median, backward_median = (
        statistics.median(times[warm:]) for times in (real_times, forward_times, backward_times)
    )
    return real_median, forward_median, backward_median


def _time_evaluation(case: Case, splits: Splits, device: torch.device, steps: int) -> float:
    recipe = RECIPES["default"].for_set(10 * case.ipc)
    images = splits.train.images[: 10 * case.ipc]
    labels = hard_labels(10, case.ipc)
    no_images = LabelledImages(images=splits.select.images[:1], labels=splits.select.labels[:1])

    # Both are timed alone, so that it does not matter what a network has learned.
    def train_short() -> None:
        train_and_read(images, labels, splits, [no_images], case.network, replace(recipe, steps=steps), 0, device, diverged=None)

    def read() -> None:
        train_and_read(images, labels, splits, [splits.select], case.network, replace(recipe, steps=1), 0, device, diverged=None)

    train_short()
    training = statistics.median(_clocked(train_short, device)[1] for _ in range(3))
    return training * recipe.steps / steps + _clocked(read, device)[1]


def _clocked(work: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return result, time.perf_counter() - started
