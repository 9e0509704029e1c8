"""Evaluates sets with the protocols of two public benchmarks: DC-Bench's table, and DD-Ranking's scores.

Differences from the benchmarks: nothing is chosen on the evaluation images (DD-Ranking chooses the best epoch and the best of
five learning rates on them); both protocols run with all data sets and networks of this project; random images are drawn again
for each network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from raydistill.catalogue import did_you_mean
from raydistill.core.batch_augment import MAKERS, batch_augmentation
from raydistill.core.ddranking import augmentation_robust_score, label_robust_score
from raydistill.core.evaluate import network_seeds, train_fresh, with_learned_rate
from raydistill.core.networks import Network
from raydistill.core.process import device_at_hand, set_up_process
from raydistill.core.recipes import RECIPES, Recipe
from raydistill.core.selection import ClassBatches
from raydistill.core.synthetic import SyntheticSet, hard_labels
from raydistill.core.train import images_at_once, is_correct
from raydistill.data.splits import LabelledImages, Splits
from raydistill.errors import InputError
from raydistill.search.watcher import SilentWatcher, Watcher
from raydistill.sets.evaluating import check_reading, part_to_read
from raydistill.sets.place import ImagesToRead
from raydistill.sets.set_file import read_set_with_data
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.network_names import network_text, parse_networks
from raydistill.spaces.sections import Config, derive_seed
from raydistill.spaces.trial import TrialConfig

BENCHMARKS = ("dc_bench", "dd_ranking")
"""The protocols of this room; those of what a set is good for are in the room `uses`."""
AUGMENTATIONS = ("none", "dsa", *MAKERS)
"""Augmentations of DC-Bench."""
ARCHITECTURES = ("mlp", "convnet", "alexnet", "resnet18")
"""Architectures of DC-Bench that this project has; `convnet` is the set's own network, if that is a ConvNet."""
NETWORKS = 5
"""Number of networks per accuracy, as in both benchmarks."""


class BenchReading(Config):
    """A cell of DC-Bench's table: networks of one architecture, trained with one augmentation."""

    network: str
    augmentation: str
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    recipe: str
    """The recipe as text."""
    split: str


class RankingReading(Config):
    """DD-Ranking's scores of one set, and the accuracies behind them; networks of equal index have the same initialisation."""

    label_robust: tuple[float, ...] = Field(strict=False)
    """LRS, one per network."""
    augmentation_robust: tuple[float, ...] = Field(strict=False)
    """ARS, one per network."""
    accuracy_fractions: dict[str, tuple[float, ...]]
    """Accuracies by training data, one per network."""
    label_kind: str
    network: str
    recipe: str
    """The recipe as text."""
    split: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Subject:
    """A saved set, its data, and the images on which networks are evaluated."""

    synthetic: SyntheticSet
    config: TrialConfig[Any]
    splits: Splits
    part: LabelledImages
    device: torch.device

    def train(self, images: Tensor, labels: Tensor, network: NetworkConfig, recipe: Recipe, seed: int, **options: Any) -> Network:
        """Train a new network on images."""
        return train_fresh(images, labels, self.splits, network, recipe, seed, self.device, **options)

    def read(self, network: Network) -> float:
        """Accuracy fraction of a network on the evaluation images."""
        images, labels = self.part.images.to(self.device), self.part.labels.to(self.device)
        return float(is_correct(network, images, labels).float().mean())


def run_dc_bench(
    path: str,
    on: ImagesToRead,
    *,
    architectures: Sequence[str] = (),
    augmentations: Sequence[str] = (),
    networks: int | None = None,
    watcher: Watcher | None = None,
) -> list[BenchReading]:
    """DC-Bench's table of one set: one cell per architecture and augmentation, always with DC-Bench's learning rate of 0.01.

    Args:
        path: path of the set.
        on: the images on which networks are evaluated.
        architectures: in the form of `--network`; empty means all `ARCHITECTURES` for which the images are large enough.
        augmentations: some of `AUGMENTATIONS`; empty means all.
        networks: networks per cell; None means 5.
        watcher: receives progress, a job per network.

    Raises:
        InputError: an unknown augmentation or network; or see `check_reading`.
    """
    if unknown := [name for name in augmentations if name not in AUGMENTATIONS]:
        near = did_you_mean(unknown[0], AUGMENTATIONS)
        raise InputError(f"unknown augmentation {unknown[0]!r}; {near}Allowed: {', '.join(AUGMENTATIONS)}: give some of these")
    subject, chosen = _subject(path, on, architectures, networks, takes_all=True)
    readings = []
    watcher, kinds = watcher or SilentWatcher(), augmentations or AUGMENTATIONS
    watcher.stage("evaluation", len(chosen) * len(kinds) * (networks or NETWORKS))

    def read(trained: Network) -> float:
        fraction = subject.read(trained)
        watcher.job_done()
        return fraction

    for network in chosen:
        for augmentation in kinds:
            recipe, options = _dc_bench_recipe(augmentation, subject)
            seeds = network_seeds("dc_bench", subject.splits.sha256, networks or NETWORKS)
            seen = subject.synthetic.decoded()
            images, labels = seen.images, seen.labels
            trained = (subject.train(images, labels, network, recipe, seed, **options) for seed in seeds)
            readings.append(
                BenchReading(
                    network=network_text(network),
                    augmentation=augmentation,
                    accuracy_fractions=tuple(read(one) for one in trained),
                    recipe=str(recipe),
                    split=on.split,
                )
            )
    return readings


def run_dd_ranking(
    path: str,
    on: ImagesToRead,
    *,
    architectures: Sequence[str] = (),
    networks: int | None = None,
    recipe: str | None = None,
    watcher: Watcher | None = None,
) -> RankingReading:
    """DD-Ranking's scores of one set, with one architecture.

    The set is evaluated with its own labels, its learned learning rate and the recipe. If its labels are soft, the random images
    are labelled by a network trained on the full data. All networks train for the recipe's steps.

    Args:
        path: path of the set.
        on: the images on which networks are evaluated.
        architectures: at most one; empty means the set's own.
        networks: networks per accuracy; None means 5.
        recipe: name of the recipe; None means the set's own.
        watcher: receives progress, a job per network of each training data together.

    Raises:
        InputError: several networks or an unknown recipe; or see `check_reading`.
    """
    if len(architectures) > 1:
        raise InputError(
            f"given networks {', '.join(architectures)}; DD-Ranking's scores use one network: give only one, or none"
        )
    if recipe is not None and recipe not in RECIPES:
        raise InputError(f"unknown recipe {recipe!r}; {did_you_mean(recipe, RECIPES)}Allowed: {', '.join(RECIPES)}")
    subject, (network,) = _subject(path, on, architectures, networks, takes_all=False)
    own = RECIPES[recipe or subject.config.evaluation.recipe].for_set(len(subject.synthetic.images))
    accuracies: dict[str, list[float]] = {}
    watcher = watcher or SilentWatcher()
    watcher.stage("rounds", networks or NETWORKS)
    for index, seed in enumerate(network_seeds("dd_ranking", subject.splits.sha256, networks or NETWORKS)):
        for name, fraction in _ranked_once(subject, network, own, index, seed).items():
            accuracies.setdefault(name, []).append(fraction)
        watcher.job_done()
    rows = [dict(zip(accuracies, values, strict=True)) for values in zip(*accuracies.values(), strict=True)]
    return RankingReading(
        label_robust=tuple(_label_robust(row, own) for row in rows),
        augmentation_robust=tuple(_augmentation_robust(row) for row in rows),
        accuracy_fractions={name: tuple(values) for name, values in accuracies.items()},
        label_kind=subject.synthetic.label_kind,
        network=network_text(network),
        recipe=str(own),
        split=on.split,
    )


REAL, SET_HARD = "full data, hard labels", "set, hard labels"
SET_AUGMENTED, SET_PLAIN = "set, own labels, augmented", "set, own labels, not augmented"
RANDOM_AUGMENTED, RANDOM_PLAIN = "random real images, augmented", "random real images, not augmented"


def _ranked_once(subject: _Subject, network: NetworkConfig, own: Recipe, index: int, seed: int) -> dict[str, float]:
    """The accuracies of networks with the same initialisation, by training data."""
    synthetic, splits = subject.synthetic, subject.splits
    seen = synthetic.decoded()
    augmented = own if own.augmentation != "none" else dataclasses.replace(own, augmentation="dsa")
    plain = dataclasses.replace(own, augmentation="none")
    real = subject.train(splits.train.images, splits.train.labels, network, own, seed)
    classes, generator = len(splits.class_names), torch.Generator().manual_seed(derive_seed("dd_ranking", "random", index))
    chosen = splits.train.images[ClassBatches(splits.train.labels, classes).draw(synthetic.ipc, generator).flatten()]
    hard, seen_hard = hard_labels(classes, synthetic.ipc), hard_labels(classes, seen.ipc)
    labels = hard if synthetic.label_kind == "hard" else _logits(real, chosen.to(subject.device))

    def of_set(recipe: Recipe) -> float:
        learned = with_learned_rate(recipe, synthetic)
        return subject.read(subject.train(seen.images, seen.labels, network, learned, seed))

    def of_random(recipe: Recipe) -> float:
        return subject.read(subject.train(chosen, labels, network, recipe, seed))

    row = {REAL: subject.read(real), SET_AUGMENTED: of_set(augmented), SET_PLAIN: of_set(plain)}
    is_hard_at_own_rate = synthetic.label_kind == "hard" and synthetic.learned_lr is None
    # For hard labels and the recipe's learning rate this accuracy is already computed.
    row[SET_HARD] = (
        row[_by(own, SET_AUGMENTED, SET_PLAIN)]
        if is_hard_at_own_rate
        else subject.read(subject.train(seen.images, seen_hard, network, own, seed))
    )
    return row | {RANDOM_AUGMENTED: of_random(augmented), RANDOM_PLAIN: of_random(plain)}


def _by(own: Recipe, augmented: str, plain: str) -> str:
    """The one of two names that belongs to the set's own recipe."""
    return plain if own.augmentation == "none" else augmented


def _label_robust(row: dict[str, float], own: Recipe) -> float:
    return label_robust_score(
        real_hard=row[REAL],
        set_hard=row[SET_HARD],
        set_own=row[_by(own, SET_AUGMENTED, SET_PLAIN)],
        random_own=row[_by(own, RANDOM_AUGMENTED, RANDOM_PLAIN)],
    )


def _augmentation_robust(row: dict[str, float]) -> float:
    return augmentation_robust_score(
        set_augmented=row[SET_AUGMENTED],
        random_augmented=row[RANDOM_AUGMENTED],
        set_plain=row[SET_PLAIN],
        random_plain=row[RANDOM_PLAIN],
    )


def _subject(
    path: str, on: ImagesToRead, architectures: Sequence[str], networks: int | None, *, takes_all: bool
) -> tuple[_Subject, list[NetworkConfig]]:
    """The set and the architectures to evaluate it with; everything is checked before the test split is opened.

    Without given architectures: all of DC-Bench's that fit if `takes_all`, otherwise the set's own.
    """
    check_reading(on.split, on.reason, networks)
    synthetic, config, splits = read_set_with_data(path, on.data_root)
    names = architectures or (_that_fit(config, splits) if takes_all else [config.network.name])
    chosen = parse_networks(names, config.network, splits.shape)
    part = part_to_read(path, config, splits, on)
    device = set_up_process(config.cpus_per_trial, device_at_hand())
    subject = _Subject(synthetic=synthetic.to(device), config=config, splits=splits, part=part, device=device)
    return subject, chosen


def _that_fit(config: TrialConfig[Any], splits: Splits) -> list[str]:
    """Names of DC-Bench's architectures for which the images are large enough."""
    fitting = []
    for name in ARCHITECTURES:
        try:
            parse_networks([name], config.network, splits.shape)
        except InputError:
            continue
        fitting.append(name)
    return fitting


def _dc_bench_recipe(augmentation: str, subject: _Subject) -> tuple[Recipe, dict[str, Any]]:
    """DC-Bench's recipe with an augmentation, in steps, and additional arguments for `train_fresh`."""
    named = RECIPES["dc_bench" if augmentation == "none" else "dc_bench_dsa"]
    recipe = named.for_set(len(subject.synthetic.images))
    if augmentation not in MAKERS:
        return recipe, {}
    splits = subject.splits
    augment = batch_augmentation(augmentation, splits.preprocess, splits.shape[1:], mirror_keeps_class=splits.mirror_keeps_class)
    return dataclasses.replace(recipe, augmentation=augmentation), {"augment": augment}


@torch.no_grad()
def _logits(network: Network, images: Tensor) -> Tensor:
    network.eval()
    return torch.cat([network(x) for x in images.split(images_at_once(images))])
