"""Repeats the report's tables: plans the jobs, opens the test split once for each data set, runs them, and reads the outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from raydistill.data.datasets import load_raw
from raydistill.data.preprocess import Standardise
from raydistill.data.splits import LabelledImages, hash_of_splits, load_splits, open_test
from raydistill.errors import DataError, InputError, StoreError
from raydistill.experts.build import check_disk
from raydistill.experts.files import missing
from raydistill.experts.need import ExpertNeed
from raydistill.reproduce.estimate import parts_left
from raydistill.reproduce.jobs import (
    ExpertJob,
    Outcome,
    Place,
    ReadingJob,
    SetJob,
    distinct_plans,
    expert_need,
    key,
    read_made,
)
from raydistill.reproduce.official import OfficialImages, as_trained, load_official
from raydistill.reproduce.scales import SCALES, Scale
from raydistill.reproduce.settings import READINGS, Cell, Reading, Row, SetPlan, rows_of
from raydistill.search.jobs import Job
from raydistill.search.needs import NeededData, NodeNeeds
from raydistill.search.workplace import Workplace
from raydistill.spaces.sections import DatasetConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The requested tables, reading and scale."""

    tables: tuple[int, ...]
    reading: Reading
    scale: Scale


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """The outcomes of one cell over its draws; accuracies are fractions."""

    accuracy_fraction: float
    """Mean over draws of the mean over networks."""
    draws_std: float | None
    """Standard deviation over draws; None for a single draw."""
    networks_std: float | None
    """Standard deviation over networks within a draw, pooled; None for a single network."""
    draws: int
    networks: int
    """Total number of networks."""
    train_seconds: float
    """Mean seconds per network."""
    device: str
    """On which the networks were trained; of a cluster with several GPUs all, joined by `and`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The own results of one row."""

    own: Read | None
    """None if every draw diverged."""
    random: Read | None
    random_soft: Read | None
    distill_seconds: float | None
    """Mean seconds per set that did not diverge."""
    errors: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """The own results of all requested rows."""

    asked: Asked
    rows: dict[tuple[int, str, str], Result]
    """Results by table, data set and row."""
    missing: dict[str, str]
    """Message for each missing data set, which says how to get it."""

    def __repr__(self) -> str:
        """What was asked for, in a line; `rows` has everything."""
        missing = f", without data: {', '.join(self.missing)}" if self.missing else ""
        tables = ", ".join(map(str, self.asked.tables))
        return f"Results(tables {tables}, {self.asked.reading}, scale {self.asked.scale.name}; {len(self.rows)} rows{missing})"


def asked_for(tables: str, reading: str, scale: str) -> Asked:
    """Parse the requested tables, reading and scale.

    Args:
        tables: numbers joined by commas, or all.
        reading: one of `READINGS`.
        scale: a key of `SCALES`.

    Raises:
        InputError: one of them is unknown; the message lists all mistakes.
    """
    words = [word.strip() for word in tables.split(",")]
    numbers = list(range(1, 8)) if tables == "all" else [int(word) for word in words if word.isdecimal()]
    mistakes = []
    if not numbers or (tables != "all" and len(numbers) < len(words)) or not set(numbers) <= set(range(1, 8)):
        mistakes.append(f"unknown table {tables!r}; allowed: 1 to 7, several joined by commas, or all")
    if reading not in READINGS:
        mistakes.append(f"unknown reading {reading!r}; allowed: {', '.join(READINGS)}")
    if scale not in SCALES:
        mistakes.append(f"unknown scale {scale!r}; allowed: {', '.join(SCALES)}")
    if mistakes:
        raise InputError("; ".join(mistakes) + ": give one of these")
    return Asked(tables=tuple(dict.fromkeys(numbers)), reading=cast("Reading", reading), scale=SCALES[scale])


def run_tables(asked: Asked, place: Place, work: Workplace) -> Results:
    """Run the missing jobs of the tables and read the outcomes.

    The rows of a missing data set are left out, and the results say how to get it.

    Raises:
        DeviceError: the requested GPU is not available.
        DataError: a data set has fewer images than the tables need.
        StoreError: the store cannot be written, has too little space, or has results of different data.
        NodeError: a node of a cluster has another version of the code, or cannot read the store or the data.
    """
    place.store.check_writable()
    rows = {
        (table, dataset, name): row
        for table in asked.tables
        for (dataset, name), row in rows_of(table, asked.reading, asked.scale).items()
    }
    lacking = _lacking({row.own.images for row in rows.values()}, place)
    rows = {at: row for at, row in rows.items() if at[1] not in lacking}
    _check_data({row.own.images for row in rows.values()}, place)
    cells = list({key(cell): cell for row in rows.values() for cell in _cells(row)}.values())
    plans = distinct_plans(cells)
    _check_classes([plan for plan, _ in plans], place)
    work.executor.require(_needs({row.own.images.dataset for row in rows.values()}, place))
    _make_experts([plan for plan, _ in plans], place, work)
    sets = [SetJob(plan=plan, draw=draw, place=place) for plan, draw in plans]
    work.tell_estimate(parts_left(sets, cells, place))
    _run_left("sets", sets, work)
    readings = _readings(cells, place, asked)
    _run_left("networks on sets", readings, work)
    outcomes: dict[str, list[Outcome]] = {}
    for job in readings:
        found = job.read()
        assert found is not None
        outcomes.setdefault(key(job.cell), []).append(found)
    results = {at: _result(row, outcomes, place) for at, row in rows.items()}
    return Results(asked=asked, rows=results, missing=lacking)


def _lacking(images: set[OfficialImages], place: Place) -> dict[str, str]:
    """The missing data sets, with the reason."""
    lacking: dict[str, str] = {}
    for name in sorted({chosen.dataset for chosen in images}):
        try:
            load_raw(DatasetConfig(name=name), place.data_root)
        except DataError as error:
            lacking[name] = " ".join(str(error).split())  # a cell of a table is one line
    return lacking


def _check_data(images: set[OfficialImages], place: Place) -> None:
    """Record the hash of the data in the folder of the results, or compare it with the recorded one.

    Raises:
        StoreError: the results are of different data.
    """
    for chosen in sorted(images, key=key):
        name, found = f"data/{key(chosen)}.json", load_official(chosen, place.data_root).sha256
        if not place.folder.exists(name):
            place.folder.write_json(name, {"sha256": found})
        elif (noted := place.folder.read_json(name)["sha256"]) != found:
            raise StoreError(
                f"{place.folder.root} has results of {chosen.dataset} with hash {noted[:12]}, but the data now has hash "
                f"{found[:12]}: restore the original data, or give another --store"
            )


def _check_classes(plans: Sequence[SetPlan], place: Place) -> None:
    """Check that every class has enough images, before anything is trained.

    Raises:
        DataError: a class has fewer images than a set needs of it.
    """
    for plan in plans:
        needed = max(plan.ipc, getattr(plan.method, "batch_real", 0))
        found = load_official(plan.images, place.data_root).smallest_class
        if found < needed:
            raise DataError(
                f"{plan.images.dataset} has a class with only {found} training images, but these tables need {needed} per class: "
                "use the complete data set"
            )


def _needs(datasets: set[str], place: Place) -> NodeNeeds:
    """What every node needs: the folder of the results, and the data sets."""
    configs = [DatasetConfig(name=name) for name in sorted(datasets)]
    data = tuple(NeededData(dataset=config, sha256=hash_of_splits(config, place.data_root)) for config in configs)
    return NodeNeeds(study=place.folder, data=data, data_root=place.data_root, uses_splits=False)


def _cells(row: Row) -> list[Cell]:
    return [cell for cell in (row.own, row.random, row.random_soft) if cell is not None]


def _make_experts(plans: Sequence[SetPlan], place: Place, work: Workplace) -> None:
    """Train the missing experts that plans read."""
    found: dict[str, tuple[SetPlan, ExpertNeed]] = {}
    for plan in plans:
        need = expert_need(plan, load_official(plan.images, place.data_root))
        # The need with the most epochs covers the others; `random_soft` reads only the last epoch.
        if need is not None and len(need.epochs) >= len(found.get(need.settings.key, (plan, need))[1].epochs):
            found[need.settings.key] = plan, need
    check_disk([need for _, need in found.values()], place.folder)
    jobs = [
        ExpertJob(plan=plan, index=index, place=place)
        for plan, need in found.values()
        for index in missing(need, place.folder)[1]
    ]
    work.run_missing("experts", jobs)


def _readings(cells: Sequence[Cell], place: Place, asked: Asked) -> list[ReadingJob]:
    """One job per cell and draw; the test split is opened only for data sets with missing outcomes."""
    opened: dict[OfficialImages, LabelledImages] = {}
    tests: dict[str, tuple[LabelledImages, Standardise]] = {}
    jobs = []
    for cell in cells:
        planned = [ReadingJob(cell=cell, draw=draw, place=place, test=None) for draw in range(cell.draws)]
        if all(job.is_done for job in planned):
            jobs += planned
            continue
        images = cell.images
        if images not in opened:
            if images.dataset not in tests:
                tests[images.dataset] = _open(images.dataset, place, asked)
            opened[images] = as_trained(*tests[images.dataset], images, place.data_root)
        jobs += [ReadingJob(cell=cell, draw=job.draw, place=place, test=opened[images]) for job in planned]
    return jobs


def _open(dataset: str, place: Place, asked: Asked) -> tuple[LabelledImages, Standardise]:
    """Open the test split; returns it with its standardisation."""
    config = DatasetConfig(name=dataset)
    tables = ", ".join(map(str, asked.tables))
    reason = f"reproduce the report's tables {tables}, {asked.reading}, scale {asked.scale.name}"
    test = open_test(config, reason=reason, log=place.store, data_root=place.data_root)
    preprocess = load_splits(config, place.data_root).preprocess
    assert isinstance(preprocess, Standardise)
    return test, preprocess


def _run_left(stage: str, jobs: Sequence[SetJob] | Sequence[ReadingJob], work: Workplace) -> None:
    left: list[Job] = [job for job in jobs if not job.is_done]
    if jobs:
        work.run_stage(stage, len(jobs), left)


def _result(row: Row, outcomes: dict[str, list[Outcome]], place: Place) -> Result:
    own = outcomes[key(row.own)]
    source = row.own.source
    ended = [o for o in own if o.error is None]
    made = [read_made(place, source, o.draw).seconds for o in ended] if isinstance(source, SetPlan) else []
    return Result(
        own=_read(own),
        random=_read(outcomes[key(row.random)]) if row.random else None,
        random_soft=_read(outcomes[key(row.random_soft)]) if row.random_soft else None,
        distill_seconds=float(np.mean(made)) if made else None,
        errors=tuple(o.error for o in own if o.error),
    )


def _read(outcomes: Sequence[Outcome]) -> Read | None:
    ended = [o for o in outcomes if o.accuracy_fractions]
    if not ended:
        return None
    accuracies: Any = np.array([o.accuracy_fractions for o in ended])
    draws, networks = accuracies.shape
    return Read(
        accuracy_fraction=float(accuracies.mean()),
        draws_std=float(accuracies.mean(axis=1).std(ddof=1)) if draws > 1 else None,
        networks_std=float(np.sqrt(accuracies.var(axis=1, ddof=1).mean())) if networks > 1 else None,
        draws=draws,
        networks=draws * networks,
        train_seconds=float(np.mean([o.train_seconds for o in ended])),
        device=" and ".join(sorted({o.device for o in ended})),
    )
