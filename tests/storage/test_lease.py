"""Leases by a fake clock, worked by hand; then on a real S3 server and on a store without conditional writes."""

from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from raydistill.errors import StoreError, StudyInUseError
from raydistill.storage import lease as module
from raydistill.storage import lease_file, remote
from raydistill.storage.lease import Lease, acquire, leased
from raydistill.storage.lease_file import Found, LeaseFile
from raydistill.storage.lock import study_lock
from raydistill.storage.store import Store

START = datetime(2026, 11, 24, tzinfo=UTC)


@dataclass
class World:
    """A fake clock that advances only while a process sleeps, with events at given times."""

    seconds: float = 1000.0
    happens: dict[float, object] = field(default_factory=dict)

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for at in sorted(at for at in self.happens if at <= self.seconds):
            self.happens.pop(at)()


@dataclass
class FakeFile:
    """A lease object in a store whose clock is an hour ahead of all others."""

    world: World
    store: Store = field(default_factory=lambda: Store("memory://lease/study"))
    content: str | None = None
    written_at: float = 0.0
    is_down: bool = False

    def now(self) -> datetime:
        return START + timedelta(hours=1, seconds=self.world.seconds)

    def read(self) -> Found | None:
        if self.content is None:
            return None
        modified = START + timedelta(hours=1, seconds=self.written_at)
        return Found(holder=self.content[:1], token="of another", expires_at="noon", version=self.content, modified=modified)

    def write(self, content: str, instead_of: str | None) -> str | None:
        if self.is_down:
            raise StoreError("down")
        if self.content != instead_of:
            return None
        self.put(content)
        return content

    def put(self, content: str) -> None:
        self.content, self.written_at = content, self.world.seconds

    def delete(self) -> None:
        self.content = None


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def file(world: World) -> FakeFile:
    return FakeFile(world)


def take(file: FakeFile, wait_seconds: float = 5.0) -> tuple[Lease, list[str]]:
    told: list[str] = []
    lease = Lease(file, "me", file.world.clock)
    acquire(file, lease, wait_seconds, told.append, file.world.clock, file.world.sleep)
    return lease, told


def test_a_free_study_is_held_at_once(file: FakeFile) -> None:
    lease, told = take(file)
    lease.check()
    assert (file.world.seconds, told) == (1000.0, [])


def test_a_lease_that_ended_long_ago_is_taken_over_at_once(file: FakeFile) -> None:
    """Renewed at second 900, now is 1000: older than 60 s by the store's clock, although that clock is an hour ahead."""
    file.content, file.written_at = "a", 900.0
    _, told = take(file)
    assert (file.world.seconds, told) == (1000.0, [])


def test_the_lease_of_a_killed_search_is_waited_for_until_it_ends(file: FakeFile) -> None:
    """Renewed at second 980, so it ends at 1040: taken over at the first look from there on, every 2 s from 1000."""
    file.content, file.written_at = "a", 980.0
    _, told = take(file)
    assert file.world.seconds == 1040.0
    assert told == [
        "memory://lease/study is held by a: its lease was renewed 20 s ago and expires in 40 s unless renewed again; "
        "waiting until it is renewed, released or expired"
    ]


def test_a_holder_that_renews_is_named_with_the_end_of_its_lease(file: FakeFile) -> None:
    """It renews at second 1005; seen at 1006, when the lease is 0 s old (looked at after the move), and waited for 4 s more."""
    file.content, file.written_at = "a", 995.0
    file.world.happens = {1005.0: lambda: file.put("a again")}
    said = (
        r"^study memory://lease/study is in use by a; its lease was renewed 4 s ago and expires in 56 s unless renewed again "
        r"\(at noon by its own clock\): wait until it ends or stop it, then run the same command again$"
    )
    with pytest.raises(StudyInUseError, match=said):
        take(file, wait_seconds=4.0)
    assert file.world.seconds == 1010.0


def test_a_study_that_its_holder_lets_go_is_taken(file: FakeFile) -> None:
    file.content, file.written_at = "a", 995.0
    file.world.happens = {1003.0: file.delete}
    take(file)
    assert file.world.seconds == 1004.0


def test_a_lease_whose_answer_was_lost_when_it_was_taken_is_not_waited_for(
    file: FakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store created it at 1000 and its answer was lost; the write was repeated, and refused because it exists."""

    def write(content: str, instead_of: str | None) -> None:
        file.put(content)

    def read() -> Found | None:
        if file.content is None:
            return None
        row = json.loads(file.content)
        return Found(**row, version=file.content, modified=file.now())

    monkeypatch.setattr(file, "write", write)
    monkeypatch.setattr(file, "read", read)
    lease, told = take(file)
    assert (file.world.seconds, lease.age_seconds, told) == (1000.0, 0.0, [])
    lease.check()


def test_a_renewal_whose_answer_was_lost_makes_the_lease_young(file: FakeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent at 1040 and written; refused as a repetition at 1044: from then on it counts from 1040."""
    lease, _ = take(file)

    def write(content: str, instead_of: str | None) -> None:
        file.put(content)
        file.world.seconds = 1044.0

    file.world.seconds = 1040.0
    monkeypatch.setattr(file, "write", write)
    monkeypatch.setattr(
        file, "read", lambda: Found(**json.loads(file.content or ""), version=file.content or "", modified=file.now())
    )
    lease.renew()
    assert lease.age_seconds == 4.0


def test_of_two_that_try_one_takes_it(file: FakeFile) -> None:
    """Both processes find the lease free; the second write fails because the first has created the object."""
    first, second = Lease(file, "1", file.world.clock), Lease(file, "2", file.world.clock)
    assert first.take(None)
    assert not second.take(None)


def test_a_renewed_lease_may_be_written_for_45_seconds_more(file: FakeFile) -> None:
    """Renewed at 1010: allowed at 1055, refused at 1056, although it ends at 1070 only."""
    lease, _ = take(file)
    file.world.seconds = 1010.0
    lease.renew()
    file.world.seconds = 1055.0
    lease.check()
    file.world.seconds = 1056.0
    with pytest.raises(
        StudyInUseError,
        match=r"lease of this search on study .* could not be renewed for 46 s \(it expires after 60 s\).*continues",
    ):
        lease.check()


def test_a_store_that_is_down_leaves_the_lease_as_old_as_it_was(file: FakeFile) -> None:
    lease, _ = take(file)
    file.is_down, file.world.seconds = True, 1046.0
    with pytest.raises(StoreError, match="down"):
        lease.renew()
    said = (
        r"^the store has not answered for 46 s \(down\), so the lease of this search on study memory://lease/study could not be "
        r"renewed; nothing more is written; once the store answers, run the same command again: it continues from the records$"
    )
    with pytest.raises(StudyInUseError, match=said):
        lease.check()


def test_a_lease_that_was_taken_over_allows_no_write_and_is_left_alone(file: FakeFile) -> None:
    lease, _ = take(file)
    file.put("b")
    lease.renew()
    with pytest.raises(StudyInUseError, match=r"taken over from this search by b; nothing more is written; run the same command"):
        lease.check()
    lease.let_go()
    assert file.content == "b"


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> Store:
    """Without and with conditional writes; renewed and looked at often, but as long as ever: a busy machine renews late."""
    for name, seconds in {"RENEW": 0.5, "POLL": 0.2}.items():
        monkeypatch.setattr(module, f"{name}_SECONDS", seconds)
    monkeypatch.setattr(lease_file, "SETTLE_SECONDS", 0.1)
    root = request.getfixturevalue("bucket").uri if request.param == "s3" else f"memory://{os.path.basename(tmp_path)}"
    return Store(f"{root}/study")


@pytest.mark.parametrize("content", ["", "process 1 on a host\n", "[]", "{}"])
def test_a_lock_that_is_no_lease_is_reported(store: Store, content: str) -> None:
    """The lock of a folder that was copied here: empty, or with the name of the process that held it."""
    store.write(".lock", content)
    with (
        pytest.raises(
            StoreError,
            match=r"/study/.lock is not the lease of a search; if no search of the study is running, delete the file and",
        ),
        study_lock(store),
    ):
        pass


def test_a_held_study_is_written_and_let_go(store: Store) -> None:
    with study_lock(store) as held:
        assert store.read_json(".lock")["holder"].startswith(f"process {os.getpid()} on ")
        held.at("trials").write("x", "1")
    assert not store.exists(".lock")


def test_a_second_search_is_refused_once_the_first_is_seen_to_renew(store: Store) -> None:
    with (
        study_lock(store),
        pytest.raises(StudyInUseError, match=rf"is in use by process {os.getpid()} on"),
        study_lock(store, wait_seconds=0),
    ):
        pass


def test_a_lease_left_behind_is_taken_over_after_its_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end comes when it has been told of."""
    assert Lease(LeaseFile(store), "killed").take(None)
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        monkeypatch.setattr(module, "LEASE_SECONDS", 0.0)

    with study_lock(store, tell=tell):
        assert "process" in store.read_json(".lock")["holder"]
    assert "is held by killed: its lease was renewed" in told[0]


def test_whoever_lost_its_lease_writes_nothing_more(store: Store) -> None:
    with leased(LeaseFile(store), "first", 0, print) as first:
        store.write(".lock", store.read(".lock").replace(b"first", b"second"))
        held = Store(store.root, guard=first.check)
        first.renew()
        for change in (lambda: held.at("a").write("x", "1"), lambda: held.delete("x"), lambda: held.delete_folder("x")):
            with pytest.raises(StudyInUseError, match="taken over from this search by second"):
                change()
    assert list(store.stamps()) == [".lock"]


def test_a_late_renewal_does_not_replace_the_lease_of_another(store: Store) -> None:
    file = LeaseFile(store)
    late, next_one = Lease(file, "late"), Lease(file, "next")
    assert late.take(None)
    found = file.read()
    assert found is not None
    assert next_one.take(found.version)
    late.renew()
    next_one.check()
    assert store.read_json(".lock")["holder"] == "next"


def test_a_renewal_whose_answer_was_lost_is_taken_for_our_own(store: Store) -> None:
    """The store holds a newer version than the one that the holder knows of, and it has the holder's token."""
    file = LeaseFile(store)
    lease = Lease(file, "me")
    assert lease.take(None)
    file.write(store.read(".lock").decode() + " ", file.read().version)  # type: ignore[union-attr]
    lease.renew()
    lease.check()
    lease.renew()
    assert not store.read(".lock").endswith(b" ")


def test_a_store_that_does_not_answer_for_a_while_is_told_of_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write, seen = LeaseFile.write, []
    is_back = threading.Event()

    def down(file: LeaseFile, content: str, instead_of: str | None) -> str | None:
        seen.append(content)
        if 1 < len(seen) <= 3:
            raise StoreError("no route to it")
        return write(file, content, instead_of)

    def tell(text: str) -> None:
        told.append(text)
        if text == "the store answers again":
            is_back.set()

    monkeypatch.setattr(LeaseFile, "write", down)
    told: list[str] = []
    with study_lock(store, tell=tell):
        is_back.wait()
    assert told == ["the store does not answer, and is asked again for up to 45 s: no route to it", "the store answers again"]


def test_an_error_of_the_search_is_not_hidden_by_a_store_that_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor held up: the store is asked once."""

    def gone(file: LeaseFile) -> None:
        attempts.append(file)
        raise StoreError("no route to it")

    monkeypatch.setattr(LeaseFile, "delete", gone)
    attempts: list[LeaseFile] = []
    with pytest.raises(ZeroDivisionError), study_lock(store):
        raise ZeroDivisionError
    assert len(attempts) == 1


def test_a_search_that_ended_well_tells_of_a_lease_that_it_cannot_release(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(file: LeaseFile) -> None:
        attempts.append(file)
        raise StoreError("no route to it")

    monkeypatch.setattr(LeaseFile, "delete", gone)
    attempts: list[LeaseFile] = []
    told: list[str] = []
    with study_lock(store, tell=told.append):
        pass
    assert len(attempts) == 3
    assert re.fullmatch(rf"the lease on {store.root} could not be released and expires in \d+ s: no route to it", told[0])


def test_a_lease_that_was_taken_over_unseen_is_not_released(store: Store) -> None:
    """The other took it after the last renewal of ours, so that only a look at the store shows it."""
    file = LeaseFile(store)
    ours, other = Lease(file, "ours"), Lease(file, "other")
    assert ours.take(None)
    assert other.take(file.read().version)  # type: ignore[union-attr]
    ours.let_go()
    assert store.read_json(".lock")["holder"] == "other"


def test_a_message_that_cannot_be_printed_does_not_end_the_renewal(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write, seen = LeaseFile.write, []
    is_back = threading.Event()

    def down_once(file: LeaseFile, content: str, instead_of: str | None) -> str | None:
        seen.append(content)
        if len(seen) == 2:
            raise StoreError("no route to it")
        if len(seen) > 3:
            is_back.set()
        return write(file, content, instead_of)

    def closed(text: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(LeaseFile, "write", down_once)
    with study_lock(store, tell=closed):
        is_back.wait()


def test_a_write_ends_before_another_may_take_the_lease() -> None:
    """One attempt: its connection and its answer together take less than what is left of a lease that allowed it."""
    settings = remote.S3_PATIENT_OPTIONS["config_kwargs"]
    assert settings["retries"]["total_max_attempts"] == 1
    assert settings["connect_timeout"] + settings["read_timeout"] < module.LEASE_SECONDS - module.STOP_SECONDS


def test_renewals_make_one_short_attempt_each(store: Store) -> None:
    renewing = LeaseFile(replace(store, guard=print, is_patient=True)).for_renewal().store
    assert (renewing.guard, renewing.is_patient) == (None, False)
    assert renewing.s3_options == remote.S3_RENEWAL_OPTIONS
    settings = remote.S3_RENEWAL_OPTIONS["config_kwargs"]
    assert (settings["connect_timeout"], settings["read_timeout"], settings["retries"]["total_max_attempts"]) == (3, 5, 1)


def test_a_store_that_shows_no_lease_and_writes_none_is_given_up(file: FakeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused eleven times: the first is not waited for, each of the other ten is asked again after 2 s, but for the last."""
    monkeypatch.setattr(file, "write", lambda content, instead_of: None)
    with pytest.raises(StoreError, match=r"^memory://lease/study/.lock cannot be written: the store shows no live lease there"):
        take(file)
    assert file.world.seconds == 1000.0 + 9 * 2.0
