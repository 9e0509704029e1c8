"""Whole searches in this process, with networks of width 4 trained for 5 steps."""

from __future__ import annotations

import json
import re
import shutil
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from made_up import SPACE, Told, space, workplace
from resealed import content

from raydistill.core.recipes import RECIPES
from raydistill.data.splits import load_splits
from raydistill.errors import BudgetError, StoreError, StudyInUseError
from raydistill.search import driver
from raydistill.search.distributions import any_trial
from raydistill.search.driver import run_search
from raydistill.search.jobs import baseline_jobs
from raydistill.search.local import LocalExecutor, run_to_a_record
from raydistill.search.solver import Solver
from raydistill.spaces.sections import DatasetConfig
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import read_baseline
from raydistill.storage.lock import study_lock
from raydistill.storage.record import Reading, TrialRecord, write_record
from raydistill.storage.result import SearchResult
from raydistill.storage.store import Store
from raydistill.trial import baseline
from raydistill.trial import run as trial
from raydistill.trial.endings import lost_record

SMALL = SPACE + "\nevaluation: {recipe: default, networks: 2, baseline_networks: 2, confirm_networks: 2}\n"
QUICK = ("method.random_inits=3", "method.batch_real=8", "ipc.high=6", "goal.margin_fraction=0.9", "budget.trials=2")


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Have networks trained for five steps: far too short to be admissible, so that is not asked."""
    patch.setitem(RECIPES, "default", replace(RECIPES["plain"], name="default", steps=5))
    patch.setattr(baseline, "is_admissible", lambda *_: True)


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    shorten(monkeypatch)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def quick(*overrides: str) -> SearchSpace:
    return space(*QUICK, *overrides, text=SMALL)


def search(folder: Path, searched: SearchSpace | None = None, watcher: Any = None, **given: Any) -> SearchResult:
    work = workplace(watcher, given.pop("executor", None))
    return run_search(searched or quick(), Store(str(folder)), work, **given)


@dataclass(frozen=True, kw_only=True, slots=True)
class Searched:
    """What the quick search left and told."""

    folder: Path
    result: SearchResult
    told: Told


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """A finished search, not to be written; `finished` copies it."""
    folder, told = tmp_path_factory.mktemp("searched"), Told()
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        result = search(folder, watcher=told)
    return Searched(folder=folder, result=result, told=told)


@pytest.fixture
def finished(searched: Searched, tmp_path: Path) -> Path:
    """The store of a finished search."""
    shutil.copytree(searched.folder, tmp_path / "finished")
    return tmp_path / "finished"


def records(folder: Path) -> dict[int, dict[str, Any]]:
    """Every record by ask number, without what may differ between two runs of one trial."""
    found: dict[int, dict[str, Any]] = {}
    for path in (folder / "made-up" / "trials").glob("*/record.json"):
        record = json.loads(path.read_text())
        assert record["config"]["ask_number"] not in found
        found[record["config"]["ask_number"]] = {
            k: v for k, v in record.items() if k not in ("cost", "started_at", "host", "file_sha256")
        }
    return found


def states(folder: Path) -> list[str]:
    storage = f"sqlite:///{folder}/made-up/study.db"
    return [t.state.name for t in optuna.load_study(study_name="made-up", storage=storage).get_trials()]


def test_a_search_leaves_what_scripts_rely_on(searched: Searched) -> None:
    result, folder = searched.result, searched.folder / "made-up"
    assert {path.name for path in folder.iterdir()} == {
        ".lock",
        "artifacts",
        "baseline",
        "looks.json",
        "manifest.json",
        "result.json",
        "search_space.yaml",
        "study.db",
        "trials",
        "winner",
        "winner.json",
    }
    for trial_folder in (folder / "trials").iterdir():
        assert {"config.json", "record.json", "images.safetensors", "images.png"} <= {
            path.name for path in trial_folder.iterdir()
        }
    assert content(Store(str(folder)), "result.json") == json.loads(result.model_dump_json())
    assert result.verdict == "lossless"
    assert result.trials["finished"] == 2
    assert states(searched.folder) == ["COMPLETE", "COMPLETE"]
    best = optuna.load_study(study_name="made-up", storage=f"sqlite:///{folder}/study.db").best_trial
    assert best.user_attrs["trial_id"] == result.winner_trial_id


def test_each_stage_is_reported_to_the_watcher(searched: Searched) -> None:
    told = searched.told
    assert told.all("stage") == [("baseline", 2), ("trials", 2), ("confirmation", 2)]
    kind, estimate = told.events[0]
    assert kind == "note"
    named = r"2 networks on the full data, to compare with, at \S+ s each, 2 trials at \S+ s each, "
    assert re.fullmatch(rf"about \S+ s: {named}6 networks to confirm the candidates at \S+ s each, one at a time", estimate)
    assert len(told.all("job")) == 4
    assert told.all("started") == [0, 1]
    assert told.all("ended") == [(0, "finished"), (1, "finished")]
    assert [number for number, _ in told.all("reading")] == [0, 0, 0, 1, 1, 1]


def test_networks_that_train_together_are_one_job_but_count_each(tmp_path: Path) -> None:
    """Three networks of the baseline, two at once, and two to confirm."""
    searched = quick("evaluation.baseline_networks=3", "evaluation.networks_at_once=2")
    jobs = baseline_jobs(
        any_trial(searched.arms[0], load_splits(DatasetConfig(name="digits")).sha256), Store(str(tmp_path)), None
    )
    assert [job.name for job in jobs] == ["baseline networks 0, 1", "baseline network 2"]
    told = Told()
    search(tmp_path, searched, told)
    assert told.all("stage") == [("baseline", 3), ("trials", 2), ("confirmation", 2)]
    assert len(told.all("job")) == 5


def test_a_finished_search_repeats_nothing(searched: Searched, finished: Path) -> None:
    told = Told()
    again = search(finished, watcher=told, executor=NoExecutor())
    assert again == searched.result
    assert told.all("ended") == [(0, "finished"), (1, "finished")]
    assert told.all("started") == []


class NoExecutor:
    """Must not be used."""

    def run_jobs(self, jobs: Sequence[Any], watcher: Any) -> None:
        raise AssertionError

    run_trials = run_jobs

    def require(self, needs: Any) -> None: ...

    def close(self) -> None: ...


def test_a_larger_budget_continues_a_finished_search(finished: Path) -> None:
    before = records(finished)
    told = Told()
    result = search(finished, quick("budget.trials=3"), told)
    (estimate,) = [note for note in told.all("note") if "one at a time" in note]
    assert re.fullmatch(r"about \S+ s: 1 trial to go at \S+ s, one at a time", estimate)
    assert told.all("started") == [2]
    assert {number: record for number, record in records(finished).items() if number < 2} == before
    assert result.trials["finished"] == 3


def test_a_result_counts_the_earlier_ones_that_looked_at_its_confirm_images(searched: Searched, finished: Path) -> None:
    """The stated confidence holds for the first. The same search again looks at nothing new."""
    first, again = searched.result, search(finished)
    assert (first.has_looked, first.earlier_looks, again.earlier_looks) == (True, 0, 0)
    assert "earlier_looks" not in first.model_dump()
    longer = search(finished, quick("budget.trials=3"))
    assert (longer.earlier_looks, search(finished, quick("budget.trials=3")).earlier_looks) == (1, 1)
    assert search(finished, quick("budget.trials=4")).earlier_looks == 2
    result = finished / "made-up" / "result.json"
    result.unlink()
    assert search(finished, quick("budget.trials=4")).earlier_looks == 2
    result.write_bytes(result.read_bytes()[:100])
    assert search(finished, quick("budget.trials=5")).earlier_looks == 3


def interrupted_before_its_result(folder: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
    """A search that is ended when it has read the confirm images."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(driver, "conclude", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search(folder, quick(*overrides))


def test_a_study_of_a_version_that_noted_no_looks_counts_those_of_its_results(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result at two trials, a search of three that was ended in its confirmation, and one of four: two looks before it."""
    (finished / "made-up" / "looks.json").unlink()
    interrupted_before_its_result(finished, monkeypatch, "budget.trials=3")
    assert search(finished, quick("budget.trials=4")).earlier_looks == 2


def test_a_look_of_a_search_that_was_ended_before_its_result_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has read that the candidate is not confirmed, and asks for more trials."""
    interrupted_before_its_result(tmp_path, monkeypatch)
    assert not (tmp_path / "made-up" / "result.json").exists()
    assert search(tmp_path, quick("budget.trials=3")).earlier_looks == 1
    looks = tmp_path / "made-up" / "looks.json"
    looks.write_text(looks.read_text().replace("2,", "7,"))
    with pytest.raises(StoreError, match=r"looks.json is damaged: .*restore it, or delete it"):
        search(tmp_path, quick("budget.trials=4"))


class Interrupts(Told):
    """Presses Ctrl-C at a reading of a trial."""

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        super().reading(config, reading)
        if (config.ask_number, reading.fraction) == (1, 0.0):
            raise KeyboardInterrupt


def test_an_interrupted_search_ends_with_the_same_records(searched: Searched, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "parts", watcher=Interrupts())
    assert states(tmp_path / "parts") == ["COMPLETE", "WAITING"]
    told = Told()
    search(tmp_path / "parts", watcher=told)
    assert told.all("started") == [1]
    assert records(tmp_path / "parts") == records(searched.folder)


def test_the_executor_is_closed_however_a_search_ends(tmp_path: Path) -> None:
    class Closed(LocalExecutor):
        closed = False

        def close(self) -> None:
            self.closed = True

    executor = Closed()
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, executor=executor, watcher=Interrupts())
    assert executor.closed


def test_a_crashed_trial_does_not_end_the_search_and_is_tried_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distil = trial.distil

    def failing(config: TrialConfig[Any], *rest: Any, **named: Any) -> Any:
        if config.ask_number == 0:
            raise RuntimeError("no reason")
        return distil(config, *rest, **named)

    monkeypatch.setattr(trial, "distil", failing)
    result = search(tmp_path)
    assert (result.trials["crashed"], result.trials["finished"]) == (1, 1)
    assert states(tmp_path) == ["FAIL", "COMPLETE"]
    monkeypatch.setattr(trial, "distil", distil)
    assert search(tmp_path).trials["finished"] == 2


def test_an_error_outside_of_a_trial_is_not_taken_for_an_earlier_crash_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record lies there from an earlier run; what fails now is reading the baseline, by a fault of ours."""
    config = (
        quick().arms[0].trial(ask_number=0, values={"method.lr_images": 1.0, "method.init": "real", "ipc": 2}, data_sha256="d")
    )
    study = Store(str(tmp_path))
    write_record(study, lost_record(config, "an earlier crash"))

    def fail(study: Store) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(trial, "read_baseline", fail)
    with pytest.raises(ZeroDivisionError):
        run_to_a_record(config, study, print, None)


def test_a_study_that_cannot_be_written_ends_the_trial_with_that_error(tmp_path: Path) -> None:
    config = (
        quick().arms[0].trial(ask_number=0, values={"method.lr_images": 1.0, "method.init": "real", "ipc": 2}, data_sha256="d")
    )
    with pytest.raises(StoreError, match="has no baseline"):
        run_to_a_record(config, Store(str(tmp_path)), print, None)


def test_candidates_are_confirmed_from_the_largest_down_until_one_falls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three candidates; the first two are confirmed, the third is not."""
    finish = driver.finish_confirmation
    asked: list[int] = []

    def third_falls(config: TrialConfig[Any], study: Store, confidence: float) -> Any:
        asked.append(config.ipc)
        return finish(config, study, confidence).model_copy(update={"is_lossless": len(asked) < 3})

    monkeypatch.setattr(driver, "finish_confirmation", third_falls)

    def largest_first(self: Solver, *, are_controls: bool = False) -> list[TrialRecord]:
        return [] if are_controls else sorted(self.records, key=lambda r: -r.ipc)

    monkeypatch.setattr(Solver, "candidates", largest_first)
    told = Told()
    result = search(tmp_path, quick("budget.trials=4"), told)
    assert asked == sorted(asked, reverse=True)
    assert (len(asked), result.confirmed_candidates) == (3, 3)
    assert (result.verdict, result.smallest_lossless_ipc) == ("lossless", asked[1])
    assert "not confirmed, which ends the confirmation" in told.all("note")[-1]


def test_a_baseline_that_is_not_admissible_is_said_before_the_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, changes = driver.finish_baseline, {"is_admissible": False, "chance_fraction": None}
    monkeypatch.setattr(driver, "finish_baseline", lambda *given: finish(*given).model_copy(update=changes))
    told = Told()
    result = search(tmp_path, watcher=told)
    assert result.verdict == "inconclusive"
    assert ("confirmation", 2) not in told.all("stage")
    kinds = [kind for kind, _ in told.events]
    assert kinds.index("note") < kinds.index("started")
    assert any(note.startswith("The verdict will be inconclusive: doubling the recipe's steps") for note in told.all("note"))


def test_hours_that_hold_no_trial_are_refused_when_the_baseline_tells_what_a_network_takes(tmp_path: Path) -> None:
    with pytest.raises(
        BudgetError, match=r"budget.hours is 1e-09, but training the networks that evaluate one trial takes about"
    ):
        search(tmp_path, quick("budget.hours=0.000000001"))
    assert records(tmp_path) == {}


def test_the_least_hours_of_a_study_of_controls_hold_no_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real images are made without steps, so that a trial trains its two networks alone, of five steps each."""
    needed: list[float] = []

    def refuse(budget: object, gpus: float, seconds: float, what: str) -> None:
        needed.append(seconds)
        raise BudgetError("enough for this test")

    monkeypatch.setattr(driver, "check_budget", refuse)
    with pytest.raises(BudgetError):
        search(tmp_path, space("method={name: random}", "ipc.high=6", "goal.margin_fraction=0.9", text=SMALL))
    built = read_baseline(Store(str(tmp_path / "made-up")))
    assert built is not None
    assert needed == [pytest.approx(2 * 5 * statistics.median(one.seconds / one.steps for one in built.readings))]


def test_a_second_search_of_a_study_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "study_lock", lambda study, tell: study_lock(study, wait_seconds=0, tell=tell))
    with study_lock(Store(str(tmp_path / "made-up"))), pytest.raises(StudyInUseError, match="is in use by process"):
        search(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "made-up").write_text("a file where the study's folder belongs")
    with pytest.raises(StoreError, match=r"cannot write .*give a folder or URI that can be written"):
        search(tmp_path)


def test_a_relative_store_is_the_same_study(searched: Searched, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    assert search(Path("."), executor=NoExecutor()) == searched.result


def test_a_study_elsewhere_gets_a_copy_of_the_view(tmp_path: Path) -> None:
    """fsspec's memory file system stands for a bucket."""
    result = run_search(quick(), Store(f"memory://{tmp_path.name}"), workplace())
    study = Store(f"memory://{tmp_path.name}/made-up")
    assert study.read("study.db").startswith(b"SQLite format 3")
    assert study.read_json("result.json")["verdict"] == result.verdict
    assert not study.exists(".lock")
