"""The commands that a person wants next: each parses as it is printed, with the real paths."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer
import yaml
from hand_made import HandMade

from raydistill.cli import app
from raydistill.report.next_commands import after_distilling, after_search, command, more_trials, next_lines

NO_WINNER: dict[str, Any] = {"verdict": "not_reached", "winner_trial_id": None, "smallest_lossless_ipc": None}
PLAIN: dict[str, Any] = {"data_root": None, "local": False, "address": None}


def parses(line: str) -> bool:
    """Whether the program takes a printed line; click refuses unknown commands, options and missing values."""
    program, name, *words = shlex.split(line, comments=True)
    typer.main.get_command(app).commands[name].make_context(name, words)  # type: ignore[attr-defined]
    return program == "raydistill"


def test_options_become_words_that_a_shell_reads() -> None:
    line = command("search", "my space.yaml", data_root=None, local=True, again=False, trials=5, set=["a=1", "b={low: 1}"])
    assert line == "raydistill search 'my space.yaml' --local --trials 5 --set a=1 --set 'b={low: 1}'"


def test_a_winner_is_looked_at_certified_evaluated_and_exported_next(by_hand: HandMade) -> None:
    root = by_hand.study.root
    where = {"data_root": "/my data", "local": True, "address": None}
    lines = after_search(by_hand.study, by_hand.result(), "x.yaml", where, {})
    assert lines == [
        f"raydistill report {root}",
        f"raydistill certify {root} --data-root '/my data' --local",
        f"raydistill evaluate {root}/winner --data-root '/my data'",
        f"raydistill export {root}/winner --out by-hand-ipc10 --data-root '/my data'",
    ]
    assert all(parses(line) for line in lines)


def test_a_search_without_a_winner_goes_on_with_twice_the_trials(by_hand: HandMade) -> None:
    """Three trials ended, of a budget of three."""
    by_hand.study.write(
        "search_space.yaml", yaml.safe_dump({**by_hand.study.read_json("search_space.yaml"), "budget": {"trials": 3}})
    )
    again = {"trials": 3, "set": ["seed=1"], "accept_code_change": False}
    lines = after_search(by_hand.study, by_hand.result(**NO_WINNER), "x.yaml", PLAIN, again)
    store = by_hand.study.parent.root
    assert lines == [
        f"raydistill search x.yaml --store {store} --trials 6 --set seed=1",
        f"raydistill report {by_hand.study.root}",
        f"raydistill tables {by_hand.study.root}",
    ]
    assert all(parses(line) for line in lines)


def test_in_a_job_of_a_cluster_the_submission_goes_on_with_twice_the_trials(by_hand: HandMade) -> None:
    """The file that the job's own command names is gone when the job has ended."""
    submitted = "raydistill submit x.yaml --store /shared/studies --trials 3 --address http://127.0.0.1:8265"
    by_hand.study.write(
        "search_space.yaml", yaml.safe_dump({**by_hand.study.read_json("search_space.yaml"), "budget": {"trials": 3}})
    )
    where = {"data_root": None, "local": False, "address": "auto"}
    line = after_search(by_hand.study, by_hand.result(**NO_WINNER), "x.yaml", where, {"trials": 3}, submitted)[0]
    assert line == f"{submitted} --trials 6"
    assert parses(line)


def test_in_a_job_of_a_cluster_a_winner_is_certified_without_the_address_of_the_job(by_hand: HandMade) -> None:
    """`auto` leads nowhere from the machine at which the line is read, and the Ray of a job of SLURM is gone."""
    where = {"data_root": "/my data", "local": False, "address": "auto"}
    line = after_search(by_hand.study, by_hand.result(), "x.yaml", where, {}, "raydistill submit x.yaml")[1]
    assert line == (
        f"raydistill certify {by_hand.study.root} --data-root '/my data'  # on the head of a running cluster add --address auto"
    )
    assert parses(line)


def test_in_a_job_of_a_cluster_without_an_address_nothing_is_added(by_hand: HandMade) -> None:
    line = after_search(by_hand.study, by_hand.result(), "x.yaml", PLAIN, {}, "raydistill submit x.yaml")[1]
    assert line == f"raydistill certify {by_hand.study.root}"


def test_a_baseline_that_is_not_admissible_needs_another_space_and_not_more_trials(by_hand: HandMade) -> None:
    result = by_hand.result(**NO_WINNER, baseline_admissible=False)
    assert after_search(by_hand.study, result, "x.yaml", PLAIN, {}) == [
        f"raydistill report {by_hand.study.root}",
        f"raydistill tables {by_hand.study.root}",
    ]


@pytest.mark.parametrize(
    ("budget", "options"),
    [
        ({"trials": 3}, {"trials": 6}),
        ({"trials": 9, "hours": 1.5, "gpu_hours": None}, {"set": ["budget.hours=3"]}),
        ({"trials": 9, "hours": None, "gpu_hours": None}, {}),
    ],
)
def test_an_ended_search_needs_more_of_what_ended_it(budget: dict[str, Any], options: dict[str, Any]) -> None:
    assert more_trials(budget, 3) == options


def test_a_set_is_evaluated_and_exported_next() -> None:
    lines = after_distilling("distilled/0123", None)
    assert lines == ["raydistill evaluate distilled/0123", "raydistill export distilled/0123 --out 0123-png"]
    assert all(parses(line) for line in lines)


def test_next_commands_stand_below_a_heading() -> None:
    assert next_lines("raydistill spaces") == "Next:\n  raydistill spaces"
