"""One synthetic set by itself: distilled without a search, saved, and evaluated on real images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from raydistill.catalogue import did_you_mean, find_file
from raydistill.core.contract import NoCheckpoint, Report
from raydistill.core.evaluate import evaluate_set, network_seeds
from raydistill.core.networks import build_network
from raydistill.core.picture import grid_png
from raydistill.core.process import prepare_process
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import Manifest, SyntheticSet, decode, encode
from raydistill.data.splits import LabelledImages, Splits, load_splits, open_test, splits_of
from raydistill.errors import InputError, Mistake, SpaceError
from raydistill.experts.files import open_experts
from raydistill.methods import method_configs
from raydistill.search.experts import plan_experts, prepare_experts
from raydistill.search.local import LocalExecutor
from raydistill.search.watcher import SilentWatcher, Watcher
from raydistill.search.workplace import Workplace
from raydistill.sets.place import SET_FILE, ImagesToRead, opening_log
from raydistill.spaces.network_names import network_text, parse_networks
from raydistill.spaces.sections import Config, ImportedConfig, dataset_config
from raydistill.spaces.space import Choices, Range, SearchSpace
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store
from raydistill.trial.distillation import distil, manifest_of

NetworkPurpose = Literal["evaluate", "trial"]
"""What seeds the networks that read a set: those of a trial are the same in a search and when it is run again."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Distilled:
    """One set, distilled without a search."""

    synthetic: SyntheticSet
    start: SyntheticSet
    """The set that it grew from, before the first step."""
    manifest: Manifest
    config: TrialConfig[Any]


class NetworkReading(Config):
    """Networks of one architecture, trained on one set."""

    network: str
    """With all its fields, as `--network` takes it."""
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """One per network."""
    parameters: int
    """Of one network."""
    recipe: str
    split: str
    """Whose images the fractions are of."""


def only_trial(space: SearchSpace, data_root: DataRoot) -> TrialConfig[Any]:
    """The one trial of a space without ranges.

    Raises:
        SpaceError: the space has ranges; all are named.
    """
    mistakes = [
        Mistake(key=path, message=f"given {_in_words(allowed)}; one set takes one value: add --set {path}=VALUE")
        for path, allowed in space.ranges.items()
    ]
    if mistakes:
        raise SpaceError(f"study {space.study}", mistakes, {})
    data = load_splits(dataset_config(space.template["dataset"]), data_root)
    return space.trial(ask_number=0, values={}, data_sha256=data.sha256)


def distil_once(
    config: TrialConfig[Any], store: Store, data_root: DataRoot, on_step: Report | None = None, watcher: Watcher | None = None
) -> Distilled:
    """Distil one set, without a search and without a baseline.

    Args:
        config: what to distil.
        store: holds the experts that the method reads; those that are missing are trained here first.
        data_root: folder or URI of the data files.
        on_step: told after every step.
        watcher: told of the experts.

    Raises:
        DivergedError: a loss is not finite.
        StoreError: an expert's file is damaged, or the disk has too little room for the experts.
    """
    splits = splits_of(config, data_root)
    needs = plan_experts([config], store, data_root)
    work = Workplace(executor=LocalExecutor(), data_root=data_root, watcher=watcher or SilentWatcher())
    prepare_experts(needs, config, store, work)
    device = prepare_process(config)
    started: list[SyntheticSet] = []

    def on_each_step(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        if step == 0:
            # Methods update images in place: what is kept must be a copy.
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
    """As `save_set`, of a set that was not distilled here."""
    pixels = manifest.preprocess.invert(synthetic.images.cpu())
    folder.write("images.safetensors", encode(synthetic, manifest))
    folder.write("images.png", grid_png(pixels, columns=synthetic.ipc))
    return folder.path("images.safetensors"), folder.path("images.png")


def compare_with_start(
    distilled: Distilled, data_root: DataRoot, purpose: NetworkPurpose = "evaluate"
) -> tuple[list[float], list[float]]:
    """Accuracy fractions on select images: of networks trained on the set, and of the same ones on the set it grew from."""
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
) -> list[NetworkReading]:
    """Fresh networks of several architectures trained on a saved set, by default of the set's own; see `raydistill.evaluate`."""
    check_reading(on.split, on.reason, networks)
    synthetic, config = read_set_file(path)
    if recipe is not None and recipe not in RECIPES:
        raise InputError(f"unknown recipe {recipe!r}; {did_you_mean(recipe, RECIPES)}Allowed: {', '.join(RECIPES)}")
    splits = splits_of(config, on.data_root)
    chosen = parse_networks(architectures or [config.network.name], config.network, splits.shape)
    part = part_to_read(path, config, splits, on)
    readings = []
    for network in chosen:
        of_network = config.model_copy(update={"network": network})
        fractions = tuple(accuracies(synthetic, of_network, splits, part, networks=networks, recipe=recipe))
        built = build_network(network, splits.shape, len(splits.class_names), torch.device("meta"))
        parameters = sum(parameter.numel() for parameter in built.parameters())
        readings.append(
            NetworkReading(
                network=network_text(network),
                accuracy_fractions=fractions,
                parameters=parameters,
                recipe=recipe or config.evaluation.recipe,
                split=on.split,
            )
        )
    return readings


def check_reading(split: str, reason: str | None, networks: int | None) -> None:
    """Refuse what cannot be read.

    Raises:
        InputError: an unknown split, the test split without a reason, or no networks.
    """
    if split not in ("select", "test"):
        raise InputError(f"unknown split {split!r}; allowed: select, test (confirm is for a search's winner): give one of these")
    if split == "test" and not (reason and reason.strip()):
        raise InputError("the test split, without a reason; each opening is logged with one: add --reason TEXT, or read select")
    if split == "select" and reason is not None:
        raise InputError("a reason, and the select split, whose readings need none; leave --reason out, or add --split test")
    if networks is not None and networks < 1:
        raise InputError(f"given {networks} networks; at least 1 is wanted: leave it out, or give a whole number from 1")


def part_to_read(path: str, config: TrialConfig[Any], splits: Splits, on: ImagesToRead) -> LabelledImages:
    """The select images, or the test images through their door; as `check_reading` let pass.

    Args:
        path: of the set that is read.
        config: of the set.
        splits: of its data.
        on: which ones.

    Raises:
        InputError: the set lies in a study, and the log is in another store than the study's.
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
    recipe: str | None = None,
    purpose: NetworkPurpose = "evaluate",
) -> list[float]:
    """One accuracy fraction per fresh network, seeded for a purpose; None takes the number and the recipe of the config."""
    # A set that was made on a GPU is read wherever it is asked for.
    device = prepare_process(config.model_copy(update={"device": "cuda" if torch.cuda.is_available() else "cpu"}))
    seeds = network_seeds(purpose, splits.sha256, networks or config.evaluation.networks)
    chosen = RECIPES[recipe or config.evaluation.recipe]
    correct = evaluate_set(synthetic.to(device), splits, part, config.network, chosen, seeds, device)
    return [float(row.mean()) for row in correct]


def read_set_file(path: str) -> tuple[SyntheticSet, TrialConfig[Any]]:
    """The set in an `images.safetensors`, or in the folder of one, and the config that made it.

    Raises:
        InputError: there is none, or it is damaged.
    """
    synthetic, _, config = read_whole_set_file(path)
    return synthetic, config


def read_whole_set_file(path: str) -> tuple[SyntheticSet, Manifest, TrialConfig[Any]]:
    """As `read_set_file`, with the manifest.

    Raises:
        InputError: there is none, or it is damaged.
    """
    folder, name = find_file(path, SET_FILE)
    try:
        data = folder.read(name)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InputError(
            f"no set at {folder.path(name)}; give an images.safetensors, or the folder of a finished trial"
        ) from error
    try:
        synthetic, manifest = decode(data)
        methods: dict[str, type[Any]] = {**method_configs(), "imported": ImportedConfig}
        return synthetic, manifest, read_trial_config(json.dumps(manifest.config), methods)
    except ValueError as error:
        raise InputError(f"{folder.path(name)}: {error}") from error


def _in_words(allowed: Range | Choices) -> str:
    if isinstance(allowed, Choices):
        return f"the choices {', '.join(map(str, allowed.values))}"
    return f"a range from {allowed.low:g} to {allowed.high:g}"
