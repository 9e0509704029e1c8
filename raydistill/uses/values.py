"""What the protocols find, as the sealed JSON files that tables and pages read. No torch.

Accuracies are fractions. A source is what networks learn from: `set`, a control's name, `full` (the full data), `again` (the same
with other seeds), `early` (the full data, for as many images as a network on the set sees), or `in_steps` (the set's method, from
the classes of each step alone).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raydistill.spaces.sections import Config
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored
from raydistill.uses.ranks import RankCorrelation

USES = ("transfer", "continual", "nas")
"""The protocols of this room."""
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
    """The network that it ranks first."""
    chosen_accuracy_fraction: float
    """Accuracy of that network trained on the full data."""
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


UseResult = TransferResult | ContinualResult | NasResult
RESULTS: dict[str, type[TransferResult] | type[ContinualResult] | type[NasResult]] = {
    "transfer": TransferResult,
    "continual": ContinualResult,
    "nas": NasResult,
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
