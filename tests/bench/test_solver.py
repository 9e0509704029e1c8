"""The options of the comparison of solvers."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from raydistill.bench.solver import SLOW, bench_races, bench_solvers
from raydistill.cli import app
from raydistill.errors import InputError
from raydistill.search.simulation.arm_race import RACE_STRATEGIES
from raydistill.search.simulation.race import STRATEGIES


def test_a_row_per_budget_and_strategy() -> None:
    scores = bench_solvers(strategies=["grid", "random"], confirmations=["descending"], problems=2, budgets=["2", "3"], workers=1)
    assert [(s.trials, s.strategy) for s in scores] == [(2, "grid"), (2, "random"), (3, "grid"), (3, "random")]


def test_the_slow_strategy_is_left_out_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raydistill.bench.solver.race", lambda name, *_: [name])
    raced = bench_solvers(strategies=[], confirmations=["descending"], problems=1, budgets=["1"], workers=1)
    assert set(raced) == set(STRATEGIES) - SLOW


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strategies": ["lawn"]}, "unknown strategy 'lawn'; did you mean 'law'"),
        ({"confirmations": ["sideways"]}, "unknown confirmation 'sideways'.*Allowed: ascending, descending"),
        ({"budgets": ["0"]}, "--trials: given '0'; expected whole numbers of at least 1, joined by commas"),
        ({"budgets": ["1.5"]}, "--trials: given '1.5'"),
    ],
)
def test_what_cannot_be_raced_is_refused(given: dict[str, list[str]], message: str) -> None:
    asked = {"strategies": ["grid"], "confirmations": ["descending"], "budgets": ["2"], **given}
    with pytest.raises(InputError, match=message):
        bench_solvers(problems=1, workers=1, **asked)


def test_the_command_prints_a_table() -> None:
    words = ["bench", "solver", "--problems", "2", "--trials", "3", "--strategies", "grid", "--format", "csv"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    header, row = result.stdout.splitlines()
    assert header.startswith("strategy,confirmed,trials,workers,problems,hit_fraction,")
    assert row.startswith("grid,descending,3,1,2,")


def test_the_command_tells_what_is_wrong() -> None:
    result = CliRunner().invoke(app, ["bench", "solver", "--strategies", "lawn"])
    assert (result.exit_code, "did you mean 'law'" in result.stderr) == (2, True)


def test_races_have_a_row_per_budget_and_strategy() -> None:
    scores = bench_races(strategies=["random", "told"], problems=2, budgets=["4", "5"], workers=1)
    assert [(s.trials, s.strategy) for s in scores] == [(4, "random"), (4, "told"), (5, "random"), (5, "told")]


def test_races_leave_out_the_slow_strategy_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raydistill.bench.solver.race_arms", lambda names, *_: names)
    assert set(bench_races(strategies=[], problems=1, budgets=["1"], workers=1)) == set(RACE_STRATEGIES) - SLOW


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strategies": ["grid"]}, "unknown strategy 'grid'.*Allowed: "),
        ({"budgets": ["0"]}, "--trials: given '0'; expected whole numbers of at least 1"),
    ],
)
def test_what_cannot_be_raced_with_arms_is_refused(given: dict[str, list[str]], message: str) -> None:
    asked = {"strategies": ["told"], "budgets": ["2"], **given}
    with pytest.raises(InputError, match=message):
        bench_races(problems=1, workers=1, **asked)


def test_the_command_prints_a_table_of_races() -> None:
    words = ["bench", "solver", "--arms", "--problems", "2", "--trials", "4", "--strategies", "random", "--format", "csv"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    header, row = result.stdout.splitlines()
    assert header.startswith("strategy,trials,workers,problems,right_fraction,")
    assert row.startswith("random,4,1,2,")


def test_races_have_one_order_of_confirmation() -> None:
    result = CliRunner().invoke(app, ["bench", "solver", "--arms", "--confirmations", "ascending"])
    assert result.exit_code == 2
    assert "--arms" in result.stderr
