"""When a running trial is to be ended, with a clock that the tests set."""

from __future__ import annotations

import pytest

pytest.importorskip("ray")

from raydistill.search.on_ray.watchdog import GRACE_SECONDS, Watchdog
from raydistill.spaces.sections import BudgetConfig


class Watched:
    """A watchdog and its clock."""

    def __init__(self, **limits: float | None) -> None:
        self.now = 0.0
        self.dog = Watchdog(BudgetConfig(trials=1, **limits), clock=lambda: self.now)  # type: ignore[arg-type]

    def at(self, now: float) -> dict[str, str]:
        self.now = now
        return self.dog.overdue()


def test_by_default_a_trial_may_be_silent_for_an_hour() -> None:
    watched = Watched()
    watched.dog.started("a")
    assert watched.at(3600) == {}
    cause = "told nothing for 60 min, longer than budget.silence_minutes (60); its last step was 0"
    assert watched.at(3601) == {"a": cause}


def test_a_sign_of_life_without_a_step_keeps_the_last_step() -> None:
    watched = Watched(silence_minutes=1.0)
    watched.dog.started("a")
    watched.dog.heard("a", 7, 30)
    watched.now = 50.0
    watched.dog.heard("a")
    assert watched.at(110) == {}
    assert watched.at(111)["a"].endswith("its last step was 7 of 30")


def test_a_process_that_started_anew_counts_anew_and_one_that_ended_no_more() -> None:
    watched = Watched(silence_minutes=1.0)
    for trial in ("a", "b"):
        watched.dog.started(trial)
    watched.now = 50.0
    watched.dog.started("a")
    watched.dog.ended("b")
    watched.dog.heard("b")
    assert watched.at(100) == {}


def test_a_trial_that_does_not_end_itself_after_its_hours_is_ended() -> None:
    watched = Watched(silence_minutes=None, trial_hours=2.0)
    watched.dog.started("a")
    watched.dog.heard("a", 7, 30)
    assert watched.at(7200 + GRACE_SECONDS) == {}
    cause = "ran for 2.05 h, longer than budget.trial_hours (2 h); its last step was 7 of 30"
    assert watched.at(7380) == {"a": cause}


def test_without_limits_nothing_is_overdue() -> None:
    watched = Watched(silence_minutes=None)
    watched.dog.started("a")
    assert watched.at(1e9) == {}
