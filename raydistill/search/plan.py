"""Forecasts the time, disk and memory of a search from a short measurement.

The measurement runs in this process, at the highest IPC and at the middle one: a few steps of the distillation, and a few steps
of the recipe on a set and on the full data. A method that reads experts gets untrained ones. The rest is multiplication, so the
forecast is rough: other work on the machine distorts it, and trials that are stopped early, which shorten the search, are not
taken into account.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from raydistill.core.cost import peak_memory_bytes, reset_peak_memory
from raydistill.core.evaluate import train_and_read
from raydistill.core.process import prepare_process
from raydistill.core.recipes import recipe_of
from raydistill.core.synthetic import SyntheticSet
from raydistill.data.inspect import inspect_images
from raydistill.data.own.words import short_lines
from raydistill.data.splits import LabelledImages, Splits, load_splits
from raydistill.experts.need import needs_of
from raydistill.search.allowance import check_budget
from raydistill.search.distributions import middle
from raydistill.search.experts import extreme_trials
from raydistill.search.finding import factors_drawn
from raydistill.search.pace import CONFIRMED_CANDIDATES, DISTIL_STEPS, TIMED_ONLY, probe_trial
from raydistill.spaces.sections import Config, ImageFolderConfig, dataset_config
from raydistill.spaces.space import Arm, Range, SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.trial.run import networks_of_trial

RECIPE_STEPS = 20
"""Number of timed steps of the recipe; the first is ignored, because it includes work that is done only once."""


class Stage(Config):
    """A part of a search: jobs that run in parallel."""

    name: str
    jobs: int
    seconds_each: float


class Forecast(Config):
    """The forecast time, disk and memory of a search."""

    stages: tuple[Stage, ...]
    """The stages in their order; the time of trials is that at the middle IPC, and a race's trials are divided evenly among its
    arms, although the search tries some arms more often."""
    largest_trial_seconds: float
    """Seconds of a trial at the highest IPC."""
    at_once: int
    """Number of jobs that run in parallel."""
    hours: float
    """Wall-clock hours of all stages; the budget's hours may end the trials sooner."""
    disk_bytes: int
    """Upper limit for the experts, and for sets, pictures and checkpoints of running trials, all at the highest IPC."""
    trial_memory_bytes: int
    """Peak memory of a trial at the highest IPC: resident memory of the process, or device memory on a GPU."""
    trial_memory_of: str
    """Kind of that memory: cpu or cuda."""


class _Measured(Config):
    trial: float
    distil: float
    """Seconds of making the set."""
    network: float
    """Seconds to train one network on a set and to evaluate it."""
    set_bytes: int


def _nobody(text: str) -> None:
    """Ignore what is measured next."""


def plan_search(
    space: SearchSpace,
    data_root: DataRoot,
    at_once: int | None = None,
    tell: Callable[[str], object] = _nobody,
    *,
    looks: bool = True,
) -> Forecast:
    """Measure a few steps, and forecast the whole search.

    Args:
        space: the search space.
        data_root: folder or URI of the data files.
        at_once: jobs in parallel; None means the space's `max_concurrent_trials`, or as many as this machine has cores for.
        tell: is told in a line what is measured, before it is.
        looks: tell first what is known about a person's own images.

    Raises:
        BudgetError: the budget's hours or GPU hours are too few for one trial and its confirmation.
        DataError: the data is missing or damaged.
        DivergedError: a measured loss is not finite.
    """
    tell(f"Reading {space.shared['dataset']['name']}")
    dataset = dataset_config(space.shared["dataset"])
    splits = load_splits(dataset, data_root)
    if looks and isinstance(dataset, ImageFolderConfig):
        for line in short_lines(inspect_images(dataset, data_root)):
            tell(line)
    side_by_side = at_once or space.resources.max_concurrent_trials or _cores_hold(space.resources.cpus_per_trial)
    ipc = space.arms[0].ranges.get("ipc")
    highest = int(ipc.high) if isinstance(ipc, Range) else int(space.shared["ipc"])
    usual = round(middle(replace(ipc, log=True))) if isinstance(ipc, Range) else highest
    config = _trial_at(space.arms[0], highest, splits)
    device = prepare_process(config)
    reset_peak_memory(device)
    largest = [_measure(_trial_at(arm, highest, splits), splits, device, tell) for arm in space.methods]
    memory = peak_memory_bytes(device)
    medium = {arm.label: _measure(_trial_at(arm, usual, splits), splits, device, tell) for arm in space.arms}
    tell("Measuring a network on the full data")
    full = _network_seconds(config, splits.train.images, splits.train.labels, splits, device)
    evaluation = config.evaluation
    network = statistics.mean(measured.network for measured in medium.values())
    needs = needs_of(extreme_trials(space, splits.sha256), splits)
    recipe = recipe_of(config, splits)
    pace = full / recipe.images_seen(len(splits.train.labels))
    stages = (
        # Each network trains once with the recipe's steps and once with twice as many.
        Stage(name="baseline", jobs=evaluation.baseline_networks, seconds_each=3 * full),
        *(
            Stage(
                name="experts",
                jobs=need.count,
                # The small cost of the scoring networks is divided among the experts.
                seconds_each=pace * need.train_images * need.passes(need.count, need.score_networks) / need.count,
            )
            for need in needs
        ),
        *(
            Stage(
                name=f"trials of {label}" if space.is_race else "trials",
                jobs=-(-space.budget.trials // len(medium)),
                seconds_each=measured.trial,
            )
            for label, measured in medium.items()
        ),
        Stage(name="confirmation", jobs=CONFIRMED_CANDIDATES * evaluation.confirm_networks, seconds_each=network),
        *(_draws(arm, medium[arm.label], _trial_at(arm, usual, splits), splits) for arm in space.controls),
    )
    one = statistics.mean(measured.trial for measured in medium.values()) + evaluation.confirm_networks * network / side_by_side
    gpus = space.resources.gpus_per_trial
    check_budget(space.budget, gpus, one, "one trial at the middle IPC with its confirmation takes")
    return Forecast(
        stages=stages,
        largest_trial_seconds=max(measured.trial for measured in largest),
        at_once=side_by_side,
        hours=sum(-(-stage.jobs // side_by_side) * stage.seconds_each for stage in stages) / 3600,
        disk_bytes=max(measured.set_bytes for measured in largest) * (2 * space.budget.trials + side_by_side)
        + sum(need.size_bytes for need in needs),
        trial_memory_bytes=memory,
        trial_memory_of=config.device,
    )


def _measure(config: TrialConfig[Any], splits: Splits, device: torch.device, tell: Callable[[str], object]) -> _Measured:
    tell(f"Measuring {config.arm} at IPC {config.ipc}: up to {DISTIL_STEPS} steps, and a network on the set")

    def read(synthetic: SyntheticSet) -> None:
        # A trial makes a reading while the distillation's tensors are there, and may need the most memory then.
        recipe = replace(recipe_of(config, splits), steps=1)
        seen = synthetic.decoded()
        train_and_read(
            seen.images.detach(), seen.labels, splits, [splits.select], config.network, recipe, 0, device, diverged=TIMED_ONLY
        )

    probe = probe_trial(config, splits, device, at_end=read)
    synthetic, distil_seconds, has_steps = probe
    seen = synthetic.decoded()
    network = _network_seconds(config, seen.images, seen.labels, splits, device)
    networks = networks_of_trial(config, has_steps=has_steps)
    return _Measured(
        trial=distil_seconds + networks * network, distil=distil_seconds, network=network, set_bytes=synthetic.size_bytes
    )


def _network_seconds(config: TrialConfig[Any], images: Tensor, labels: Tensor, splits: Splits, device: torch.device) -> float:
    """Seconds to train one network with the whole recipe and to evaluate it on the select images."""
    recipe = recipe_of(config, splits)

    def train(steps: int, read: LabelledImages) -> float:
        short = replace(recipe, steps=steps)
        return _seconds(
            lambda: train_and_read(images, labels, splits, [read], config.network, short, 0, device, diverged=TIMED_ONLY)
        )

    one = LabelledImages(images=splits.select.images[:1], labels=splits.select.labels[:1])
    train(1, one)
    first, more = train(1, one), train(1 + RECIPE_STEPS, one)
    per_step = max(0.0, more - first) / RECIPE_STEPS
    return float(per_step * recipe.steps + train(1, splits.select))


def _seconds(work: Callable[[], Any]) -> float:
    """Seconds of some work; its result must be on the CPU, so that a GPU has finished."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _trial_at(arm: Arm, ipc: int, splits: Splits) -> TrialConfig[Any]:
    """The trial at this IPC, with the middle of every other range."""
    values = {path: ipc if path == "ipc" else middle(dimension) for path, dimension in arm.ranges.items()}
    return arm.trial(ask_number=0, values=values, data_sha256=splits.sha256)


def _draws(arm: Arm, measured: _Measured, config: TrialConfig[Any], splits: Splits) -> Stage:
    """A control's draws with each of its factors: more and smaller images in a set are more images for its network."""
    recipe, classes, factors = recipe_of(config, splits), len(splits.class_names), factors_drawn(arm)
    images = statistics.mean(recipe.images_seen(classes * config.ipc * factor**2) for factor in factors)
    network = measured.network * images / recipe.images_seen(classes * config.decoded_ipc)
    jobs = config.evaluation.confirm_networks * len(factors)
    return Stage(name=f"draws of {arm.label}", jobs=jobs, seconds_each=measured.distil + network)


def _cores_hold(cpus_per_trial: int) -> int:
    return max(1, (os.cpu_count() or 1) // cpus_per_trial)
