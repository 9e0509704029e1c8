"""Hours of a budget: what they count, and that they stop new trials but not running ones."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from made_up import AIM, record, space

from raydistill.errors import BudgetError, StoreError
from raydistill.search.allowance import Allowance, check_budget
from raydistill.search.solver import Solver
from raydistill.spaces.sections import BudgetConfig
from raydistill.storage.record import Cost, TrialRecord, write_record
from raydistill.storage.store import Store


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def taken(*seconds: float) -> list[TrialRecord]:
    """Records of failed trials that took so long, a fifth of it to evaluate."""
    config = space().arms[0].trial(ask_number=0, values={**VALUES}, data_sha256="d" * 64)
    costs = [
        Cost(distill_seconds=0.8 * s, evaluate_seconds=0.2 * s, peak_memory_bytes=1, train_macs=1, epoch_macs=1) for s in seconds
    ]
    return [record(config, None, "diverged", cost=cost) for cost in costs]


VALUES = {"method.lr_images": 1.0, "method.random_inits": 10, "method.init": "real", "ipc": 2}


def test_without_hours_nothing_is_spent_and_nothing_written(tmp_path: Path) -> None:
    allowance = Allowance(BudgetConfig(trials=1), 1.0, Store(str(tmp_path)))
    allowance.start()
    allowance.keep()
    for record_of_a_long_trial in taken(1e9):
        allowance.count(record_of_a_long_trial)
    assert not allowance.is_spent()
    assert list(tmp_path.iterdir()) == []


def test_hours_run_from_the_first_ask(tmp_path: Path) -> None:
    """Half an hour is 1800 seconds; those before the first ask do not count."""
    clock = Clock()
    allowance = Allowance(BudgetConfig(trials=1, hours=0.5), 0, Store(str(tmp_path)), clock)
    clock.now += 5000
    allowance.start()
    allowance.start()
    clock.now += 1799
    assert not allowance.is_spent()
    clock.now += 1
    assert allowance.is_spent()


def test_hours_go_on_where_an_earlier_search_left_them(tmp_path: Path) -> None:
    """1000 seconds in the first search, 800 in the second; the time between them is free."""
    clock, budget, study = Clock(), BudgetConfig(trials=1, hours=0.5), Store(str(tmp_path))
    first = Allowance(budget, 0, study, clock)
    first.start()
    clock.now += 1000
    first.keep()
    clock.now += 7000
    second = Allowance(budget, 0, study, clock)
    second.start()
    clock.now += 799
    assert not second.is_spent()
    clock.now += 1
    assert second.is_spent()


def test_gpu_hours_are_the_trials_seconds_times_their_share_failed_ones_too(tmp_path: Path) -> None:
    """A quarter of a GPU for 4000 + 3000 seconds is 1750 GPU seconds; with another 200, half a GPU hour."""
    allowance = Allowance(BudgetConfig(trials=9, gpu_hours=0.5), 0.25, Store(str(tmp_path)))
    spent = []
    for failed in taken(4000, 3000, 200):
        allowance.count(failed)
        spent.append(allowance.is_spent())
    assert spent == [False, False, True]


@pytest.mark.parametrize(("field", "share", "told"), [("hours", 1.0, "0.5"), ("gpu_hours", 0.25, "0.13")])
def test_a_budget_that_is_too_small_is_refused(field: str, share: float, told: str) -> None:
    """Half an hour is needed; a quarter of a GPU for that time is an eighth of a GPU hour, which is rounded up."""
    check_budget(BudgetConfig(trials=1, **{field: 0.5 * share}), 0.25, 1800.0, "a trial takes")
    with pytest.raises(BudgetError, match=rf"budget.{field} is .*, but a trial takes about {told} .*hours: raise"):
        check_budget(BudgetConfig(trials=1, **{field: 0.49 * share}), 0.25, 1800.0, "a trial takes")
    check_budget(BudgetConfig(trials=1, **{field: float(told)}), 0.25, 1800.0, "a trial takes")


def test_a_trial_that_runs_when_the_hours_are_spent_is_reported_and_no_other_is_asked(tmp_path: Path) -> None:
    """Each record takes 3 seconds on a whole GPU; 2 seconds are allowed, so that the first end spends them."""
    study = Store(str(tmp_path))
    searched = space("budget.gpu_hours=0.0005", "resources.gpus_per_trial=1", "budget.trials=9")
    with closing(Solver(searched, study, aim=AIM, data_sha256="d" * 64, database=tmp_path / "disk" / "study.db")) as solver:
        first, running = solver.ask(), solver.ask()
        assert first is not None
        assert running is not None
        for config, left in ((first, 0), (running, 0)):
            ended = record(config, gap=0.01)
            write_record(study, ended)
            solver.tell(ended)
            assert (solver.remaining, solver.ask()) == (left, None)
        assert [r.ask_number for r in solver.records] == [0, 1]


def test_a_trial_that_ran_when_the_hours_were_spent_and_its_search_ended_is_still_run(tmp_path: Path) -> None:
    """As it would have been had nobody ended the search; one that had crashed is not."""
    study = Store(str(tmp_path))
    searched = space("budget.gpu_hours=0.0005", "resources.gpus_per_trial=1", "budget.trials=9")

    def solver() -> Solver:
        return Solver(searched, study, aim=AIM, data_sha256="d" * 64, database=tmp_path / "disk" / "study.db")

    with closing(solver()) as first:
        ended, crashed, cut_off = (first.ask() for _ in range(3))
        assert ended is not None
        assert crashed is not None
        assert cut_off is not None
        for one in (record(crashed, gap=None, state="crashed", error="why"), record(ended, gap=0.01)):
            write_record(study, one)
            first.tell(one)
    with closing(solver()) as again:
        assert again.remaining == 1
        assert again.ask() == cut_off
        assert (again.remaining, again.ask()) == (0, None)
        again.tell(record(cut_off, gap=0.01))
        assert [r.ask_number for r in again.records] == [0, 2]
        assert again.law().floor()[1] > 0


def test_a_damaged_count_of_hours_is_named(tmp_path: Path) -> None:
    study, clock = Store(str(tmp_path)), Clock()
    allowance = Allowance(BudgetConfig(trials=1, hours=1.0), 0.0, study, clock)
    allowance.start()
    clock.now += 1234.0
    allowance.keep()
    study.write("spent.json", study.read("spent.json").replace(b"1234", b"0234"))
    with pytest.raises(StoreError, match=r"spent.json is damaged: .* restore it, or delete it to count the hours from 0"):
        Allowance(BudgetConfig(trials=1, hours=1.0), 0.0, study, clock)


def test_gpu_hours_of_an_earlier_search_are_spent(tmp_path: Path) -> None:
    """A record takes 3 seconds on a whole GPU; 2 seconds are allowed."""
    study, searched = Store(str(tmp_path)), space("budget.gpu_hours=0.0005", "resources.gpus_per_trial=1", "budget.trials=9")
    for left in (9, 0):
        with closing(Solver(searched, study, aim=AIM, data_sha256="d" * 64, database=tmp_path / "disk" / "study.db")) as solver:
            assert solver.remaining == left
            if left:
                config = solver.ask()
                assert config is not None
                write_record(study, record(config, gap=0.01))
