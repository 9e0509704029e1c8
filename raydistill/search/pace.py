"""What a network or a trial costs, for estimates: from what a study's records say, or from a few steps measured here."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from raydistill.core.contract import NoCheckpoint, Report
from raydistill.core.evaluate import train_and_read
from raydistill.core.process import set_up_process
from raydistill.core.recipes import Recipe, recipe_of
from raydistill.core.synthetic import SyntheticSet
from raydistill.data.splits import LabelledImages, Splits
from raydistill.errors import DivergedError
from raydistill.experts.need import UntrainedExperts, need_of
from raydistill.methods import METHODS
from raydistill.search.distributions import middle
from raydistill.search.estimate import Part
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.space import Arm, Range
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import Baseline
from raydistill.storage.record import TrialRecord
from raydistill.trial.distillation import distil
from raydistill.trial.run import networks_of_trial

CONFIRMED_CANDIDATES = 3
"""Assumed number of candidates in the confirmation; two to three are usual."""
DISTIL_STEPS, PROBE_STEPS = 5, 3
ENOUGH_SECONDS = 10.0
"""A distillation whose steps are slow is timed no longer than this and the step that it is in: a step of trajectory matching may
take a minute. Where one step alone takes as long, the work that is done only once is a small part of it."""
TIMED_ONLY = None
"""In place of what is said of a network that diverges: the time of these few steps is all that is asked of it."""
LONG_SECONDS = 1.0
"""A step that takes longer is measurement enough."""


def probed_pace(
    network: NetworkConfig,
    recipe: Recipe,
    splits: Splits,
    device: str,
    threads: int,
    clock: Callable[[], float] = time.perf_counter,
) -> float | None:
    """Seconds per image that passes through a network in training, from a few steps on train images.

    None for a GPU: jobs compute there, perhaps on another machine, and this process is not to take a part of its memory.
    """
    if device != "cpu":
        return None
    images, labels = splits.train.images[: recipe.batch], splits.train.labels[: recipe.batch]
    with as_a_job(threads):
        return _pace(images, labels, splits, network, recipe, clock)


@contextmanager
def as_a_job(threads: int) -> Iterator[torch.device]:
    """This process as that of a job on the CPU, while something is measured."""
    before = torch.get_num_threads()
    try:
        yield set_up_process(threads, "cpu")
    finally:
        torch.set_num_threads(before)


def _pace(
    images: Tensor, labels: Tensor, splits: Splits, network: NetworkConfig, recipe: Recipe, clock: Callable[[], float]
) -> float:
    one = LabelledImages(images=splits.select.images[:1], labels=splits.select.labels[:1])

    def seconds(steps: int) -> float:
        began = clock()
        short, cpu = replace(recipe, steps=steps), torch.device("cpu")
        train_and_read(images, labels, splits, [one], network, short, 0, cpu, diverged=TIMED_ONLY)
        return clock() - began

    seconds(1)  # the first of a process takes a second or more, whatever it computes
    begin = seconds(1)
    if begin > LONG_SECONDS:
        return begin / len(labels)
    # The difference leaves out what a network costs once.
    more = seconds(1 + PROBE_STEPS)
    return max(more - begin, 0.0) / (PROBE_STEPS * len(labels))


def trial_pace(config: TrialConfig[Any], splits: Splits) -> float | None:
    """`probed_pace` for the network and the recipe of a trial."""
    return probed_pace(config.network, recipe_of(config, splits), splits, config.device, config.cpus_per_trial)


class _EnoughStepsError(Exception):
    """Ends a measured distillation after enough steps."""


class Probe(NamedTuple):
    """What the first steps of a distillation tell."""

    synthetic: SyntheticSet
    """The set so far."""
    seconds: float
    """Of the whole distillation."""
    has_steps: bool


def _leave(synthetic: SyntheticSet) -> None:
    """Do nothing with the set so far."""


def probe_distillation(run: Callable[[Report], object], *, at_end: Callable[[SyntheticSet], None] = _leave) -> Probe:
    """Run the first `DISTIL_STEPS` of a distillation, or as many as take `ENOUGH_SECONDS`.

    Args:
        run: the distillation, which is handed the function to report to.
        at_end: called with the set after the last of these steps, while the distillation's tensors are there.
    """
    ends: list[float] = []
    seen: list[tuple[int, SyntheticSet]] = []

    def on_step(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        if loss is not None:
            # Reading the loss waits until a GPU has finished the step.
            loss.item()
        ends.append(time.perf_counter())
        seen.append((steps, synthetic))
        if step == min(DISTIL_STEPS, steps) or (step > 0 and ends[-1] - ends[0] > ENOUGH_SECONDS):
            if steps:
                at_end(synthetic)
            raise _EnoughStepsError

    began = time.perf_counter()
    with suppress(_EnoughStepsError):
        run(on_step)
    whole = time.perf_counter() - began
    steps, synthetic = seen[-1]
    times = [end - begin for begin, end in itertools.pairwise(ends)]
    # A method without steps reports only once, after its set is made.
    return Probe(synthetic, steps * statistics.median(times[1:] or times) if steps else whole, steps > 0)


def probe_trial(
    config: TrialConfig[Any],
    splits: Splits,
    device: torch.device,
    *,
    at_end: Callable[[SyntheticSet], None] = _leave,
) -> Probe:
    """`probe_distillation` of a trial; a method that reads experts gets untrained ones."""
    need = need_of(config, splits)
    experts = None if need is None else UntrainedExperts(need, splits)

    def run(report: Report) -> object:
        return distil(config, splits, device, report, NoCheckpoint(), experts)

    return probe_distillation(run, at_end=at_end)


def distilling_seconds(config: TrialConfig[Any], splits: Splits) -> float | None:
    """Seconds to make a trial's set, from its first steps on this CPU; None for a GPU, or if those steps diverge."""
    if config.device != "cpu":
        return None
    if distilling_passes(config, len(splits.class_names)) == 0:
        return 0.0
    with as_a_job(config.cpus_per_trial) as device:
        try:
            return probe_trial(config, splits, device).seconds
        except DivergedError:  # the trial itself will say so
            return None


def baseline_pace(baseline: Baseline, recipe: Recipe) -> float:
    """Seconds per image that passed through the baseline's networks."""
    images = sum(reading.steps for reading in baseline.readings) * recipe.batch
    return sum(reading.seconds for reading in baseline.readings) / images


def network_seconds(record: TrialRecord) -> float | None:
    """Seconds to train and evaluate one network on a trial's set, as its own took; None if the record does not say."""
    networks = sum(len(reading.accuracy_fractions) for reading in record.readings)
    return record.cost.evaluate_seconds / networks if record.cost is not None and networks else None


def middle_trial(arm: Arm, data_sha256: str) -> TrialConfig[Any]:
    """The trial with the middle of each range; of IPC the geometric one."""
    middles = {
        path: middle(replace(one, log=True) if path == "ipc" and isinstance(one, Range) else one)
        for path, one in arm.ranges.items()
    }
    return arm.trial(ask_number=0, values=middles, data_sha256=data_sha256)


def images_passed(config: TrialConfig[Any], *, classes: int, recipe: Recipe) -> float:
    """Images that pass through a network in a trial: in its distillation, and in the networks that evaluate its set.

    A control's networks are counted as if it had looks on its way. This is the cost by which a race chooses among its arms, so
    another count would give other trials for the same seed.
    """
    networks = networks_of_trial(config, has_steps=True)
    return distilling_passes(config, classes) + networks * recipe.images_seen(classes * config.decoded_ipc)


def networks_that_read(config: TrialConfig[Any], classes: int) -> int:
    """How many networks a trial trains on its set, at most."""
    return networks_of_trial(config, has_steps=distilling_passes(config, classes) > 0)


def distilling_passes(config: TrialConfig[Any], classes: int) -> float:
    """Images that pass through a network while a trial's set is made; 0 for one of real images."""
    return METHODS[config.method.name].images_passed(config.method, config.ipc, classes)


def both(one: float | None, other: float | None) -> float | None:
    """The sum; None if one is not known."""
    return None if one is None or other is None else one + other


def times(pace: float | None, images: float) -> float | None:
    """Seconds for so many images; None without a pace."""
    return None if pace is None else pace * images


def parts_of_comparison(configs: Sequence[TrialConfig[Any]], splits: Splits) -> list[Part]:
    """Sets of each method that are left to make and to read, at a pace measured here."""
    pace, classes = trial_pace(configs[0], splits), len(splits.class_names)
    recipe = recipe_of(configs[0], splits)
    by_method: dict[str, list[TrialConfig[Any]]] = {}
    for config in configs:
        by_method.setdefault(config.arm, []).append(config)
    read = times(pace, configs[0].evaluation.networks * recipe.images_seen(classes * configs[0].decoded_ipc))
    return [
        Part(jobs=len(own), what=f"sets of {arm}", seconds_each=both(distilling_seconds(own[0], splits), read))
        for arm, own in by_method.items()
    ]
