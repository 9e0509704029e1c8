"""When a running trial is to be ended, with a clock that the tests set."""

from __future__ import annotations

import pytest

pytest.importorskip("ray")

from raydistill.errors import TimeLimitError
from raydistill.search.on_ray.watchdog import GRACE_SECONDS, JobLimit, Watchdog
from raydistill.spaces.sections import BudgetConfig


class Watched:
    """A watchdog and its clock."""

    def __init__(self, **limits: float | None) -> None:
        self.now = 0.0
        self.dog = Watchdog(BudgetConfig(trials=1, **limits), clock=lambda: self.now)  # type: ignore[arg-type]

    def at(self, now: float) -> dict[str, str]:
        """What is overdue then, with a look every ten seconds until then."""
        while self.now + 10 < now:
            self.now += 10
            self.dog.overdue()
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
    assert watched.at(1e6) == {}


def test_time_in_which_the_driver_itself_stood_still_does_not_count() -> None:
    """Suspended from 20 s to 7220 s: what the trials told meanwhile is read after that, a message at each look."""
    watched = Watched(silence_minutes=1.0, trial_hours=1.0)
    watched.dog.started("a")
    assert watched.at(20) == {}
    watched.now = 7220.0
    assert watched.dog.overdue() == {}
    assert watched.at(7260) == {}
    assert set(watched.at(7261)) == {"a"}


def test_a_job_that_is_over_its_hours_ends_the_search_by_its_name() -> None:
    """Its hour counts from when it began, at 3000 s; the one that began before it has ended."""
    now = [0.0]
    limit = JobLimit(1.0, clock=lambda: now[0])
    limit.began(0, "baseline network 0")
    now[0] = 3000.0
    limit.began(1, "baseline network 1")
    limit.ended(0)
    now[0] = 6600.0
    limit.check()
    now[0] = 6601.0
    said = "^baseline network 1 has not ended in 60 min, and budget.trial_hours is 1: finished work is saved; look at its log"
    with pytest.raises(TimeLimitError, match=said):
        limit.check()


def test_a_job_that_has_not_begun_takes_no_time() -> None:
    now = [0.0]
    limit = JobLimit(1.0, clock=lambda: now[0])
    now[0] = 1e9
    limit.check()
    assert limit.running == 0
    limit.began(0, "baseline network 0")
    assert limit.running == 1
    limit.check()


def test_a_job_without_a_limit_takes_its_time() -> None:
    now = [0.0]
    limit = JobLimit(None, clock=lambda: now[0])
    limit.began(1, "baseline network 1")
    now[0] = 1e9
    limit.check()
