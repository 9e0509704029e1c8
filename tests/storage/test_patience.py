"""A store that does not answer is asked again, by those who have work to lose; with calls and a clock that the tests make."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("s3fs")
from aiohttp import ClientPayloadError
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from raydistill.errors import StoreError, StudyInUseError
from raydistill.storage.patience import PATIENCE_SECONDS, Patient, is_no_answer
from raydistill.storage.store import Store

REFUSED = EndpointConnectionError(endpoint_url="http://nowhere")


def answering(status: int) -> OSError:
    """As s3fs raises what the store said."""
    error = OSError("as the store said")
    error.__cause__ = ConnectionAbortedError()
    error.__cause__.response = {"ResponseMetadata": {"HTTPStatusCode": status}}  # type: ignore[attr-defined]
    return error


class Clock:
    """Moves while a process sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def patient(clock: Clock, *outcomes: Any, guard: Any = None) -> Patient:
    """A file system whose `cat_file` has these outcomes, the last one for ever."""
    left = list(outcomes)

    def cat_file(path: str) -> bytes:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, Exception):
            raise outcome
        return bytes(outcome)

    return Patient(SimpleNamespace(cat_file=cat_file, protocol="s3"), guard, lambda: clock.now, clock.sleep)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (REFUSED, True),
        (ReadTimeoutError(endpoint_url="http://nowhere"), True),
        (ConnectionResetError("by peer"), True),
        (ClientPayloadError("10 of 1000 bytes"), True),
        (answering(503), True),
        (answering(429), True),
        (answering(403), False),
        (FileNotFoundError("x"), False),
        (PermissionError("x"), False),
    ],
)
def test_what_counts_as_no_answer(error: Exception, is_one: bool) -> None:
    assert is_no_answer(error) == is_one


def test_a_call_is_made_again_until_the_store_answers() -> None:
    clock = Clock()
    assert patient(clock, *[REFUSED] * 30, b"here").cat_file("x") == b"here"
    assert clock.now == 30.0


def test_a_store_that_stays_away_is_told_of_after_a_minute() -> None:
    clock = Clock()
    with pytest.raises(EndpointConnectionError):
        patient(clock, REFUSED).cat_file("x")
    assert clock.now == PATIENCE_SECONDS == 60.0


def test_an_answer_is_not_asked_for_twice() -> None:
    clock = Clock()
    with pytest.raises(PermissionError):
        patient(clock, PermissionError("x"), b"here").cat_file("x")
    assert clock.now == 0.0


def test_a_call_that_must_not_be_made_any_more_is_not_made_again() -> None:
    """As when the lease has become too old meanwhile."""

    def guard() -> None:
        raise StudyInUseError("another search may hold it")

    with pytest.raises(StudyInUseError):
        patient(Clock(), REFUSED, b"here", guard=guard).cat_file("x")


def test_what_is_no_call_is_the_file_systems_own() -> None:
    assert patient(Clock(), b"").protocol == "s3"


def test_a_store_stays_patient_where_it_is_sent() -> None:
    sent = pickle.loads(pickle.dumps(Store("s3://bucket/study", is_patient=True).at("trials")))
    assert (sent.root, sent.is_patient) == ("s3://bucket/study/trials", True)


def test_a_patient_store_waits_and_another_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def cat_file(path: str) -> bytes:
        calls.append(path)
        if len(calls) < 3:
            raise REFUSED
        return b"1"

    away = SimpleNamespace(protocol="s3", cat_file=cat_file)
    monkeypatch.setattr("raydistill.storage.store.open_file_system", lambda uri, options: (away, uri))
    monkeypatch.setattr("raydistill.storage.patience.PAUSE_SECONDS", 0.01)
    assert Store("s3://bucket/study", is_patient=True).read("x") == b"1"
    assert len(calls) == 3
    calls.clear()
    with pytest.raises(StoreError, match="cannot read s3://bucket/study/x"):
        Store("s3://bucket/study").read("x")
    assert len(calls) == 1
