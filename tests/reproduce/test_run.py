"""Repeating tables: openings of the test split, stored results, a second run, missing data sets and lost sets."""

from __future__ import annotations

import itertools
import platform
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from made_up import workplace
from PIL import Image

from raydistill.data.splits import load_splits
from raydistill.errors import DataError, DeviceError, DivergedError, InputError, NodeError, StoreError
from raydistill.methods import METHODS, Method
from raydistill.reproduce import jobs, run
from raydistill.reproduce.jobs import Outcome, Place, ReadingJob, SetJob
from raydistill.reproduce.published import TABLES
from raydistill.reproduce.run import Asked, Results, asked_for, run_tables
from raydistill.reproduce.scales import Scale
from raydistill.reproduce.settings import SetPlan, rows_of
from raydistill.search.local import LocalExecutor
from raydistill.search.needs import NeededData, NodeNeeds
from raydistill.spaces.sections import DatasetConfig
from raydistill.storage.store import Store


class Told:
    """A watcher that keeps the stages."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.done = 0
        self.notes: list[str] = []

    def stage(self, name: str, total: int) -> None:
        self.stages.append((name, total))

    def jobs_found(self, count: int) -> None:
        self.done += count

    def job_done(self) -> None:
        self.done += 1

    def note(self, text: str) -> None:
        self.notes.append(text)


def at(folder: Path) -> Place:
    return Place(store=Store(str(folder / "store")), data_root=folder, threads=1, device="cpu")


def run_small(folder: Path, tables: str, reading: str = "as_run", told: Told | None = None) -> Results:
    return run_tables(asked_for(tables, reading, "small"), at(folder), workplace(told or Told()))


@pytest.mark.usefixtures("tiny")
def test_a_table_has_ours_random_real_and_the_time_of_a_network(tmp_path: Path) -> None:
    told = Told()
    results = run_small(tmp_path, "3", told=told)
    (estimate,) = told.notes
    sets, networks = dict(told.stages)["sets"], sum(row.own.networks for row in results.rows.values() if row.own)
    assert re.match(rf"about \S+ s: {sets} sets at \S+ s each, \d+ networks on sets at \S+ s each, ", estimate)
    assert networks > sets
    row = results.rows[3, "mnist", "DataDAM from real images"]
    assert row.own is not None
    assert row.random is not None
    assert (row.own.draws, row.own.networks, row.random.networks) == (2, 4, 4)
    assert row.own.train_seconds > 0
    assert row.distill_seconds is not None
    assert results.rows[3, "mnist", "full data"].random is None


@pytest.mark.usefixtures("tiny")
def test_methods_with_soft_labels_are_read_beside_random_images_with_the_experts_labels(tmp_path: Path) -> None:
    results = run_small(tmp_path, "6", "as_specified")
    assert results.rows[6, "mnist", "PAD from noise"].random_soft is not None
    assert results.rows[6, "mnist", "DataDAM from noise"].random_soft is None


@pytest.mark.usefixtures("tiny")
def test_the_test_split_is_opened_once_with_a_reason_and_not_again_when_all_is_read(tmp_path: Path) -> None:
    run_small(tmp_path, "1,5")
    log = at(tmp_path).store.at("test_openings")
    (name,) = log.files(".")
    assert log.read_json(name)["reason"] == "reproduce the report's tables 1, 5, as_run, scale small"
    run_small(tmp_path, "1,5")
    assert log.files(".") == [name]


class Refusing(LocalExecutor):
    """Has a node without the store, as a cluster finds it before the first job."""

    def __init__(self) -> None:
        self.needed: list[NodeNeeds] = []

    def require(self, needs: NodeNeeds) -> None:
        self.needed.append(needs)

    def run_jobs(self, jobs: Any, watcher: Any) -> None:
        raise NodeError("node a cannot read the study") if self.needed else AssertionError("nodes were not asked")


@pytest.mark.usefixtures("tiny")
def test_nodes_are_asked_for_the_results_folder_and_the_data_before_the_first_job(tmp_path: Path) -> None:
    """MHIST is missing, so no node needs it."""
    refusing, place = Refusing(), at(tmp_path)
    with pytest.raises(NodeError, match="node a cannot read the study"):
        run_tables(asked_for("3,4", "as_run", "small"), place, workplace(Told(), refusing))
    (needs,) = refusing.needed
    assert (needs.study, needs.data_root) == (place.folder, tmp_path)
    mnist = DatasetConfig(name="mnist")
    assert needs.data == (NeededData(dataset=mnist, sha256=load_splits(mnist, tmp_path).sha256),)


@pytest.mark.usefixtures("tiny")
def test_a_killed_run_continues_from_the_last_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five networks are trained before the kill; the second run trains the others, and ends as an unbroken one."""
    trained: list[int] = []
    train_fresh = jobs.train_fresh

    def counting(*arguments: Any, **options: Any) -> Any:
        if len(trained) == 5:
            raise KeyboardInterrupt
        trained.append(1)
        return train_fresh(*arguments, **options)

    monkeypatch.setattr(jobs, "train_fresh", counting)
    with pytest.raises(KeyboardInterrupt):
        run_small(tmp_path, "5")
    monkeypatch.setattr(jobs, "train_fresh", lambda *a, **o: trained.append(1) or train_fresh(*a, **o))
    broken = run_small(tmp_path, "5")
    total = len(trained)
    whole = run_small(tmp_path / "whole", "5")
    assert total == len(trained) - total
    fractions = {name: row.own.accuracy_fraction for name, row in broken.rows.items() if row.own}
    assert fractions == {name: row.own.accuracy_fraction for name, row in whole.rows.items() if row.own}


def stopped_after_one(scale: Scale, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ReadingJob:
    """The two networks of Table 1's full data, of which one is trained."""
    monkeypatch.setattr(jobs, "set_up_process", lambda *_: torch.device("cpu"))
    cell = rows_of(1, "as_run", scale)["mnist", "full data"].own
    (job,) = run._readings([cell], at(folder), asked_for("1", "as_run", "small"))
    train_fresh, trained = jobs.train_fresh, []

    def only_one(*arguments: Any) -> Any:
        if trained:
            raise KeyboardInterrupt
        return trained.append(1) or train_fresh(*arguments)

    monkeypatch.setattr(jobs, "train_fresh", only_one)
    with pytest.raises(KeyboardInterrupt):
        job()
    monkeypatch.setattr(jobs, "train_fresh", train_fresh)
    return job


def test_with_other_threads_networks_are_trained_anew_and_both_are_kept(
    tiny: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = stopped_after_one(tiny, tmp_path, monkeypatch)
    two = replace(one, place=replace(one.place, threads=2))
    two()
    found = [(len(outcome.train_seconds), outcome.device) for job in (one, two) if (outcome := job.read())]
    machine = platform.machine()
    assert found == [(1, f"cpu ({machine}, 1 thread)"), (2, f"cpu ({machine}, 2 threads)")]


def test_on_a_gpu_of_another_name_networks_are_trained_anew(tiny: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = stopped_after_one(tiny, tmp_path, monkeypatch)
    train_fresh, trained = jobs.train_fresh, []
    monkeypatch.setattr(jobs, "train_fresh", lambda *a, **o: trained.append(1) or train_fresh(*a, **o))
    monkeypatch.setattr(Place, "in_words", "another")
    job()
    second = job.read()
    assert second is not None
    assert (second.device, len(second.train_seconds), len(trained)) == ("another", 2, 2)


@pytest.mark.usefixtures("tiny")
def test_tables_share_sets_and_networks(tmp_path: Path) -> None:
    """Table 5's first row is row (b) of Table 3: of 16 networks of Table 5 eight are there already."""
    run_small(tmp_path, "3")
    before = len(at(tmp_path).folder.files("networks"))
    run_small(tmp_path, "5")
    assert len(at(tmp_path).folder.files("networks")) == before + 4  # own and random of the second row, two draws each


@pytest.mark.usefixtures("tiny")
def test_a_data_set_that_is_not_there_leaves_its_rows_out_and_says_how_to_get_it(tmp_path: Path) -> None:
    results = run_small(tmp_path, "1,4")
    assert [dataset for _, dataset, _ in results.rows] == ["mnist"]
    assert "MHIST is available on request only" in results.missing["mhist"]


@pytest.mark.usefixtures("tiny")
def test_results_of_other_data_are_refused(tmp_path: Path) -> None:
    run_small(tmp_path, "1")
    (name,) = at(tmp_path).folder.files("data")
    at(tmp_path).folder.write_json(f"data/{name}", {"sha256": "0" * 64})
    with pytest.raises(StoreError, match=r"has results of mnist with hash 0{12}, .* restore the original data, or give another"):
        run_small(tmp_path, "1")


def write_mhist(folder: Path) -> None:
    """32 noisy images of 128 x 128 pixels in MHIST's layout; every fourth is for testing, every other one is SSA."""
    (folder / "mhist/images").mkdir(parents=True)
    rows = ["Image Name,Majority Vote Label,Partition"]
    for number in range(32):
        name = f"MHIST_{number:03d}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (128, 128, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "mhist/images" / name)
        rows.append(f"{name},{'SSA' if number % 2 else 'HP'},{'test' if number % 8 in (0, 1) else 'train'}")
    (folder / "mhist/annotations.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.usefixtures("tiny")
def test_mhist_is_read_where_its_data_is(tmp_path: Path) -> None:
    write_mhist(tmp_path)
    results = run_small(tmp_path, "4")
    assert results.missing == {}
    assert {row for _, _, row in results.rows} == {p.row for p in TABLES if p.table == 4}
    assert all(row.own is not None for row in results.rows.values())


def test_a_cut_down_copy_of_a_data_set_is_refused(tmp_path: Path) -> None:
    """The small scale needs 32 images per class and step; there are 12."""
    write_mhist(tmp_path)
    with pytest.raises(
        DataError, match="mhist has a class with only 12 training images, but these tables need 32 per class: use"
    ):
        run_small(tmp_path, "4")


def test_a_set_that_diverged_is_reported_and_the_others_count(
    tiny: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distill = METHODS["datadam"].distill

    def diverging(*arguments: Any, **options: Any) -> Any:
        if options["generator"].initial_seed() == diverging.first:  # type: ignore[attr-defined]
            raise DivergedError(3, float("nan"))
        return distill(*arguments, **options)

    diverging.first = jobs.derive_seed("reproduce", "set", 0)  # type: ignore[attr-defined]
    monkeypatch.setitem(METHODS, "datadam", Method(METHODS["datadam"].config, diverging))
    row = run_small(tmp_path, "5").rows[5, "mnist", "the report's own evaluation"]
    assert row.own is not None
    assert (row.own.draws, row.errors) == (1, ("the loss is nan at step 3; lower the learning rates",))
    place, plan = at(tmp_path), rows_of(5, "as_run", tiny)["mnist", "the report's own evaluation"].own.source
    assert isinstance(plan, SetPlan)
    assert row.distill_seconds == jobs.read_made(place, plan, 1).seconds


def test_seconds_of_a_set_count_over_an_interruption(tiny: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes on by a second at each look: 1 s to the checkpoint, then a kill; 1 s from the second start to the end."""
    monkeypatch.setattr("raydistill.core.cost.time", SimpleNamespace(perf_counter=itertools.count().__next__))
    monkeypatch.setattr(jobs, "set_up_process", lambda *_: torch.device("cpu"))
    plan = rows_of(3, "as_run", tiny)["mnist", "DataDAM from real images"].own.source
    assert isinstance(plan, SetPlan)
    job = SetJob(plan=plan, draw=0, place=at(tmp_path))
    distill, seen = METHODS["random"].distill, []

    def killed_once(part: Any, network: Any, config: Any, ipc: int, **options: Any) -> Any:
        state = options["checkpoint"].load()
        seen.append(state)
        if state is None:
            options["checkpoint"].save({"step": torch.tensor(1)})
            raise KeyboardInterrupt
        return distill(part, network, METHODS["random"].config(name="random"), ipc, **options)

    monkeypatch.setitem(METHODS, "datadam", Method(METHODS["datadam"].config, killed_once))
    with pytest.raises(KeyboardInterrupt):
        job()
    job()
    assert seen == [None, {"step": torch.tensor(1)}]
    assert jobs.read_made(job.place, plan, 0).seconds == 2


@pytest.mark.usefixtures("tiny")
def test_a_gpu_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    place = Place(store=Store(str(tmp_path)), data_root=None, threads=1, device="cuda")
    with pytest.raises(DeviceError, match=r"a GPU is requested, but CUDA finds none"):
        run_tables(asked_for("1", "as_run", "small"), place, workplace(Told()))


def test_mean_and_deviations_by_hand() -> None:
    """Draws 0.8, 0.6 (mean 0.7) and 0.9, 0.9 (0.9): mean 0.8, over draws sqrt(0.02), within them sqrt((0.02 + 0) / 2)."""

    def outcome(draw: int, *fractions: float) -> Outcome:
        device, seconds = f"gpu {1 - draw}", (1.0, 3.0)
        return Outcome(cell={}, draw=draw, accuracy_fractions=fractions, train_seconds=seconds, device=device, versions={})

    read = run._read([outcome(0, 0.8, 0.6), outcome(1, 0.9, 0.9)])
    assert read is not None
    assert read.accuracy_fraction == pytest.approx(0.8)
    assert read.draws_std == pytest.approx(0.02**0.5)
    assert read.networks_std == pytest.approx(0.1)
    assert (read.draws, read.networks, read.train_seconds) == (2, 4, 2.0)
    assert read.device == "gpu 0 and gpu 1"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("8", "as_run", "small"), r"table '8'; allowed: 1 to 7, several joined by commas, or all: give one of these"),
        (("1,x", "as_run", "small"), r"table '1,x'"),
        (("", "as_run", "small"), r"table ''"),
        (("1", "as_told", "small"), r"reading 'as_told'; allowed: as_run, as_specified"),
        (("1", "as_run", "huge"), r"scale 'huge'; allowed: small, full"),
        (("0", "x", "y"), r"unknown table '0'.*; unknown reading 'x'.*; unknown scale 'y'"),
    ],
)
def test_invalid_requests_are_named(given: tuple[str, str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        asked_for(*given)


def test_all_means_seven_tables() -> None:
    assert asked_for("all", "as_run", "full").tables == (1, 2, 3, 4, 5, 6, 7)


def test_a_reading_is_named_by_everything_that_shapes_it(tiny: Scale, tmp_path: Path) -> None:
    place = at(tmp_path)
    cells = [row.own for reading in ("as_run", "as_specified") for row in rows_of(3, reading, tiny).values()]  # type: ignore[arg-type]
    files = {ReadingJob(cell=cell, draw=0, place=place, test=None).file for cell in cells}
    assert len(files) == len(cells) - 1  # the full data is the same in both readings


def test_a_job_travels_to_another_process(tiny: Scale, tmp_path: Path) -> None:
    import pickle

    cell = rows_of(1, "as_run", tiny)["mnist", "full data"].own
    job = ReadingJob(cell=cell, draw=0, place=at(tmp_path), test=None)
    assert pickle.loads(pickle.dumps(job)).file == job.file


def test_asked_keeps_each_table_once() -> None:
    assert asked_for("3,1,3", "as_run", "small") == Asked(tables=(3, 1), reading="as_run", scale=run.SCALES["small"])
