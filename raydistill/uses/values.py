"""What the protocols find, as the sealed JSON files that tables and pages read. No torch.

Accuracies are fractions. A source is what networks learn from: `set`, a control's name, `full` (the full data), `again` (the same
with other seeds), `early` (the full data, for as many images as a network on the set sees), or `in_steps` (the set's method, from
the classes of each step alone).
"""

from __future__ import annotations

import statistics
from typing import Literal

from pydantic import Field

from raydistill.spaces.sections import Config
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored
from raydistill.uses.membership import Auc
from raydistill.uses.nearness import Nearness
from raydistill.uses.ranks import RankCorrelation

FULL, SET, EARLY, AGAIN, IN_STEPS = "full", "set", "early", "again", "in_steps"
REAL = (FULL, EARLY, AGAIN)
"""Those that are the train images."""
REMEDY = "delete it and run the same command again, which makes it from the records of its networks"


class About(Config):
    """What was judged, and how."""

    set_sha256: str
    """Hash of the set's file."""
    method: str
    dataset: str
    ipc: int
    label_kind: str
    network: str
    """The network that the set was made with, as `--network` takes it."""
    recipe: str
    """Name of the recipe."""
    split: str
    metric: str
    device: str
    code_sha256: str
    commit: str | None
    versions: dict[str, str]


class TransferCell(Config):
    """Networks of one architecture, trained on one source."""

    source: str
    network: str
    """With all its fields, as `--network` takes it."""
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """One per network; of a control that is drawn at random, each has a draw of its own."""
    seconds: float
    """Mean seconds of training one network."""


class TransferResult(Config):
    """A set made with one network, judged with others. Written to `transfer.json`."""

    record_version: Literal[1] = 1
    about: About
    cells: tuple[TransferCell, ...] = Field(strict=False)
    """Source by source, each with every network."""
    left_out: tuple[str, ...] | None = Field(default=None, strict=False)
    """Names of networks for which the images are too small; null in older results, which do not say."""


class ContinualArm(Config):
    """A memory, after each step of each order of the classes."""

    source: str
    accuracy_fractions: tuple[tuple[float, ...], ...] = Field(strict=False)
    """(orders, steps): mean over the networks of that step, on images of the classes seen until then."""
    stored_images: int
    """Images in the memory when all classes are seen."""
    seconds: float
    """Mean seconds of training one network."""


class ContinualResult(Config):
    """Class-incremental learning from a memory. Written to `continual.json`."""

    record_version: Literal[1] = 1
    about: About
    networks: int
    """Per step of an order."""
    orders: tuple[tuple[tuple[str, ...], ...], ...] = Field(strict=False)
    """(orders, steps): the names of the classes that come with each step."""
    arms: tuple[ContinualArm, ...] = Field(strict=False)


class NasArm(Config):
    """One way to rank networks."""

    source: str
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """One per network of the space, a mean over seeds."""
    spearman: RankCorrelation
    """To the order on the full data."""
    kendall: RankCorrelation
    chosen: str
    """The network that it ranks first; of tied ones the first of the sample."""
    chosen_accuracy_fraction: float
    """Accuracy of that network trained on the full data; of tied ones the mean."""
    tied: int | None = None
    """Networks that share the first place, 1 without a tie; null in older results, whose accuracy is that of one of them."""
    steps: int
    """Optimiser steps of each network."""
    stored_images: int
    """Images that the search has to keep."""
    seconds: float
    """Of training all networks."""


class NasResult(Config):
    """The choice of a network by a set. Written to `nas.json`."""

    record_version: Literal[1] = 1
    about: About
    networks: tuple[str, ...] = Field(strict=False)
    """Those of the sample, in the order in which it was drawn."""
    seeds: int
    """Networks trained of each, on each source."""
    space: int
    """Networks of the space that fit the images."""
    left_out: int
    """Networks of the space for which the images are too small."""
    arms: tuple[NasArm, ...] = Field(strict=False)
    """The full data first."""


class CostRung(Config):
    """Networks trained with one number of steps."""

    steps: int
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """One per network."""
    macs: int
    """Multiply-adds of training one network, forward and backward."""
    seconds: float
    """Mean seconds of training one network."""

    @property
    def accuracy_fraction(self) -> float:
        """Mean over the networks."""
        return statistics.mean(self.accuracy_fractions)


class CostArm(Config):
    """One source with every schedule."""

    source: str
    ipc: int | None
    """Stored images per class; null for the full data."""
    images: int
    """Images that networks learn from, as they see them."""
    rungs: tuple[CostRung, ...] = Field(strict=False)
    """From the shortest schedule on."""
    chosen: int | None
    """Index of the shortest schedule that reaches the target; null if none does."""

    @property
    def cheapest(self) -> CostRung | None:
        """The shortest schedule that reaches the target."""
        return None if self.chosen is None else self.rungs[self.chosen]


class Paid(Config):
    """When the set has saved what it cost."""

    what: Literal["making", "search"]
    """What is paid for: making the set alone, or all trials of the search that found it."""
    measure: Literal["macs", "seconds"]
    cost: float
    """In multiply-adds or seconds. Multiply-adds of making are those of as many images in training as pass through a network."""
    trainings: int | None
    """Trainings on the set instead of on the full data, each with its cheapest schedule; null if the set saves nothing."""


class CostResult(Config):
    """What training costs until it reaches the full data's accuracy less the margin. Written to `cost.json`."""

    record_version: Literal[1] = 1
    about: About
    networks: int
    """Of each schedule on each source."""
    margin_fraction: float
    target_accuracy_fraction: float
    """The full data's mean with the recipe's steps, less the margin."""
    forward_macs: int
    """Multiply-adds of one image's forward pass."""
    arms: tuple[CostArm, ...] = Field(strict=False)
    """The full data, the set, and controls."""
    paid: tuple[Paid, ...] = Field(strict=False)
    """One for each cost that is known."""
    other_device: str | None = None
    """Where the set was made, if not on the device of these networks: seconds of the two are not set against each other."""

    def saved(self, measure: Literal["macs", "seconds"]) -> float | None:
        """What one training on the set saves; None unless both sides reach the target."""
        full, of_set = self.arms[0].cheapest, self.arms[1].cheapest
        if full is None or of_set is None:
            return None
        return full.macs - of_set.macs if measure == "macs" else full.seconds - of_set.seconds


class PrivacyArm(Config):
    """What one source shows of the train images."""

    source: str
    images: int
    """As networks see them."""
    copies: int
    """Images that are train images, as they are or rounded to 8 bits."""
    pixel: Nearness
    """Distances between standardised images."""
    feature: Nearness
    """Distances between what the classifier of a network sees that was trained on the train images."""
    by_distance: Auc
    """Of the distance in pixels to the nearest image of the class as a score of membership."""
    by_loss: Auc
    """Of the loss of a network trained on the source."""


class PrivacyResult(Config):
    """What a set shows of the train images. Written to `privacy.json`."""

    record_version: Literal[1] = 1
    about: About
    train_images: int
    """Members."""
    held_out_images: int
    """Others: the select images."""
    drawn_unlike: tuple[str, ...] | None = Field(default=None, strict=False)
    """Why members and others were not drawn alike, so that an area of 0.5 is no coin; null in older results, which do not say."""
    arms: tuple[PrivacyArm, ...] = Field(strict=False)
    """The set first."""


UseResult = TransferResult | ContinualResult | NasResult | CostResult | PrivacyResult
RESULTS: dict[str, type[UseResult]] = {
    "transfer": TransferResult,
    "continual": ContinualResult,
    "nas": NasResult,
    "cost": CostResult,
    "privacy": PrivacyResult,
}


def result_file(protocol: str) -> str:
    """Name of a protocol's result in the folder of its records."""
    return f"{protocol}.json"


def read_result(folder: Store, protocol: str) -> UseResult | None:
    """The result of a protocol in the folder of its records; None if there is none.

    Raises:
        StoreError: it is damaged, or another version of raydistill wrote it.
    """
    return read_stored(folder, result_file(protocol), RESULTS[protocol], REMEDY)


def uses_folder(study: Store, set_sha256: str) -> Store:
    """Where the results of a set that lies in a study are, by the hash of the set's file."""
    return study.at("uses", set_sha256[:12])
