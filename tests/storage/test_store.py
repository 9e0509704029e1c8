"""The store: atomic writes, paths inside of the store, remote file systems, and one search at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest

from raydistill.errors import StoreError, StudyInUseError
from raydistill.storage.lock import holder_of, study_lock
from raydistill.storage.remote import open_file_system
from raydistill.storage.store import Store


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "study"))


@pytest.fixture(params=["folder", "file uri", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A local folder, the same as a URI, a file system that is not local, and a bucket."""
    if request.param == "s3":
        return Store(f"{request.getfixturevalue('bucket').uri}/study")
    roots = {
        "folder": str(tmp_path / "study"),
        "file uri": f"file://{tmp_path}/study",
        "memory": f"memory://{uuid.uuid4().hex}/study",
    }
    return Store(roots[request.param])


def test_what_is_written_is_read(store: Store) -> None:
    store.write("a/b.txt", "näive")
    assert store.read("a/b.txt") == "näive".encode()


def test_bytes_are_written_as_they_are(store: Store) -> None:
    store.write("x", b"\x00\xff")
    assert store.read("x") == b"\x00\xff"


def test_a_second_write_replaces_the_first(store: Store) -> None:
    store.write("x", "long old text")
    store.write("x", "new")
    assert store.read("x") == b"new"


def test_json_is_read_as_it_was_written(store: Store) -> None:
    value = {"b": [1, 0.1, None, True], "a": "ü"}
    store.write_json("x.json", value)
    assert store.read_json("x.json") == value


def test_reading_a_file_that_is_not_there_says_so(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        store.read("none")


def test_files_and_folders_exist_once_written(store: Store) -> None:
    assert not store.exists("a/b")
    store.write("a/b", "1")
    assert store.exists("a/b")
    assert store.exists("a")
    assert not store.exists("a/c")


def test_delete_removes_a_file_and_is_silent_without_one(store: Store) -> None:
    store.write("x", "1")
    store.delete("x")
    assert not store.exists("x")
    store.delete("x")


def test_folders_are_listed_in_order_without_the_files(store: Store) -> None:
    for name in ("trials/b/record.json", "trials/a/record.json", "trials/file"):
        store.write(name, "1")
    assert store.folders("trials") == ["a", "b"]


def test_the_folders_of_the_root_go_by_a_dot(store: Store) -> None:
    """In an object store "bucket/study/." is another key than "bucket/study"."""
    store.write("trials/a/record.json", "1")
    assert store.at("trials").folders(".") == ["a"]


def test_files_are_listed_in_order_without_the_folders(store: Store) -> None:
    for name in ("in/b.json", "in/a.json", "in/c/d.json"):
        store.write(name, "x")
    assert store.files("in") == ["a.json", "b.json"]
    assert store.files("absent") == []


def test_a_file_that_is_being_written_is_not_listed(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed before it has renamed the file leaves it under the other name."""
    seen: list[list[str]] = []

    def list_and_fail(file: int) -> None:
        seen.append([os.listdir(local.root), local.files(".")])
        raise OSError("the disk is full")

    local.write("a.json", "1")
    monkeypatch.setattr(os, "fsync", list_and_fail)
    with pytest.raises(StoreError, match="the disk is full"):
        local.write("b.json", "2")
    ((there, listed),) = seen
    assert (len(there), listed) == (2, ["a.json"])


def test_a_folder_is_deleted_with_all_that_is_in_it(store: Store) -> None:
    store.write("in/c/d.json", "x")
    store.write("beside.json", "x")
    store.delete_folder("in")
    store.delete_folder("absent")
    assert not store.exists("in")
    assert store.exists("beside.json")


def test_a_folder_whose_name_is_a_pattern_is_deleted_alone(store: Store) -> None:
    for folder in ("run[1]", "run1", "run?", "run2"):
        store.write(f"{folder}/c/d.json", "x")
    store.delete_folder("run[1]")
    store.delete_folder("run?")
    assert [store.exists(f"{folder}/c/d.json") for folder in ("run[1]", "run1", "run?", "run2")] == [False, True, False, True]


def test_the_parent_of_a_study_is_its_store(store: Store) -> None:
    assert store.at("study").parent.root == store.root.rstrip("/")
    assert Store("study").parent.root == "."


@pytest.mark.parametrize(
    ("root", "parent"),
    [("/digits", "/"), ("/", "/"), ("/a/b/", "/a"), ("digits", "."), ("a/b", "a"), ("s3://bucket/a", "s3://bucket")],
)
def test_the_parent_of_a_folder_is_the_one_above(root: str, parent: str) -> None:
    assert Store(root).parent.root == parent


def test_a_relative_store_becomes_absolute_and_a_remote_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store("studies").absolute.root == str(tmp_path / "studies")
    assert Store("s3://bucket/studies").absolute.root == "s3://bucket/studies"


def test_the_parent_of_a_store_that_was_given_from_inside_is_the_folder_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "studies/digits/trials").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "studies/digits/trials")
    assert Store("..").absolute.root == str(tmp_path / "studies/digits")
    assert Store("..").absolute.parent.root == str(tmp_path / "studies")


def test_a_folder_that_is_not_there_has_no_folders(store: Store) -> None:
    assert store.folders("none") == []


def test_a_store_below_another_shares_its_files(store: Store) -> None:
    store.at("trials", "a").write("x", "1")
    assert store.read("trials/a/x") == b"1"


def test_a_writable_store_is_left_without_a_probe(store: Store) -> None:
    store.write("x", "1")
    store.check_writable()
    filesystem, path = fsspec.url_to_fs(store.root)
    assert [Path(name).name for name in filesystem.ls(path, detail=False)] == ["x"]


@pytest.mark.parametrize("parts", [("..",), ("a", "..", "b"), ("a/../../b",), ("/etc/passwd",), ("a", "/etc/passwd")])
def test_a_path_that_leaves_the_store_is_refused(local: Store, parts: tuple[str, ...]) -> None:
    with pytest.raises(StoreError, match=r"is outside of the store .*study; give a relative path without"):
        local.path(*parts)


@pytest.mark.parametrize("call", ["read", "exists", "delete", "folders", "at"])
def test_no_call_leaves_the_store(local: Store, call: str) -> None:
    with pytest.raises(StoreError, match="is outside of the store"):
        getattr(local, call)("../other")


def test_no_write_leaves_the_store(local: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is outside of the store"):
        local.write("../other", "1")
    assert not (tmp_path / "other").exists()


def test_names_with_dots_inside_stay_in_the_store(local: Store) -> None:
    assert local.path("a..b", "..c") == f"{local.root}/a..b/..c"


def test_a_tilde_is_the_home_folder_for_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Store("~/study").write("x", "1")
    assert (tmp_path / "study" / "x").read_text() == "1"
    assert Store("~/study").read("x") == b"1"


@pytest.mark.parametrize(("root", "is_local"), [("studies", True), ("/s", True), ("file:///s", True), ("s3://b/s", False)])
def test_a_folder_and_a_file_uri_are_local(root: str, is_local: bool) -> None:
    assert Store(root).is_local is is_local


def test_a_remote_file_has_no_local_path() -> None:
    with pytest.raises(StoreError, match="store memory://x is not a local folder; copy the file to a local folder first"):
        Store("memory://x").local_path("study.db")


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    local: Store, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    local.write("record.json", "old")
    with monkeypatch.context() as patched:
        patched.setattr(os, broken, fail)
        with pytest.raises(
            StoreError, match=r"cannot write .*record.json: .*No space left on device; give a folder or URI that can"
        ):
            local.write("record.json", "new")
    assert local.read("record.json") == b"old"
    assert os.listdir(local.root) == ["record.json"]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    local.write("record.json", "old")
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            local.write("record.json", "new")
    assert local.read("record.json") == b"old"
    assert os.listdir(local.root) == ["record.json"]


def test_a_reader_never_sees_half_a_file(local: Store) -> None:
    """A process replaces a file of a hundred thousand a by one of as many b, over and over; each reading is all a or all b."""
    local.write("x", b"a" * 10**5)
    code = (
        "import itertools, sys; from raydistill.storage.store import Store\n"
        "for letter in itertools.cycle(b'ba'): Store(sys.argv[1]).write('x', bytes([letter]) * 10**5)"
    )
    with running(code, local.root):
        seen = {frozenset(local.read("x")) for _ in range(200)}
        while len(seen) < 2:  # if the other never comes, to pytest's limit
            seen.add(frozenset(local.read("x")))
    assert seen == {frozenset(b"a"), frozenset(b"b")}


def test_files_of_a_study_can_be_read_by_others(local: Store) -> None:
    local.write("x", "1")
    assert local.local_path("x").stat().st_mode & 0o777 == 0o644


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """The store would have to lie below a file; permissions would not stop root."""
    (tmp_path / "file").write_text("")
    said = r"cannot write .*file/study/.probe-.*; give a folder or URI that can be written, or run the same command again once .*"
    with pytest.raises(StoreError, match=f"{said} can be written: this command has changed nothing$"):
        Store(str(tmp_path / "file" / "study")).check_writable()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_without_a_meaning_is_refused(local: Store, number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        local.write_json("x.json", {"gap": number})
    assert not local.exists("x.json")


@pytest.mark.parametrize("damaged", [b'{"a": 1', b"", b"\xff\xfe"])
def test_damaged_json_is_named_with_what_to_do(local: Store, damaged: bytes) -> None:
    local.write("x.json", damaged)
    with pytest.raises(StoreError, match=r"x.json is damaged \(.*\); restore it, or delete it so that it is made again"):
        local.read_json("x.json")


def test_a_file_that_another_node_wrote_is_seen_although_the_folder_was_listed_before() -> None:
    """Object stores cache listings: the store must ask for a file system that does not."""
    filesystem, _ = open_file_system("memory://x/y")
    assert not filesystem.dircache.use_listings_cache


def test_a_lock_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match=r"cannot write .*file/study/\.lock: .*; give a folder or URI that can be written"),
        study_lock(Store(str(tmp_path / "file" / "study"))),
    ):
        pass


HOLD = """
import sys, time
from raydistill.storage.lock import study_lock
from raydistill.storage.store import Store
with study_lock(Store(sys.argv[1])):
    print("held", flush=True)
    time.sleep(3600)
"""


@contextmanager
def running(code: str, *arguments: str, wait_for: str = "") -> Iterator[subprocess.Popen[str]]:
    """A Python process of its own, ended with kill -9."""
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if wait_for:
            assert process.stdout.readline().strip() == wait_for
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_study_in_use_is_refused_and_its_holder_named(local: Store) -> None:
    with running(HOLD, local.root, wait_for="held") as holder:
        with (
            pytest.raises(
                StudyInUseError, match=rf"study .*study is in use by process {holder.pid} on .*; wait until it ends or stop it"
            ),
            study_lock(local, wait_seconds=0.2),
        ):
            pass


def test_a_file_system_without_locks_is_told_with_what_to_do(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As NFSv3 without its lock service."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    remedy = "its file system gives no locks: mount it with NFSv4, or start the lock service of NFSv3"
    with (
        pytest.raises(StoreError, match=rf"cannot lock .*/\.lock: No locks available; {remedy}, or give another"),
        study_lock(local),
    ):
        pytest.fail("locked")
    with pytest.raises(StoreError, match=rf"whether .* is locked: No locks available; {remedy}, or remove the file if no"):
        holder_of(local)


def test_the_lock_of_a_killed_process_is_taken_over_at_once(local: Store) -> None:
    with running(HOLD, local.root, wait_for="held") as holder:
        holder.kill()
        holder.wait()
        with study_lock(local, wait_seconds=0):
            pass


def test_a_holder_that_is_just_ending_is_waited_for(local: Store) -> None:
    code = HOLD.replace("time.sleep(3600)", "time.sleep(0.5)")
    with running(code, local.root, wait_for="held"), study_lock(local, wait_seconds=600):
        pass


def test_a_lock_is_let_go_by_an_error(local: Store) -> None:
    with pytest.raises(RuntimeError, match="boom"), study_lock(local):
        raise RuntimeError("boom")
    with study_lock(local, wait_seconds=0):
        pass


def test_two_studies_are_locked_apart(local: Store) -> None:
    with study_lock(local.at("a"), wait_seconds=0), study_lock(local.at("b"), wait_seconds=0):
        pass


def test_a_second_search_in_the_same_process_is_refused_too(local: Store) -> None:
    with study_lock(local), pytest.raises(StudyInUseError, match=f"process {os.getpid()} on"), study_lock(local, wait_seconds=0):
        pass
