"""The jobs behind the tables: experts, sets, and networks trained on them.

All files are in `<store>/reproduce/<code>/` and named by the hash of their settings. So tables share common results, a killed run
continues (a set from its checkpoint, an evaluation from its last network), and another version of the code starts from the
beginning. Sets and networks are named by the device and the threads too, because their seconds go into the tables; experts are
not.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from raydistill.core.contract import Checkpoint, Report, train_part
from raydistill.core.cost import Stopwatch
from raydistill.core.evaluate import network_seeds, train_fresh, with_learned_rate
from raydistill.core.expert_fields import ExpertFields
from raydistill.core.process import set_up_process
from raydistill.core.synthetic import Manifest, SyntheticSet, decode, encode
from raydistill.core.train import is_correct
from raydistill.data.splits import LabelledImages, Splits
from raydistill.errors import DivergedError
from raydistill.experts.build import train_and_keep
from raydistill.experts.files import StoredExperts
from raydistill.experts.need import ExpertNeed, need_for
from raydistill.methods import METHODS
from raydistill.reproduce.official import load_official
from raydistill.reproduce.settings import Cell, SetPlan
from raydistill.reproduce.timed import DISTIL, TimedCheckpoint
from raydistill.spaces.sections import Config, derive_seed
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import code_sha256, versions
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_needed, read_stored, write_stored
from raydistill.trial.distillation import StoredCheckpoint


class MadeSet(Config):
    """Information about a distilled set. Written after the set itself: if it exists, the set is complete."""

    seconds: float
    """Seconds of distillation; after an interruption those up to the checkpoint that was continued, and those since."""
    device: str
    error: str | None = None
    """Why there is no set, if there is none."""


class Outcome(Config):
    """The networks of one cell and draw that are trained so far."""

    cell: dict[str, Any]
    """The cell's settings."""
    draw: int
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """Accuracy on the test images, one per network."""
    train_seconds: tuple[float, ...] = Field(strict=False)
    """Seconds of training, one per network."""
    device: str
    versions: dict[str, str]
    error: str | None = None
    """Why the draw has no set, if it has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The store, data root, threads and device of a run."""

    store: Store
    data_root: DataRoot
    threads: int
    device: Literal["cpu", "cuda"]

    @property
    def folder(self) -> Store:
        """Folder of all results of this version of the code."""
        return self.store.at("reproduce", code_sha256()[:12])

    def set_up(self) -> torch.device:
        """Set up this process, and return the device to compute on.

        Raises:
            DeviceError: the device is not available.
        """
        return set_up_process(self.threads, self.device)

    @property
    def key(self) -> str:
        """Part of the names of what is timed: `cpu-` and the threads, or `cuda`; found without a GPU, as `in_words` is not."""
        return "cuda" if self.device == "cuda" else f"cpu-{self.threads}"

    @property
    def in_words(self) -> str:
        """Description of the device on which times are measured."""
        if self.device == "cuda":
            return torch.cuda.get_device_name()
        return f"cpu ({platform.machine()}, {self.threads} thread{'' if self.threads == 1 else 's'})"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpertJob:
    """Trains one expert that a plan needs."""

    networks: ClassVar[int] = 1
    plan: SetPlan
    index: int
    place: Place

    @property
    def name(self) -> str:
        """Name of the job in messages and on the dashboard."""
        return f"expert {self.index}"

    def __call__(self) -> None:
        """Train the expert; does nothing if it exists."""
        splits, device = load_official(self.plan.images, self.place.data_root), self.place.set_up()
        need = expert_need(self.plan, splits)
        assert need is not None
        train_and_keep(train_part(splits, device), self.index, self.place.folder, need, device)


@dataclass(frozen=True, kw_only=True, slots=True)
class SetJob:
    """Distils one draw of a set."""

    networks: ClassVar[int] = 1
    plan: SetPlan
    draw: int
    place: Place

    @property
    def name(self) -> str:
        """Name of the job in messages and on the dashboard."""
        return f"{method_name(self.plan)}, IPC {self.plan.ipc}, draw {self.draw}"

    @property
    def is_done(self) -> bool:
        """Whether the set exists, or is known to diverge."""
        return self.place.folder.exists(f"{set_file(self.plan, self.draw, self.place)}.json")

    def __call__(self) -> None:
        """Distil the set; does nothing if that is done. A distillation that diverges counts as done."""
        if self.is_done:
            return
        splits, device = load_official(self.plan.images, self.place.data_root), self.place.set_up()
        file, watch, error = set_file(self.plan, self.draw, self.place), Stopwatch(), None
        try:
            with watch.measure(DISTIL):
                synthetic = self.distil(splits, device, TimedCheckpoint(StoredCheckpoint(self.place.folder.at(file)), watch))
            manifest = Manifest(
                preprocess=splits.preprocess,
                class_names=splits.class_names,
                config={"reproduce": self.plan.model_dump(mode="json"), "draw": self.draw},
                code_sha256=code_sha256(),
            )
            self.place.folder.write(f"{file}.safetensors", encode(synthetic, manifest))
        except DivergedError as diverged:
            error = str(diverged)
        made = MadeSet(seconds=watch.seconds[DISTIL], device=self.place.in_words, error=error)
        write_stored(self.place.folder, f"{file}.json", made)
        self.place.folder.delete_folder(file)

    def distil(
        self, splits: Splits, device: torch.device, checkpoint: Checkpoint, report: Report = lambda *_, **__: None
    ) -> SyntheticSet:
        """The set, made on; `report` is told each step."""
        need = expert_need(self.plan, splits)
        return METHODS[method_name(self.plan)].distill(
            train_part(splits, device),
            self.plan.network,
            self.plan.method,
            self.plan.ipc,
            # In the same draw all methods start from the same images.
            generator=torch.Generator().manual_seed(derive_seed("reproduce", "set", self.draw)),
            device=device,
            report=report,
            checkpoint=checkpoint,
            **({} if need is None else {"experts": StoredExperts(need, self.place.folder)}),
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReadingJob:
    """Trains the networks of one cell and draw, and evaluates each on the test images."""

    networks: ClassVar[int] = 1
    cell: Cell
    draw: int
    place: Place
    test: LabelledImages | None
    """The test images; None if all networks are evaluated."""

    @property
    def name(self) -> str:
        """Name of the job in messages and on the dashboard."""
        source = "full data" if not isinstance(self.cell.source, SetPlan) else method_name(self.cell.source)
        return f"networks on {source}, draw {self.draw}"

    @property
    def shared(self) -> LabelledImages | None:
        """The test images, which all jobs of a data set share."""
        return self.test

    def sharing(self, part: LabelledImages | None) -> ReadingJob:
        """The job with these test images."""
        return replace(self, test=part)

    @property
    def file(self) -> str:
        """Path of the outcome."""
        return f"networks/{key(self.cell)}-{self.place.key}-{self.draw}.json"

    @property
    def is_done(self) -> bool:
        """Whether all networks are evaluated, or the draw has no set."""
        so_far = self.read()
        return so_far is not None and (so_far.error is not None or len(so_far.accuracy_fractions) >= self.cell.networks)

    def read(self) -> Outcome | None:
        """The outcome so far; None if there is none.

        Raises:
            StoreError: the file is damaged.
        """
        return read_stored(self.place.folder, self.file, Outcome, "delete it, and the next run makes it again")

    def __call__(self) -> None:
        """Train and evaluate the missing networks."""
        if self.is_done:
            return
        splits, device = load_official(self.cell.images, self.place.data_root), self.place.set_up()
        outcome = self._begun()
        made = self._made()
        if made is not None and made.error is not None:
            self._write(outcome.model_copy(update={"error": made.error}))
            return
        learned = self._learned_from(splits)
        recipe = with_learned_rate(self.cell.recipe.for_set(len(learned.images)), learned)
        assert self.test is not None
        images, labels = self.test.images.to(device), self.test.labels.to(device)
        seeds = network_seeds(f"reproduce {self.draw}", splits.sha256, self.cell.networks)
        for seed in seeds[len(outcome.accuracy_fractions) :]:
            watch = Stopwatch()
            with watch.measure("train"):
                network = train_fresh(learned.images, learned.labels, splits, self.cell.network, recipe, seed, device)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
            accuracy = float(is_correct(network, images, labels).float().mean())
            outcome = outcome.model_copy(
                update={
                    "accuracy_fractions": (*outcome.accuracy_fractions, accuracy),
                    "train_seconds": (*outcome.train_seconds, watch.seconds["train"]),
                }
            )
            self._write(outcome)

    def _learned_from(self, splits: Splits) -> SyntheticSet:
        """The training data of the networks; for full data the set's IPC has no meaning, only images and labels are used."""
        if not isinstance(self.cell.source, SetPlan):
            return SyntheticSet(images=splits.train.images, labels=splits.train.labels, ipc=splits.smallest_class)
        synthetic, _ = decode(self.place.folder.read(f"{set_file(self.cell.source, self.draw, self.place)}.safetensors"))
        return synthetic

    def _made(self) -> MadeSet | None:
        if not isinstance(self.cell.source, SetPlan):
            return None
        return read_made(self.place, self.cell.source, self.draw)

    def _begun(self) -> Outcome:
        """The outcome so far; an empty one also where it was begun on another GPU, whose seconds are not comparable."""
        so_far = self.read()
        if so_far is not None and so_far.device == self.place.in_words:
            return so_far
        return Outcome(
            cell=self.cell.model_dump(mode="json"),
            draw=self.draw,
            accuracy_fractions=(),
            train_seconds=(),
            device=self.place.in_words,
            versions=versions(),
        )

    def _write(self, outcome: Outcome) -> None:
        write_stored(self.place.folder, self.file, outcome)


def expert_need(plan: SetPlan, splits: Splits) -> ExpertNeed | None:
    """The experts that a plan reads; None if its method needs none."""
    if not isinstance(plan.method, ExpertFields):
        return None
    return need_for(plan.method, plan.network, plan.images.model_dump(mode="json"), splits)


def read_made(place: Place, plan: SetPlan, draw: int) -> MadeSet:
    """Information about a distilled set.

    Raises:
        StoreError: the file is missing or damaged.
    """
    file = f"{set_file(plan, draw, place)}.json"
    return read_needed(place.folder, file, MadeSet, "delete it, and the next run makes it again")


def set_file(plan: SetPlan, draw: int, place: Place) -> str:
    """Path of a set in the folder of this version of the code, without extension."""
    return f"sets/{key(plan)}-{place.key}-{draw}"


def method_name(plan: SetPlan) -> str:
    """Name of a plan's method, a key of `METHODS`."""
    name: str = plan.method.name  # type: ignore[attr-defined]
    return name


def key(settings: Config) -> str:
    """First 12 hex digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(json.dumps(settings.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:12]


def distinct_plans(cells: Sequence[Cell]) -> list[tuple[SetPlan, int]]:
    """All sets of the cells, as (plan, draw), without duplicates."""
    found = {
        (key(cell.source), draw): (cell.source, draw)
        for cell in cells
        if isinstance(cell.source, SetPlan)
        for draw in range(cell.draws)
    }
    return list(found.values())
