"""Training recipes by name: this project's recipes count steps, published recipes count epochs.

This project compares sets after equal *steps*, not epochs: IPC 10 at batch 64 has two batches per epoch, so equal epochs would
leave a small set untrained, and the difference would look like a loss of information. The published recipes count epochs over
the synthetic set. For a set of fixed size that is a fixed number of steps, epochs x ceil(images / batch), and full data trained
for the same number of steps is a fair baseline. With several IPCs it is not: each IPC would be evaluated with a different number
of steps than the baseline. So a search over IPC needs a recipe in steps; a published recipe needs a fixed IPC (`compare`,
`evaluate`, or a search without a range of IPC).

Differences from the published training loops:

- They run epoch + 1 epochs and multiply the learning rate by 0.1 after the epoch with index epoch // 2 + 1: `epochs` and
  `full_rate_epochs` below are the actual counts, 1001 and 502 for "1000 epochs".
- They create a new optimiser when the rate drops, which resets the momentum: the same here, for every recipe with a drop.
- They train on the incomplete last batch of an epoch: not here. The number of steps is the same, each on a full batch (a set not
  larger than a batch is one batch, as in the published code).
- A cosine schedule changes the rate per epoch there, per step here.
- Their normalisation (published constants) and random numbers (seeded by the clock) are determined here by the data set and the
  caller. DATM uses `align_corners=True` in its affine augmentations; here it is False, as in the other published code.
- A set with a learned learning rate is trained with that rate in every recipe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from raydistill.spaces.trial import TrialConfig

if TYPE_CHECKING:
    from raydistill.data.splits import Splits

Schedule = Literal["cosine", "drop", "triangle"]
"""cosine: from lr to 0; drop: lr, and from a given step on 0.1 x lr with the momentum reset, as is common in published code;
triangle: up to lr in the first fifth of the steps, then down to 0, both in a straight line, as in airbench (Jordan, 2024)."""
RISE_FRACTION = 0.2
"""Fraction of the steps in which the rate of a triangle rises."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a network is trained: SGD with momentum on cross-entropy."""

    name: str
    lr: float
    momentum: float
    weight_decay: float
    schedule: Schedule
    steps: int
    batch: int
    augmentation: str
    """In the form that `choices.parse_operations` reads; one operation is drawn per step, its parameters per image."""
    drop_at_fraction: float = 0.5
    """Fraction of the steps before the drop."""
    label_smoothing: float = 0.0
    """Part of each target that is spread evenly over all classes, 0 to 1."""

    def __str__(self) -> str:
        smoothing = f", label smoothing {self.label_smoothing:g}" if self.label_smoothing else ""
        return (
            f"{self.name}: SGD, lr {self.lr:g} ({_in_words(self.schedule, self.drop_at_fraction)}), momentum {self.momentum:g}, "
            f"weight decay {self.weight_decay:g}{smoothing}, {self.steps} steps of {self.batch} images, "
            f"augmentation {self.augmentation}"
        )

    def for_set(self, images: int) -> Recipe:
        """This recipe, because its steps do not depend on the number of images."""
        del images
        return self

    def doubled(self) -> Recipe:
        """The same recipe with twice the steps, to test whether the recipe trains to convergence."""
        return replace(self, name=f"{self.name}, doubled", steps=2 * self.steps)

    def images_seen(self, images: int) -> int:
        """Number of images that the network processes while it is trained on a set of `images` images."""
        return self.steps * min(self.batch, images)

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        progress = step / self.steps
        if self.schedule == "cosine":
            return self.lr * 0.5 * (1 + math.cos(math.pi * progress))
        if self.schedule == "triangle":
            return self.lr * min((progress + 1 / self.steps) / RISE_FRACTION, (1 - progress) / (1 - RISE_FRACTION))
        return self.lr if progress < self.drop_at_fraction else 0.1 * self.lr


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecipe:
    """A published recipe: SGD with learning rate 0.01 and momentum 0.9 for a number of epochs over the synthetic set."""

    name: str
    epochs: int
    """Actual number of epochs: one more than the source states, if its loop runs one more."""
    full_rate_epochs: int | None
    """Epochs before the drop; None means a cosine schedule."""
    batch: int
    augmentation: str
    weight_decay: float = 5e-4

    def __str__(self) -> str:
        return f"{self.name}: {self.epochs} epochs of batches of {self.batch}, augmentation {self.augmentation}"

    def for_set(self, images: int) -> Recipe:
        """The recipe in steps, for a set of `images` images."""
        return Recipe(
            name=self.name,
            lr=0.01,
            momentum=0.9,
            weight_decay=self.weight_decay,
            schedule="cosine" if self.full_rate_epochs is None else "drop",
            steps=self.epochs * math.ceil(images / self.batch),
            batch=self.batch,
            augmentation=self.augmentation,
            drop_at_fraction=0.5 if self.full_rate_epochs is None else self.full_rate_epochs / self.epochs,
        )


ALL_SIX = "color_crop_cutout_flip_scale_rotate"
"""Includes flip, also on digits, as in DataDAM's code and the report; Dataset Condensation's README leaves it out for digits."""

QUICK = Recipe(
    name="quick",
    lr=0.2,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="triangle",
    steps=250,
    batch=64,
    augmentation="dsa",
    label_smoothing=0.1,
)
"""For small networks and small data, where it ranks sets as `default` does (`benchmarks/recipes_alike.py`): a high rate that
falls in a straight line and smoothed labels make up for the steps."""
IN_STEPS = (
    # Learning rate and schedule: on digits, a ConvNet-2 of width 32 reaches 98.5 % in 400 steps with 0.05 and cosine, and
    # needs 800 steps with the common 0.01. 1000 steps: with augmentation, going from 400 to 800 steps still gains 1.6 points.
    Recipe(name="default", lr=0.05, momentum=0.9, weight_decay=5e-4, schedule="cosine", steps=1000, batch=64, augmentation="dsa"),
    # On MNIST the full data gains 0.3 points from 1000 to 2000 steps, so a margin of 1.5 points needs 2000.
    Recipe(name="long", lr=0.05, momentum=0.9, weight_decay=5e-4, schedule="cosine", steps=2000, batch=64, augmentation="dsa"),
    # Without augmentation, for small sets; half the steps are enough.
    Recipe(name="plain", lr=0.05, momentum=0.9, weight_decay=5e-4, schedule="cosine", steps=500, batch=64, augmentation="none"),
    # `default` with rotation, shear, scale and shift at once, for classes that survive them.
    Recipe(
        name="affine", lr=0.05, momentum=0.9, weight_decay=5e-4, schedule="cosine", steps=1000, batch=64, augmentation="affine"
    ),
    # A quarter of the steps of `default` and of `plain`.
    QUICK,
    replace(QUICK, name="quick_plain", steps=125, augmentation="none"),
)
IN_EPOCHS = (
    # DC's evaluation without augmentation. (Its MNIST results use 1000 epochs and another augmentation, which is not included.)
    EpochRecipe(name="dc", epochs=301, full_rate_epochs=152, batch=256, augmentation="none"),
    # DSA's and DM's evaluation, in the code of Dataset Condensation.
    EpochRecipe(name="dsa_dm", epochs=1001, full_rate_epochs=502, batch=256, augmentation="dsa"),
    # DataDAM's code; the table in its supplement instead halves the learning rate every 15 epochs.
    EpochRecipe(name="datadam", epochs=1801, full_rate_epochs=902, batch=64, augmentation=ALL_SIX),
    # DATM's and PAD's code, which uses the learning rate learned with the set.
    EpochRecipe(name="datm", epochs=1001, full_rate_epochs=502, batch=128, augmentation=ALL_SIX),
    # DC-Bench, without augmentation and with DSA; its other augmentations are in `batch_augment`.
    EpochRecipe(name="dc_bench", epochs=301, full_rate_epochs=152, batch=256, augmentation="none"),
    EpochRecipe(name="dc_bench_dsa", epochs=1001, full_rate_epochs=502, batch=256, augmentation="dsa"),
    # The report: as run for its Tables III, IV, VI and VII, as run for Table V (DC-Bench without augmentation), and as its text
    # specifies for all of them (the recipe of its Table I).
    EpochRecipe(name="report_as_run", epochs=51, full_rate_epochs=27, batch=256, augmentation=ALL_SIX),
    EpochRecipe(name="report_table_5", epochs=51, full_rate_epochs=27, batch=256, augmentation="none"),
    EpochRecipe(name="report_as_specified", epochs=50, full_rate_epochs=None, batch=256, augmentation="none", weight_decay=0.0),
)

RECIPES: dict[str, Recipe | EpochRecipe] = {recipe.name: recipe for recipe in (*IN_STEPS, *IN_EPOCHS)}
"""All recipes by name; `for_set` converts each to steps."""
EPOCH_RECIPES = frozenset(recipe.name for recipe in IN_EPOCHS)


def _in_words(schedule: Schedule, drop_at_fraction: float) -> str:
    return f"x 0.1 after {drop_at_fraction:.3g} of the steps" if schedule == "drop" else schedule


def recipe_of(config: TrialConfig[Any], splits: Splits) -> Recipe:
    """The recipe of a config in steps: the number of steps of a set with the config's IPC, used for the full data too."""
    return RECIPES[config.evaluation.recipe].for_set(config.ipc * len(splits.class_names))
