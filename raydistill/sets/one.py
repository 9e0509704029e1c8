"""Distils a single set without a search, saves it, and evaluates it on real images."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from raydistill.catalogue import did_you_mean, find_file
from raydistill.core.class_mean import accuracy_of, counted_classes
from raydistill.core.contract import NoCheckpoint, Report
from raydistill.core.evaluate import evaluate_set, network_seeds
from raydistill.core.networks import build_network
from raydistill.core.picture import set_png
from raydistill.core.process import device_at_hand, prepare_process
from raydistill.core.recipes import RECIPES, Recipe
from raydistill.core.synthetic import Manifest, SyntheticSet, decode, encode, sha256
from raydistill.data.splits import LabelledImages, Splits, load_splits, open_test, splits_of
from raydistill.errors import InputError, Mistake, SpaceError
from raydistill.experts.files import open_experts
from raydistill.methods import method_configs
from raydistill.search.estimate import Part, estimate_line
from raydistill.search.experts import plan_experts, prepare_experts
from raydistill.search.local import LocalExecutor
from raydistill.search.pace import probed_pace, times
from raydistill.search.watcher import SilentWatcher, Watcher
from raydistill.search.winner import WINNER_FILE, WINNER_FOLDER, Winner
from raydistill.search.workplace import Workplace
from raydistill.sets.class_order import check_same_classes
from raydistill.sets.place import SET_FILE, ImagesToRead, opening_log
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.network_names import network_text, parse_networks
from raydistill.spaces.sections import Config, ImportedConfig, dataset_config
from raydistill.spaces.space import Choices, Range, SearchSpace
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import TrialRecord
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored
from raydistill.trial.distillation import distil, manifest_of

NetworkPurpose = Literal["evaluate", "trial"]
"""Purpose from which the seeds of the evaluation networks are derived; a repeated trial uses the same seeds as in its search."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Distilled:
    """One set, distilled without a search."""

    synthetic: SyntheticSet
    start: SyntheticSet
    """The initial set, before the first step."""
    manifest: Manifest
    config: TrialConfig[Any]


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


def only_trial(space: SearchSpace, data_root: DataRoot) -> TrialConfig[Any]:
    """The only trial of a space with one method and without ranges; its controls are left out.

    Raises:
        SpaceError: the space has several methods, or ranges; the message lists all of them.
    """
    arm = space.methods[0]
    mistakes = [
        Mistake(key=path, message=f"given {_in_words(allowed)}; a single set needs a single value: add --set {path}=VALUE")
        for path, allowed in arm.ranges.items()
    ]
    if len(space.methods) > 1:
        labels = ", ".join(arm.label for arm in space.methods)
        message = f"given {labels}; a single set needs a single method: give a space with one, or --set 'methods=[{{name: ..}}]'"
        mistakes = [Mistake(key="methods", message=message)]
    if mistakes:
        raise SpaceError(f"study {space.study}", mistakes, {})
    data = load_splits(dataset_config(space.shared["dataset"]), data_root)
    return arm.trial(ask_number=0, values={}, data_sha256=data.sha256)


def distil_once(
    config: TrialConfig[Any], store: Store, data_root: DataRoot, on_step: Report | None = None, watcher: Watcher | None = None
) -> Distilled:
    """Distil one set, without a search and without a baseline.

    Args:
        config: what to distil.
        store: store with the experts that the method reads; missing experts are trained first.
        data_root: folder or URI of the data files.
        on_step: called after every step.
        watcher: receives the progress of training experts.

    Raises:
        DivergedError: a loss is not finite.
        StoreError: an expert's file is damaged, or the disk has too little space for the experts.
    """
    splits = splits_of(config, data_root)
    needs = plan_experts([config], store, data_root)
    work = Workplace(executor=LocalExecutor(), data_root=data_root, watcher=watcher or SilentWatcher())
    prepare_experts(needs, config, store, work)
    device = prepare_process(config)
    started: list[SyntheticSet] = []

    def on_each_step(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        if step == 0:
            # Methods update images in place, so the initial set must be a copy.
            images, labels = synthetic.images.clone(), synthetic.labels.clone()
            started.append(replace(synthetic, images=images, labels=labels))
        if on_step is not None:
            on_step(step, steps, loss, synthetic, is_accepted=is_accepted)

    experts = open_experts(config, splits, store)
    synthetic = distil(config, splits, device, on_each_step, NoCheckpoint(), experts)
    manifest = manifest_of(config, splits)
    return Distilled(synthetic=synthetic, start=started[0], manifest=manifest, config=config)


def save_set(distilled: Distilled, folder: Store) -> tuple[str, str]:
    """Write `images.safetensors` and `images.png`; returns their full paths."""
    return write_set(distilled.synthetic, distilled.manifest, folder)


def write_set(synthetic: SyntheticSet, manifest: Manifest, folder: Store) -> tuple[str, str]:
    """Like `save_set`, for any set and manifest."""
    folder.write("images.safetensors", encode(synthetic, manifest))
    folder.write("images.png", set_png(synthetic, manifest.preprocess))
    return folder.path("images.safetensors"), folder.path("images.png")


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


def read_set_file(path: str) -> tuple[SyntheticSet, TrialConfig[Any]]:
    """The set in an `images.safetensors`, or in a folder that contains one, and its config.

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    synthetic, _, config = read_whole_set_file(path)
    return synthetic, config


def read_set_with_data(path: str, data_root: DataRoot) -> tuple[SyntheticSet, TrialConfig[Any], Splits]:
    """A saved set, its config and the splits of its data.

    Raises:
        InputError: there is no such file, it is damaged, or its classes are not those of the data.
        DataError: the data is missing, or not the data that the set was made from.
    """
    synthetic, manifest, config = read_whole_set_file(path)
    check_same_classes(manifest.class_names, load_splits(config.dataset, data_root).class_names, path)
    return synthetic, config, splits_of(config, data_root)


def read_whole_set_file(path: str) -> tuple[SyntheticSet, Manifest, TrialConfig[Any]]:
    """Like `read_set_file`, with the manifest.

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    folder, name = find_file(path, SET_FILE)
    try:
        data = folder.read(name)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InputError(
            f"no set at {folder.path(name)}; give an images.safetensors, or the folder of a finished trial; a "
            "study has a folder `winner` once its search has found one"
        ) from error
    if (said := _recorded_sha256(folder)) is not None and said != sha256(data):
        raise InputError(
            f"{folder.path(name)} was changed after it was written: its hash is {sha256(data)[:12]}, the file beside it says "
            f"{said[:12]}; restore it, or run the search again, which says what to do"
        )
    try:
        synthetic, manifest = decode(data)
        methods: dict[str, type[Any]] = {**method_configs(), "imported": ImportedConfig}
        return synthetic, manifest, read_trial_config(json.dumps(manifest.config), methods)
    except ValueError as error:
        raise InputError(f"{folder.path(name)}: {error}") from error


def _recorded_sha256(folder: Store) -> str | None:
    """The hash of the set that a record, or the file that names the winner, says lies in a folder; None where neither does."""
    remedy = "restore it, or run the search again, which says what to do"
    if folder.root.rstrip("/").rpartition("/")[2] == WINNER_FOLDER:
        winner = read_stored(folder.parent, WINNER_FILE, Winner, remedy)
        return None if winner is None else winner.images_sha256
    record = read_stored(folder, "record.json", TrialRecord, remedy)
    return None if record is None else record.images_sha256


def _in_words(allowed: Range | Choices) -> str:
    if isinstance(allowed, Choices):
        return f"the choices {', '.join(map(str, allowed.values))}"
    return f"a range from {allowed.low:g} to {allowed.high:g}"
