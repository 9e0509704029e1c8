"""Trains networks on a single set and reads real images with them, those of the test split too, whose opening is logged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from raydistill.catalogue import did_you_mean
from raydistill.core.evaluate import evaluate_set, network_seeds
from raydistill.core.metrics import accuracy_of, counted_classes
from raydistill.core.networks import build_network
from raydistill.core.process import device_at_hand, prepare_process
from raydistill.core.recipes import RECIPES, Recipe
from raydistill.core.synthetic import SyntheticSet
from raydistill.data.splits import LabelledImages, Splits, open_test, splits_of
from raydistill.errors import InputError
from raydistill.search.estimate import Part, estimate_line
from raydistill.search.pace import probed_pace, times
from raydistill.search.watcher import SilentWatcher, Watcher
from raydistill.sets.distilling import Distilled
from raydistill.sets.place import ImagesToRead, opening_log
from raydistill.sets.set_file import read_set_with_data
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.network_names import network_text, parse_networks
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot

NetworkPurpose = Literal["evaluate", "trial"]
"""Purpose from which the seeds of the evaluation networks are derived; a repeated trial uses the same seeds as in its search."""


class NetworkReading(Config):
    """The accuracies of networks of one architecture, trained on one set."""

    network: str
    """The network with all its fields, in the form of `--network`."""
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """One per network."""
    parameters: int
    """Number of parameters of one network."""
    recipe: str
    """Name of the recipe."""
    split: str
    """Split on which the networks are evaluated."""
    metric: Literal["accuracy", "balanced_accuracy"] = "accuracy"
    """What the accuracies are: that of the goal in the set's config."""


def compare_with_start(
    distilled: Distilled, data_root: DataRoot, purpose: NetworkPurpose = "evaluate"
) -> tuple[list[float], list[float]]:
    """Accuracy fractions on the select images of networks trained on the set, and of the same networks on the initial set."""
    splits = splits_of(distilled.config, data_root)
    sets = (distilled.synthetic, distilled.start)
    after, before = (accuracies(one, distilled.config, splits, splits.select, purpose=purpose) for one in sets)
    return after, before


def evaluate_file(
    path: str,
    on: ImagesToRead,
    *,
    networks: int | None = None,
    recipe: str | None = None,
    architectures: Sequence[str] = (),
    watcher: Watcher | None = None,
) -> list[NetworkReading]:
    """Train new networks on a saved set and evaluate them, by default of the set's architecture; see `raydistill.evaluate`."""
    check_reading(on.split, on.reason, networks)
    if recipe is not None and recipe not in RECIPES:
        raise InputError(f"unknown recipe {recipe!r}; {did_you_mean(recipe, RECIPES)}Allowed: {', '.join(RECIPES)}")
    synthetic, config, splits = read_set_with_data(path, on.data_root)
    chosen = parse_networks(architectures or [config.network.name], config.network, splits.shape)
    part = part_to_read(path, config, splits, on)
    readings = []
    count = networks or config.evaluation.networks
    used = RECIPES[recipe or config.evaluation.recipe].for_set(len(synthetic.images))
    if watcher is None:
        watcher = SilentWatcher()
    else:
        watcher.note(
            estimate_line(_parts(chosen, count, used, len(synthetic.decoded().images), splits, config.cpus_per_trial), 1)
        )
    watcher.stage("evaluation", count * len(chosen))
    for network in chosen:
        of_network = config.model_copy(update={"network": network})
        fractions = tuple(
            accuracies(synthetic, of_network, splits, part, networks=networks, recipe=recipe, on_network=watcher.job_done)
        )
        built = build_network(network, splits.shape, len(splits.class_names), torch.device("meta"))
        parameters = sum(parameter.numel() for parameter in built.parameters())
        readings.append(
            NetworkReading(
                network=network_text(network),
                accuracy_fractions=fractions,
                parameters=parameters,
                recipe=recipe or config.evaluation.recipe,
                split=on.split,
                metric=config.goal.metric,
            )
        )
    return readings


def _parts(chosen: Sequence[NetworkConfig], count: int, recipe: Recipe, images: int, splits: Splits, threads: int) -> list[Part]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return [
        Part(
            jobs=count,
            what=f"networks {network.name}",
            seconds_each=times(probed_pace(network, recipe, splits, device, threads), recipe.images_seen(images)),
        )
        for network in chosen
    ]


def check_reading(split: str, reason: str | None, networks: int | None) -> None:
    """Check the arguments of an evaluation.

    Raises:
        InputError: the split is unknown, the test split has no reason, the select split has one, or `networks` is below 1.
    """
    if split not in ("select", "test"):
        raise InputError(f"unknown split {split!r}; allowed: select, test (only a search uses confirm): give one of these")
    if split == "test" and not (reason and reason.strip()):
        raise InputError("the test split needs a reason, which is logged at each opening: add --reason TEXT, or use select")
    if split == "select" and reason is not None:
        raise InputError("a reason is given, but the select split needs none: remove --reason, or add --split test")
    if networks is not None and networks < 1:
        raise InputError(f"given {networks} networks; expected a whole number of at least 1")


def part_to_read(path: str, config: TrialConfig[Any], splits: Splits, on: ImagesToRead) -> LabelledImages:
    """The select images, or the test images, whose opening is logged. Call `check_reading` first.

    Args:
        path: path of the evaluated set.
        config: config of the set.
        splits: splits of its data.
        on: which images.

    Raises:
        InputError: the set is in a study, and the log is not in the study's store.
    """
    if on.split == "select":
        return splits.select
    log = opening_log(path, on.log)
    return open_test(config.dataset, reason=on.reason or "", log=log, data_root=on.data_root)


def accuracies(
    synthetic: SyntheticSet,
    config: TrialConfig[Any],
    splits: Splits,
    part: LabelledImages,
    *,
    networks: int | None = None,
    recipe: str | Recipe | None = None,
    purpose: NetworkPurpose = "evaluate",
    on_network: Callable[[], None] = lambda: None,
) -> list[float]:
    """One accuracy fraction per new network, seeded for a purpose; None uses the number and the recipe of the config.

    `on_network` is called after each network.
    """

    def tell(correct: NDArray[np.bool_]) -> bool:
        on_network()
        return False

    # A set that was made on a GPU can also be evaluated on a CPU, and the other way round.
    device = prepare_process(config.model_copy(update={"device": device_at_hand()}))
    seeds = network_seeds(purpose, splits.sha256, networks or config.evaluation.networks)
    chosen = recipe if isinstance(recipe, Recipe) else RECIPES[recipe or config.evaluation.recipe]
    at_once = config.evaluation.networks_at_once
    # A set is read as it is, also one of others or with another network: the accuracy says that it is of no use there.
    correct = evaluate_set(
        synthetic.to(device),
        splits,
        part,
        config.network,
        chosen,
        seeds,
        device,
        at_once=at_once,
        diverged=None,
        is_enough=tell,
    )
    return [float(one) for one in accuracy_of(correct, counted_classes(config.goal.metric, part.labels.numpy()))]
