"""A saved set as PyTorch takes it: images, labels, what both mean, and what trains a network on them as its trial did.

Symbols: N images, C channels, H, W height and width, K classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from raydistill.core.augment import augment_each
from raydistill.core.choices import parse_operations
from raydistill.core.evaluate import with_learned_rate
from raydistill.core.networks import Network, build_network, initialise
from raydistill.core.recipes import RECIPES, Recipe
from raydistill.core.synthetic import SyntheticSet
from raydistill.core.train import draw_batches
from raydistill.data.preprocess import Preprocess, Standardise
from raydistill.data.splits import splits_of
from raydistill.sets.class_order import check_same_classes
from raydistill.sets.place import study_around
from raydistill.sets.set_file import read_whole_set_file
from raydistill.spaces.trial import TrialConfig
from raydistill.spaces.units import percent
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import read_record

LABELS_ARE: dict[Literal["hard", "soft"], Literal["class indices", "logits"]] = {"hard": "class indices", "soft": "logits"}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoadedSet:
    """A saved set, read by `raydistill.load_set`."""

    synthetic: SyntheticSet = field(repr=False)
    preprocess: Preprocess = field(repr=False)
    """What takes pixels to the values that the images have."""
    class_names: tuple[str, ...]
    config: TrialConfig[Any] = field(repr=False)
    """How it was made, and how its trial trains networks on it."""
    recorded_accuracy_fraction: float | None
    """Mean accuracy of its trial's networks on the select images, 0 to 1; None for a set outside a study."""
    data_root: DataRoot = field(repr=False)

    @property
    def images(self) -> Tensor:
        """(N, C, H, W) float32: not pixels, but what a network is trained on; standardised by `mean` and `std`, or whitened.

        With a `factor` above 1 these are the enlarged tiles of the stored images, which are `synthetic.images`.
        """
        return self.decoded.images

    @property
    def labels(self) -> Tensor:
        """(N,) int64 class indices, or (N, K) float32 logits, whose softmax is the target; `labels_are` says which."""
        return self.decoded.labels

    @property
    def labels_are(self) -> Literal["class indices", "logits"]:
        """What `labels` are. Published sets with probabilities are kept as their logarithms, which are logits."""
        return LABELS_ARE[self.synthetic.label_kind]

    @property
    def targets(self) -> Tensor:
        """What `cross_entropy` takes: (N,) int64 class indices, or (N, K) probabilities, the softmax of the logits."""
        return self.labels if self.labels_are == "class indices" else self.labels.softmax(dim=1)

    @property
    def ipc(self) -> int:
        """Stored images per class; image j of `images` belongs to class j // (ipc * factor^2)."""
        return self.synthetic.ipc

    @property
    def factor(self) -> int:
        """Side of the square of smaller images in each stored one; 1 where a stored image is one image."""
        return self.synthetic.factor

    @property
    def decoded(self) -> SyntheticSet:
        """The set as networks are trained on it."""
        return self.synthetic.decoded()

    @property
    def mean(self) -> tuple[float, ...] | None:
        """Mean per channel of the train images, in units of full pixel scale (0 to 1); None for a whitened set."""
        return self.preprocess.mean if isinstance(self.preprocess, Standardise) else None

    @property
    def std(self) -> tuple[float, ...] | None:
        """Standard deviation per channel of the train images, in the units of `mean`; None for a whitened set."""
        return self.preprocess.std if isinstance(self.preprocess, Standardise) else None

    @property
    def learned_training_lr(self) -> float | None:
        """Learning rate to train a network on this set with, learned together with the images; None: none was learned."""
        return self.synthetic.learned_lr

    @property
    def recipe(self) -> Recipe:
        """How the trial trains networks on the set: steps, batch, momentum; `lr` is the learned rate where there is one."""
        return with_learned_rate(RECIPES[self.config.evaluation.recipe].for_set(len(self.synthetic.images)), self.synthetic)

    def as_torch_dataset(self) -> TensorDataset:
        """Pairs of a (C, H, W) image and its target, as a `torch.utils.data.Dataset`; `cross_entropy` takes the targets."""
        return TensorDataset(self.images, self.targets)

    def batches(self, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The recipe's batches of the data set: passes in random order, until its steps are done.

        Images are augmented and targets smoothed where the recipe says so; smoothed targets are probabilities.

        Args:
            seed: of the order and of the augmentation.

        Yields:
            (B, C, H, W) images and their targets.

        Raises:
            DataError: the recipe augments, and the data, which says whether images may be mirrored, is missing.
        """
        recipe, dataset, generator = self.recipe, self.as_torch_dataset(), torch.Generator().manual_seed(seed)
        drawn = itertools.islice(draw_batches(len(dataset), recipe.batch, generator), recipe.steps)
        loader: DataLoader[tuple[Tensor, ...]] = DataLoader(dataset, batch_sampler=[chosen.tolist() for chosen in drawn])
        operations: tuple[str, ...] = ()
        if recipe.augmentation != "none":
            keeps_class = splits_of(self.config, self.data_root).mirror_keeps_class
            operations = parse_operations(recipe.augmentation, mirror_keeps_class=keeps_class)
        for images, targets in loader:
            yield augment_each(images, operations, generator), self._smoothed(targets)

    def _smoothed(self, targets: Tensor) -> Tensor:
        """Targets with the recipe's label smoothing, as `cross_entropy` has it: a part of each is spread over all classes."""
        part, classes = self.recipe.label_smoothing, len(self.class_names)
        if not part:
            return targets
        probabilities = functional.one_hot(targets, classes).float() if targets.ndim == 1 else targets
        return (1 - part) * probabilities + part / classes

    def new_network(self, seed: int = 0) -> Network:
        """A network of the trial's architecture, freshly initialised and in training mode."""
        channels, height, width = self.images.shape[1:]
        network = build_network(self.config.network, (channels, height, width), len(self.class_names), torch.device("cpu"))
        initialise(network, torch.Generator().manual_seed(seed))
        return network.train()

    def new_optimiser(self, network: torch.nn.Module) -> torch.optim.SGD:
        """The recipe's optimiser for a network; each step takes the learning rate that the recipe's schedule has for it."""
        recipe, steps = self.recipe, itertools.count()
        optimiser = torch.optim.SGD(network.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay)

        def on_schedule(optimiser: torch.optim.Optimizer, *_: object) -> None:
            rate = recipe.rate(min(next(steps), recipe.steps - 1))  # beyond the recipe's last step that of the last
            if recipe.schedule == "drop" and rate < optimiser.param_groups[0]["lr"]:
                optimiser.state.clear()  # published code creates a new optimiser here
            optimiser.param_groups[0]["lr"] = rate

        optimiser.register_step_pre_hook(on_schedule)
        return optimiser

    def select_images(self) -> TensorDataset:
        """The real images, with their classes, on which `recorded_accuracy_fraction` was read, in the values of `images`.

        Raises:
            InputError: the set has other classes than the data.
            DataError: the data is missing, or not the data that the set was made from.
        """
        splits = splits_of(self.config, self.data_root)
        check_same_classes(self.class_names, splits.class_names, "the set")
        return TensorDataset(splits.select.images, splits.select.labels)

    def normalise(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) pixels in 0 to 1 as a network takes them that is trained on the set.

        Raises:
            DataError: the set is whitened, and its matrices are not on this machine.
        """
        return self.preprocess.apply(pixels)

    def pixels(self) -> Tensor:
        """(N, C, H, W) the images in pixels; those of a distilled set may lie outside 0 to 1.

        Raises:
            DataError: the set is whitened, and its matrices are not on this machine.
        """
        return self.preprocess.invert(self.images)

    def __repr__(self) -> str:
        """The set in three lines."""
        values = "whitened" if self.mean is None else "standardised"
        rate = "" if self.learned_training_lr is None else f", learned training lr {self.learned_training_lr:g}"
        accuracy = self.recorded_accuracy_fraction
        read = "no record" if accuracy is None else f"recorded accuracy {percent(accuracy)} on select images"
        stored = "" if self.factor == 1 else f" stored, {self.factor} x {self.factor} images in each"
        return (
            f"LoadedSet({self.config.dataset.name}, {self.config.label or self.config.method.name}: {len(self.images)} images, "
            f"{self.ipc} per class{stored}, {tuple(self.images.shape[1:])}, {values}\n"
            f"  labels: {self.labels_are}{rate}\n"
            f"  recipe: {self.recipe.name}; {read})"
        )


def read_loaded_set(path: str, data_root: DataRoot) -> LoadedSet:
    """A saved set, with the accuracy in its trial's record if it lies in a study.

    Raises:
        InputError: there is no such set, or it is damaged.
        StoreError: the record of its trial is damaged.
    """
    synthetic, manifest, config = read_whole_set_file(path)
    study = study_around(path)
    record = None if study is None else read_record(study, config.trial_id)
    final = record.final if record is not None else None
    return LoadedSet(
        synthetic=synthetic,
        preprocess=manifest.preprocess,
        class_names=manifest.class_names,
        config=config,
        recorded_accuracy_fraction=None if final is None else final.accuracy_fraction,
        data_root=data_root,
    )
