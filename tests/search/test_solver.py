"""The solver: proposals, records, the order of candidates, and the Optuna study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from made_up import AIM, record, space
from optuna.trial import TrialState

from raydistill.errors import StoreError
from raydistill.search import sampler
from raydistill.search.law import LawModel
from raydistill.search.outcome import read_outcome
from raydistill.search.sampler import EndedTrials
from raydistill.search.solver import Solver
from raydistill.search.view import _open
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.record import TrialRecord, write_record
from raydistill.storage.store import Store


def solver_in(folder: Path, searched: SearchSpace | None = None) -> Solver:
    study = Store(str(folder))
    return Solver(searched or space(), study, aim=AIM, data_sha256="d" * 64, database=folder / "disk" / "study.db")


@pytest.fixture
def solver(tmp_path: Path) -> Iterator[Solver]:
    with closing(solver_in(tmp_path)) as made:
        yield made


def asked(solver: Solver) -> TrialConfig[Any]:
    config = solver.ask()
    assert config is not None
    return config


def tell(solver: Solver, told: TrialRecord) -> TrialRecord:
    """Write the record, as a trial does, and tell it."""
    write_record(solver._folder, told)
    solver.tell(told)
    return told


def view(folder: Path) -> list[optuna.trial.FrozenTrial]:
    """What Optuna's own tools read in the study's file."""
    return optuna.load_study(study_name="made-up", storage=f"sqlite:///{folder}/disk/study.db").get_trials()


def test_the_first_ask_is_the_middle_of_everything(solver: Solver) -> None:
    """sqrt(1 * 60) = 7.7 images per class."""
    first = asked(solver)
    assert (first.ask_number, first.ipc) == (0, 8)
    assert (first.method.lr_images, first.method.random_inits, first.method.init) == (pytest.approx(1.0), 15, "real")


def test_a_large_gap_leads_to_a_larger_ipc_and_a_small_one_to_a_smaller(tmp_path: Path) -> None:
    with closing(solver_in(tmp_path / "a")) as lossy, closing(solver_in(tmp_path / "b")) as good:
        tell(lossy, record(asked(lossy), gap=0.035))
        tell(good, record(asked(good), gap=0.001))
        assert asked(lossy).ipc > 8 > asked(good).ipc


def test_a_choice_reads_no_file_and_fits_as_many_laws_however_many_trials_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: Counter[str] = Counter()
    true_fit = LawModel._fit

    def counting_fit(model: LawModel, *given: Any) -> Any:
        work["fits"] += 1
        return true_fit(model, *given)

    true_read = Store.read

    def reading(store: Store, name: str) -> bytes:
        assert name.endswith("images.png"), f"{name} is read again"  # the picture of the trial that ended, for Optuna's tools
        return true_read(store, name)

    fits = []
    with closing(solver_in(tmp_path, space("budget.trials=12"))) as solver:
        monkeypatch.setattr(Store, "read", reading)
        monkeypatch.setattr(LawModel, "_fit", counting_fit)
        for _ in range(12):
            work.clear()
            tell(solver, record(asked(solver), gap=0.02))
            fits.append(work["fits"])
    # One law for each of four exponents; none for the first trial, the middle of the space, and two models for the last, which is
    # to show an IPC lossy.
    assert fits == [0, *[4] * 10, 8]


def test_the_file_of_optuna_is_written_without_waiting_for_the_disk(tmp_path: Path) -> None:
    """SQLite's `synchronous` is 0 where it does not wait for the disk; the records make the file again."""
    storage = _open(tmp_path / "a.db")
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 0
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "memory"
    storage.engine.dispose()


def test_the_law_converts_each_ended_trial_once_and_as_a_new_search_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted: list[int] = []
    true_conversion = sampler._as_seen

    def counting(space: Any, trial: Any) -> Any:
        converted.append(trial.number)
        return true_conversion(space, trial)

    monkeypatch.setattr(sampler, "_as_seen", counting)
    with closing(solver_in(tmp_path, space("budget.trials=9"))) as solver:
        for gap in (0.05, 0.03, 0.02, 0.01, 0.06):
            tell(solver, record(asked(solver), gap=gap))
        asked(solver)
        assert converted == [0, 1, 2, 3, 4]
        (once,), (anew,) = (ended.by_arm(solver._study).values() for ended in (solver._ended, EndedTrials(solver.space)))
        assert once.gap.tolist() == anew.gap.tolist() == [0.05, 0.03, 0.02, 0.01, 0.06]
        assert (once.number.tolist(), once.place.tolist()) == (anew.number.tolist(), anew.place.tolist())


def test_ipc_does_not_leave_its_range(tmp_path: Path) -> None:
    with closing(solver_in(tmp_path, space("ipc.low=50"))) as solver:
        tell(solver, record(asked(solver), gap=-0.05))
        assert asked(solver).ipc == 50


def test_memory_that_ran_out_bounds_later_trials(solver: Solver) -> None:
    tell(solver, record(asked(solver), gap=None, state="out_of_memory", error="why"))
    second = asked(solver)
    assert second.ipc <= 7
    tell(solver, record(second, gap=0.5))
    assert asked(solver).ipc <= 7


def test_tpe_proposes_fewer_settings_near_one_that_ran_out_of_memory(tmp_path: Path) -> None:
    """Of 40 trials those with `lr_images` in the upper half run out of memory, or crash, which says nothing of the settings."""

    def upper(folder: Path, state: Any) -> int:
        with closing(solver_in(folder, space("search.sampler=tpe", "budget.trials=60"))) as solver:
            later = []
            for number in range(40):
                config = asked(solver)
                is_upper = config.method.lr_images >= 1.0
                ended = record(config, gap=None, state=state, error="why") if is_upper else record(config, gap=0.01)
                tell(solver, ended)
                later += [is_upper] if number >= 20 else []
        return sum(later)

    assert upper(tmp_path / "memory", "out_of_memory") < upper(tmp_path / "crashed", "crashed")


def test_an_ask_does_not_depend_on_the_order_in_which_trials_ended(tmp_path: Path) -> None:
    """Trials 0 and 1 end in either order before ask 2."""

    def third(folder: Path, order: tuple[int, int]) -> TrialConfig[Any]:
        with closing(solver_in(folder)) as solver:
            running = [asked(solver), asked(solver)]
            for number in order:
                tell(solver, record(running[number], gap=0.03 - 0.01 * number))
            return asked(solver)

    assert third(tmp_path / "a", (0, 1)) == third(tmp_path / "b", (1, 0))


def test_a_space_with_one_ipc_searches_the_rest(tmp_path: Path) -> None:
    with closing(solver_in(tmp_path, space("ipc=7"))) as solver:
        first = tell(solver, record(asked(solver), gap=0.01))
        second = asked(solver)
        assert (first.ipc, second.ipc) == (7, 7)
        assert second.method.lr_images != 1.0


def test_an_ask_is_on_disk_before_it_is_given(solver: Solver) -> None:
    config = asked(solver)
    text = solver._folder.read(f"trials/{config.trial_id}/config.json").decode()
    assert type(config).model_validate_json(text) == config
    assert text.startswith('{\n  "ask_number": 0,')


def test_asks_end_with_the_budget(solver: Solver) -> None:
    assert [solver.ask() is None for _ in range(5)] == [False, False, False, False, True]
    assert solver.remaining == 0


def test_failed_trials_count_against_the_budget(solver: Solver) -> None:
    for state in ("diverged", "out_of_memory", "crashed", "pruned"):
        tell(solver, record(asked(solver), gap=0.5, state=state, error="why"))
    assert solver.ask() is None


def test_the_same_history_gives_the_same_asks(tmp_path: Path) -> None:
    def asks(folder: Path) -> list[str]:
        with closing(solver_in(folder)) as solver:
            return [tell(solver, record(asked(solver), gap=0.01 * number)).trial_id for number in range(4)]

    assert asks(tmp_path / "a") == asks(tmp_path / "b")


def test_the_same_history_gives_the_same_asks_after_a_restart(tmp_path: Path) -> None:
    with closing(solver_in(tmp_path / "whole")) as solver:
        whole = [tell(solver, record(asked(solver), gap=0.01)).trial_id for _ in range(4)]
    parts = []
    for _ in range(4):
        with closing(solver_in(tmp_path / "parts")) as solver:
            parts.append(tell(solver, record(asked(solver), gap=0.01)).trial_id)
    assert parts == whole


def test_another_seed_asks_other_trials(tmp_path: Path) -> None:
    with closing(solver_in(tmp_path / "a")) as a, closing(solver_in(tmp_path / "b", space("seed=1"))) as b:
        first = [asked(solver) for solver in (a, b)]
        second = [asked(solver) for solver in (a, b)]
    assert first[0].method == first[1].method
    assert second[0].method != second[1].method
    assert first[0].trial_id != first[1].trial_id


def test_asks_that_did_not_end_are_asked_first_after_a_restart(tmp_path: Path) -> None:
    """Trial 1 crashed, trial 2 was killed; trial 0 ended."""
    with closing(solver_in(tmp_path)) as solver:
        first = [asked(solver) for _ in range(3)]
        tell(solver, record(first[0], gap=0.01))
        tell(solver, record(first[1], gap=None, state="crashed", error="why"))
    with closing(solver_in(tmp_path)) as solver:
        assert [r.ask_number for r in solver.records] == [0]
        assert [asked(solver), asked(solver)] == first[1:]
        assert asked(solver).ask_number == 3
        assert solver.ask() is None


def test_an_ask_whose_folder_was_deleted_is_asked_again(tmp_path: Path) -> None:
    with closing(solver_in(tmp_path)) as solver:
        told = [tell(solver, record(asked(solver), gap=0.01)) for _ in range(2)]
    study = Store(str(tmp_path))
    study.delete(f"trials/{told[0].trial_id}/record.json")
    study.delete(f"trials/{told[0].trial_id}/config.json")
    with closing(solver_in(tmp_path)) as solver:
        assert [asked(solver).ask_number for _ in range(3)] == [0, 2, 3]


def test_a_smaller_budget_asks_no_more_than_it_holds(tmp_path: Path) -> None:
    with closing(solver_in(tmp_path)) as solver:
        tell(solver, record(asked(solver), gap=0.01))
        asked(solver)
    with closing(solver_in(tmp_path, space("budget.trials=1"))) as solver:
        assert solver.ask() is None


def test_candidates_are_the_best_readings_within_the_margin(tmp_path: Path) -> None:
    """One IPC, so one rung: the best reading of those that are finished."""
    with closing(solver_in(tmp_path, space("ipc=7", "budget.trials=9"))) as solver:
        for gap in (0.02, 0.021, 0.01):
            tell(solver, record(asked(solver), gap=gap))
        tell(solver, record(asked(solver), gap=0.0, state="pruned"))
        assert [r.ask_number for r in solver.candidates()] == [2]


@pytest.mark.parametrize(
    ("state", "gap", "expected"),
    [
        ("finished", 0.015, (TrialState.COMPLETE, 8.0, pytest.approx(-0.005), {"gap": 0.015})),
        ("pruned", 0.08, (TrialState.PRUNED, None, pytest.approx(0.06), {"gap": 0.08})),
        ("diverged", 0.5, (TrialState.FAIL, None, None, {"cause": "diverged", "error": "why"})),
        ("out_of_memory", None, (TrialState.PRUNED, None, 1.0, {"cause": "out_of_memory", "error": "why"})),
        ("crashed", None, (TrialState.FAIL, None, None, {"cause": "crashed", "error": "why"})),
    ],
)
def test_a_record_in_optunas_words(solver: Solver, state: Any, gap: float | None, expected: tuple[Any, ...]) -> None:
    assert read_outcome(record(asked(solver), gap=gap, state=state, error="why"), 0.02) == expected


def test_a_finished_trial_without_a_finite_gap_failed(solver: Solver) -> None:
    outcome = read_outcome(record(asked(solver), gap=math.nan), 0.02)
    assert outcome.state == TrialState.FAIL
    assert outcome.notes["error"] == "finished with gap nan, which is not a finite number"


STATES = ("finished", "pruned", "diverged", "crashed")


def test_the_live_view_and_the_rebuilt_one_say_the_same(tmp_path: Path) -> None:
    def said() -> list[tuple[Any, ...]]:
        return [(t.state, t.values, t.params, t.system_attrs, t.user_attrs, t.intermediate_values) for t in view(tmp_path)]

    with closing(solver_in(tmp_path)) as solver:
        for state in STATES:
            tell(solver, record(asked(solver), gap=0.05, state=state, error="why"))
        live = said()
    assert said() == live
    assert [t.state.name for t in view(tmp_path)] == ["COMPLETE", "PRUNED", "FAIL", "FAIL"]
    assert [t.system_attrs["constraints"] for t in view(tmp_path)[:2]] == [[pytest.approx(0.03)]] * 2


def test_the_view_tells_when_a_trial_ran_and_for_how_long(tmp_path: Path) -> None:
    with closing(solver_in(tmp_path)) as solver:
        tell(solver, record(asked(solver), gap=0.05))
    (trial,) = view(tmp_path)
    assert trial.duration.total_seconds() == 3.0


def test_nothing_is_left_running(tmp_path: Path) -> None:
    with closing(solver_in(tmp_path)) as solver:
        pending = asked(solver)
        assert [t.state for t in view(tmp_path)] == [TrialState.RUNNING]
    (trial,) = view(tmp_path)
    assert trial.state == TrialState.WAITING
    assert trial.user_attrs == {"ask_number": 0}
    assert trial.system_attrs["fixed_params"]["ipc"] == pending.ipc


def test_a_view_left_by_a_killed_search_is_replaced_with_its_journal(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "study.db").write_bytes(b"torn")
    (disk / "study.db-journal").write_bytes(b"a journal that would be rolled back")
    with closing(solver_in(tmp_path)):
        assert view(tmp_path) == []
    assert [path.name for path in disk.iterdir()] == ["study.db"]


def test_a_damaged_config_is_named(solver: Solver, tmp_path: Path) -> None:
    config = asked(solver)
    Store(str(tmp_path)).write(f"trials/{config.trial_id}/config.json", "{}")
    with pytest.raises(StoreError, match=f"trials/{config.trial_id}/config.json is damaged"):
        solver_in(tmp_path)
