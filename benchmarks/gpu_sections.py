"""What `gpu.py` measures: one function for each section, which yields its rows as it has them."""

from __future__ import annotations

import functools
import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import raydistill
from raydistill.core.contract import NoCheckpoint, TrainPart
from raydistill.core.cost import forward_macs, keep_freed_memory, peak_memory_bytes, reset_peak_memory
from raydistill.core.evaluate import evaluate_set, network_seeds
from raydistill.core.expert_fields import ExpertFields
from raydistill.core.matching import augment_classes, siamese_draw
from raydistill.core.networks import build_network, initialise
from raydistill.core.recipes import RECIPES
from raydistill.core.selection import ClassBatches, starting_images
from raydistill.core.synthetic import SyntheticSet, hard_labels
from raydistill.core.train import ON_A_SET
from raydistill.core.unroll import flatten
from raydistill.data.splits import load_splits
from raydistill.methods import METHODS, datadam, dm
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import DatasetConfig

Row = dict[str, Any]
REPOSITORY = Path(__file__).parent.parent
CLASSES = 10
TABLE_2 = ("method.random_inits=100", "method.steps_per_init=10", "method.lr_images=0.1", "method.lr_model=0.01")
TABLE_2 += ("method.model_steps=50", "method.mmd_weight=0.01", "ipc=10")
TINY_SET = ("method.random_inits=3", "method.batch_real=8", "network.width=4", "evaluation.recipe=plain", "evaluation.networks=2")
TINY_SET += ("method.lr_images=1.0", "method.mmd_weight=0.01", "ipc=2")
TINY_RACE = ("methods=[{name: dm, random_inits: 3, batch_real: 8}, {name: datadam, random_inits: 3, batch_real: 8}]",)
TINY_RACE += ("network.width=4", "ipc.high=6", "goal.margin_fraction=0.9", "controls=[random]")
TINY_RACE += ("evaluation={recipe: plain, networks: 2, baseline_networks: 2, confirm_networks: 2}",)
RACE = ("evaluation={recipe: plain, networks: 2, baseline_networks: 3, confirm_networks: 3}", "ipc.high=100", "budget.hours=0.03")
RACE += ("goal.margin_fraction=0.03", "resources.gpus_per_trial=0.25", "controls=[random, k_center]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """Sizes and places of a run."""

    device: torch.device
    is_rehearsal: bool
    out: Path
    data_root: Path | None
    network: ConvNetConfig
    per_class: int
    """Made-up real images of a class."""
    batch_real: int
    ipc: int
    steps: int
    """Timed steps of a method."""

    def wait(self) -> None:
        """Wait until the device has done all that it was asked to."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def setting_of(*, is_rehearsal: bool, out: Path, data_root: Path | None) -> Setting:
    """The report's ConvNet-3 of width 128 on 28 x 28 pixels, or a tiny one on 8 x 8 in a rehearsal."""
    if is_rehearsal:
        torch.set_num_threads(1)
        keep_freed_memory()
        RECIPES["plain"] = replace(RECIPES["plain"], steps=20)
        tiny = ConvNetConfig(name="convnet", depth=2, width=4)
        sizes: dict[str, Any] = {"network": tiny, "per_class": 8, "batch_real": 4, "ipc": 2, "steps": 3}
        return Setting(device=torch.device("cpu"), is_rehearsal=True, out=out, data_root=data_root, **sizes)
    network = ConvNetConfig(name="convnet", depth=3, width=128)
    sizes = {"network": network, "per_class": 600, "batch_real": 256, "ipc": 10, "steps": 60}
    return Setting(device=torch.device("cuda"), is_rehearsal=False, out=out, data_root=data_root, **sizes)


def placement(setting: Setting) -> Iterator[Row]:
    """Short runs of every method: on the device and on the CPU, and on the device killed and resumed."""
    sys.path[:0] = [str(REPOSITORY / "tests" / folder) for folder in ("gpu", "methods")]
    import short_runs

    RECIPES["default"] = replace(RECIPES["default"], steps=3)
    for name, (case, fields) in zip(short_runs.NAMES, short_runs.CASES, strict=True):
        if setting.is_rehearsal and case not in ("datadam", "datm", "random_soft"):
            continue
        there, here = (short_runs.distil(case, fields, device) for device in (setting.device, torch.device("cpu")))
        if there.images.device.type != setting.device.type:
            raise RuntimeError(f"{name} left its images on {there.images.device}")
        row = {"method": name, "apart_from_cpu": _apart(there, here)}
        if short_runs.has_steps(case, fields):
            checkpoint = short_runs.DyingCheckpoint(die_after=1)
            with suppress(short_runs.Killed):
                short_runs.distil(case, fields, setting.device, checkpoint=checkpoint)
            resumed = short_runs.distil(case, fields, setting.device, seed=99, checkpoint=checkpoint)
            row["resumed_apart_from_whole"] = _apart(resumed, there)
        yield row


def _apart(one: SyntheticSet, other: SyntheticSet) -> float:
    """The largest difference of two sets' images, in standard deviations of the images."""
    return float((one.images.cpu() - other.images.cpu()).abs().max() / other.images.cpu().std())


def steps(setting: Setting) -> Iterator[Row]:
    """Steps of every method that has any, and of the published code's order of work, against the fastest matrix product."""
    peak = {name: _matrix_flops(setting, name) for name in ("highest", "high")}
    yield {"what": "matrix product, float32", "tera_flops": peak["highest"] / 1e12}
    yield {"what": "matrix product, TF32, as cuDNN's convolutions", "tera_flops": peak["high"] / 1e12}
    macs = forward_macs(setting.network, _part(setting).shape, CLASSES)
    todo: list[tuple[str, Callable[[], tuple[float, float]]]] = [
        (name, functools.partial(_time_method, name, setting)) for name in ("datadam", "dm", "dc", "datm", "pad")
    ]
    todo += [
        (f"{name}, class by class as published", functools.partial(_time_by_class, name, setting)) for name in ("datadam", "dm")
    ]
    for what, time_it in todo:
        reset_peak_memory(setting.device)
        seconds, images = time_it()
        forward = 2 * macs * images / seconds
        yield {
            "what": what,
            "step_ms": 1000 * seconds,
            "images_per_second": images / seconds,
            "share_of_tf32_forward_alone": forward / peak["high"],
            "peak_memory_mib": peak_memory_bytes(setting.device) / 2**20,
        }


def networks(setting: Setting) -> Iterator[Row]:
    """Evaluation networks, some at once: seconds of each."""
    name = "mnist" if setting.data_root is not None and not setting.is_rehearsal else "digits"
    splits = load_splits(DatasetConfig(name=name), setting.data_root)
    rows = [torch.nonzero(splits.train.labels == c).flatten()[: setting.ipc] for c in range(CLASSES)]
    images = splits.train.images[torch.cat(rows)].to(setting.device)
    synthetic = SyntheticSet(images=images, labels=hard_labels(CLASSES, setting.ipc).to(setting.device), ipc=setting.ipc)
    recipe = RECIPES["plain"].for_set(len(images))
    count = 4 if setting.is_rehearsal else 20
    seeds = network_seeds("benchmark", splits.sha256, count)
    for at_once in (1, 4) if setting.is_rehearsal else (1, 5, 20):
        given = (synthetic, splits, splits.select, setting.network, recipe, seeds, setting.device)
        read = functools.partial(evaluate_set, *given, at_once=at_once, diverged=ON_A_SET)
        seconds, correct = _clocked(setting, read)
        yield {
            "data": name,
            "networks": count,
            "at_once": at_once,
            "seconds_each": seconds / count,
            "accuracy_fraction": float(correct.mean()),
        }


def table_2(setting: Setting) -> Iterator[Row]:
    """The MNIST setting of the report's Table II: to be made and read in less than a minute."""
    space, overrides, root = ("digits_datadam", TINY_SET, None) if setting.is_rehearsal else _table_2_of(setting)
    folder = setting.out / "table-2"
    distil, _ = _clocked(setting, lambda: raydistill.distill(space, out=folder, overrides=overrides, data_root=root))
    yield {"what": "distil", "seconds": distil}
    seconds, found = _clocked(setting, lambda: raydistill.evaluate(folder, data_root=root))
    fractions = found.accuracy_fractions
    mean = sum(fractions) / len(fractions)
    yield {"what": "read", "seconds": seconds, "networks": len(fractions), "accuracy_fraction": mean}
    yield {"what": "both", "seconds": distil + seconds, "is_under_60_s": distil + seconds < 60}


def sharing(setting: Setting) -> Iterator[Row]:
    """The same set distilled by one process, and by three at once on one GPU."""
    if setting.is_rehearsal:
        seconds, _ = _clocked(setting, lambda: raydistill.distill("digits_datadam", overrides=TINY_SET))
        yield {"processes": 1, "seconds": seconds}
        return
    space, overrides, root = _table_2_of(setting)
    words = [word for override in (*overrides, "method.random_inits=20") for word in ("--set", override)]
    for count in (1, 3):
        commands = [
            [
                sys.executable,
                "-m",
                "raydistill",
                "distill",
                space,
                *words,
                "--data-root",
                str(root),
                "--out",
                str(setting.out / str(i)),
            ]
            for i in range(count)
        ]
        started = time.perf_counter()
        running = [subprocess.Popen(command, cwd=REPOSITORY) for command in commands]
        codes = [process.wait() for process in running]
        seconds = time.perf_counter() - started
        if any(codes):
            raise RuntimeError(f"of {count} processes at once the exit codes are {codes}: what they printed is above")
        yield {"processes": count, "seconds": seconds}


def sharing_on_ray(setting: Setting) -> Iterator[Row]:
    """Three draws of a comparison as trials on Ray, which hold a third of the GPU each."""
    overrides = ("method.random_inits=100", "method.lr_images=1.0", "evaluation.recipe=plain", "resources.gpus_per_trial=0.33")
    seconds, _ = _clocked(
        setting,
        lambda: raydistill.compare(
            "mnist_datadam",
            methods=("datadam",),
            ipc=10,
            draws=3,
            overrides=overrides,
            data_root=setting.data_root,
            store=setting.out,
        ),
    )
    yield {"trials_at_once": 3, "seconds": seconds}


def race(setting: Setting) -> Iterator[Row]:
    """The MNIST race, as far as its hours go."""
    space, overrides, trials = ("digits", TINY_RACE, 3) if setting.is_rehearsal else ("mnist", RACE, 12)
    is_local = setting.is_rehearsal or importlib.util.find_spec("ray") is None
    seconds, found = _clocked(
        setting,
        lambda: raydistill.search(
            space, store=setting.out / "studies", overrides=overrides, trials=trials, local=is_local, data_root=setting.data_root
        ),
    )
    yield {
        "study": space,
        "on_ray": not is_local,
        "seconds": seconds,
        "verdict": found.verdict,
        "smallest_lossless_ipc": found.smallest_lossless_ipc,
    }


def _table_2_of(setting: Setting) -> tuple[str, tuple[str, ...], Path | None]:
    return "mnist_datadam", TABLE_2, setting.data_root


def _clocked(setting: Setting, work: Callable[[], Any]) -> tuple[float, Any]:
    setting.wait()
    started = time.perf_counter()
    result = work()
    setting.wait()
    return time.perf_counter() - started, result


def _matrix_flops(setting: Setting, precision: str) -> float:
    """Floating-point operations per second of a large matrix product, the best of ten."""
    torch.set_float32_matmul_precision(precision)
    size = 256 if setting.is_rehearsal else 8192
    a, b = (torch.randn(size, size, device=setting.device) for _ in range(2))
    best = min(_clocked(setting, lambda: a @ b)[0] for _ in range(10))
    torch.set_float32_matmul_precision("highest")
    return float(2 * size**3 / best)


def _part(setting: Setting) -> TrainPart:
    """Made-up images: what a step costs does not depend on what they show."""
    side = 8 if setting.is_rehearsal else 28
    labels = torch.arange(CLASSES).repeat(setting.per_class)
    images = torch.randn(len(labels), 1, side, side, generator=torch.Generator().manual_seed(0))
    return TrainPart(images=images.to(setting.device), labels=labels, classes=CLASSES, mirror_keeps_class=False)


class _MadeUpExperts:
    """Random networks in place of snapshots."""

    count, epochs = 2, 3

    def __init__(self, setting: Setting, part: TrainPart) -> None:
        self._network = build_network(setting.network, part.shape, CLASSES, torch.device("cpu"))

    def snapshot(self, expert: int, epoch: int) -> Tensor:
        initialise(self._network, torch.Generator().manual_seed(100 * expert + epoch))
        return flatten(self._network)


def _fields(name: str, setting: Setting) -> dict[str, Any]:
    """Settings of a method for the timed steps; otherwise its defaults."""
    few = max(3, setting.steps // 6)
    if name in ("datm", "pad"):
        fields = {"experts": 2, "expert_epochs": 3, "target_epochs": 1, "window_width": 2, "window_growth": 0, "gate": 1e9}
        return {**fields, "iterations": few, "student_steps": 2 if setting.is_rehearsal else 20}
    if name == "dc":
        return {"random_inits": 1, "steps_per_init": few, "model_steps": 2, "batch_real": setting.batch_real}
    return {"random_inits": setting.steps, "batch_real": setting.batch_real}


def _time_method(name: str, setting: Setting) -> tuple[float, float]:
    """Seconds and images of one step, without the first, which includes what is done only once."""
    part = _part(setting)
    config = METHODS[name].config.model_validate({"name": name, **_fields(name, setting)})
    clocks: dict[int, float] = {}
    total = 0

    def note(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        nonlocal total
        total = steps
        if step in (1, steps):
            setting.wait()
            clocks[step] = time.perf_counter()

    given: dict[str, Any] = {"generator": torch.Generator().manual_seed(0), "report": note, "checkpoint": NoCheckpoint()}
    if isinstance(config, ExpertFields):
        given["experts"] = _MadeUpExperts(setting, part)
    METHODS[name].distill(part, setting.network, config, setting.ipc, device=setting.device, **given)
    return (clocks[total] - clocks[1]) / (total - 1), METHODS[name].images_passed(config, setting.ipc, CLASSES) / total


def _time_by_class(name: str, setting: Setting) -> tuple[float, float]:
    """The same for one class after another and a backward pass for all, the order in which the published code works.

    It is our code in their order: what it shows is what passing all classes together gains, not how fast their code is.
    """
    part, generator = _part(setting), torch.Generator().manual_seed(0)
    config = METHODS[name].config.model_validate({"name": name, **_fields(name, setting)})
    means = functools.partial(datadam.class_means, power=4.0) if name == "datadam" else dm.mean_embeddings
    images = starting_images("real", part, setting.network, setting.ipc, generator).requires_grad_()
    optimiser = torch.optim.SGD([images], lr=config.lr_images, momentum=config.momentum_images)
    batches = ClassBatches(part.labels, CLASSES)
    seconds = []
    for _ in range(max(3, setting.steps // 3)):
        setting.wait()
        started = time.perf_counter()
        model = build_network(setting.network, part.shape, CLASSES, setting.device).train().requires_grad_(False)
        initialise(model, generator)
        chosen = batches.draw(setting.batch_real, generator).to(setting.device)
        draw = siamese_draw(("color", "crop", "cutout", "scale", "rotate"), CLASSES, "per_class", generator)
        losses = []
        for c, own in enumerate(images.chunk(CLASSES)):
            one = draw and draw.part(slice(c, c + 1))
            with torch.no_grad():
                real = means(model.features(augment_classes(part.images[chosen[c]].unsqueeze(0), one)), 1)
            made = means(model.features(augment_classes(own.unsqueeze(0), one)), 1)
            losses.append(sum((a - b).square().sum() for a, b in zip(real, made, strict=True)))
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()
        optimiser.step()
        setting.wait()
        seconds.append(time.perf_counter() - started)
    return sum(seconds[1:]) / (len(seconds) - 1), CLASSES * (setting.batch_real + setting.ipc)
