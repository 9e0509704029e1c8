"""A store at s3://: errors are reported in one sentence within seconds, without credentials."""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from raydistill.cli import app
from raydistill.errors import StoreError, StoreUnavailableError
from raydistill.storage import remote
from raydistill.storage import store as store_module
from raydistill.storage.store import Store

if TYPE_CHECKING:
    from s3_server import Bucket


def search(store: str) -> Result:
    return CliRunner().invoke(app, ["search", "digits_random", "--local", "--store", store])


@pytest.fixture
def nobody_listens(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address; what was opened before with another end point is forgotten, and so is what is opened with this one."""
    from s3fs import S3FileSystem

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and not listened at; while it is held, nobody else can
        S3FileSystem.clear_instance_cache()
        yield f"127.0.0.1:{held.getsockname()[1]}"
    S3FileSystem.clear_instance_cache()


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_does_not_exist_is_reported_by_the_command() -> None:
    ended = search("s3://no-such-bucket/studies")
    assert ended.exit_code == 2
    assert "Error: cannot write s3://no-such-bucket/studies/" in ended.output
    assert "The specified bucket does not exist; give a folder or URI that can be written" in ended.output
    assert "Traceback" not in ended.output


def test_an_end_point_that_does_not_answer_is_reported(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, nobody_listens: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{nobody_listens}")
    with pytest.raises(
        StoreError, match=r"^cannot write s3://bucket-.*Could not connect to the endpoint URL.*; give a folder or URI"
    ):
        Store(f"{bucket.uri}/other").check_writable()
    with pytest.raises(StoreError, match=r"^cannot read s3://bucket-.*check the connection and the permission"):
        Store(f"{bucket.uri}/other").read("x")


@contextmanager
def hanging_up() -> Iterator[tuple[str, list[Any]]]:
    """An address that takes every call and hangs up, and the calls."""
    calls: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, caller = server.accept()
                except OSError:  # shut down
                    return
                calls.append(caller)
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}", calls
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.usefixtures("nobody_listens")
def test_an_end_point_that_hangs_up_is_tried_three_times(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read is two requests, for the object and for what else may lie there; the library by itself would try each five times."""
    with hanging_up() as (address, calls):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{address}")
        with pytest.raises(StoreError, match=r"^cannot read s3://bucket-.*check the connection and the permission to read it"):
            Store(f"{bucket.uri}/other").read("x")
    assert 3 <= len(calls) <= 2 * 3


@contextmanager
def breaking_off(whole_from: int) -> Iterator[tuple[str, list[Any]]]:
    """An address that breaks off after 10 of 1000 bytes, but for its calls from one on; and the calls."""
    calls: list[Any] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"1" * (1000 if len(calls) >= whole_from else 10))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", calls
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.usefixtures("nobody_listens")
def test_an_answer_that_breaks_off_in_the_middle_is_told_of_and_asked_for_again(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raydistill.storage.patience.PAUSE_SECONDS", 0.01)
    with breaking_off(whole_from=3) as (address, calls):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(StoreUnavailableError, match=r"^cannot read s3://bucket-.*check the connection") as caught:
            Store(f"{bucket.uri}/other").read("x")
        assert caught.value.is_silent
        assert Store(f"{bucket.uri}/other", is_patient=True).read("x") == b"1" * 1000
    assert len(calls) == 3


@pytest.mark.usefixtures("nobody_listens")
@pytest.mark.parametrize(
    ("size", "seconds", "words"), [(1, 60.0, "Read timeout"), (30_000_000, 0.5, "it has not taken the file in time; give")]
)
def test_a_store_that_takes_calls_and_never_answers_is_told_of(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, size: int, seconds: float, words: str
) -> None:
    """A write, too: botocore asks first whether it may be sent, and would wait for that answer without an end.

    The second is larger than what the kernel takes in for a process that reads nothing, so its sending does not end.
    """
    monkeypatch.setattr(store_module, "SEND_SECONDS", seconds)
    monkeypatch.setattr(store_module, "SEND_BYTES_PER_SECOND", 30_000_000)
    brief = {"connect_timeout": 1, "read_timeout": 0.5, "retries": {"total_max_attempts": 1, "mode": "standard"}}
    monkeypatch.setitem(remote.S3_OPTIONS, "config_kwargs", brief)
    told: list[str] = []

    def write() -> None:
        try:
            Store(f"{bucket.uri}/other").write("x", b"1" * size)
        except StoreError as error:
            told.append(str(error))

    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the calls
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        thread.join()
    assert len(told) == 1
    assert words in told[0]


@pytest.mark.usefixtures("nobody_listens")
def test_a_profile_that_does_not_exist_is_reported(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    said = r"^s3://bucket-.*/x cannot be opened: .*\(nobody\) could not be found; correct the profile, end point or"
    with pytest.raises(StoreError, match=said):
        Store(bucket.uri).read("x")


def test_a_password_in_an_end_point_is_in_no_message(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, nobody_listens: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:hidden@{nobody_listens}")
    with pytest.raises(StoreError) as caught:
        Store(f"{bucket.uri}/other").check_writable()
    assert "hidden" not in str(caught.value)


def test_missing_credentials_are_reported(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    code = f"from raydistill.storage.store import Store; Store({bucket.uri!r}).check_writable()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "StoreError: cannot write" in ended.stderr
    assert "Unable to locate credentials" in ended.stderr


@pytest.mark.parametrize("uri", ["s3://key:secret@bucket/studies", "sftp://me:secret@host/studies"])
def test_a_uri_with_credentials_is_refused_without_repeating_them(uri: str) -> None:
    with pytest.raises(
        StoreError, match=r"^(s3|sftp)://\*\*\*@.* contains credentials, but URIs are written .*: remove them, and set"
    ) as caught:
        Store(uri)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["X-Amz-Signature", "AWSAccessKeyId", "sas-token"])
def test_a_signed_uri_is_refused_without_repeating_its_signature(key: str) -> None:
    with pytest.raises(StoreError, match=rf"^https://host/x\?{key}=\*\*\*&v=1 contains credentials") as caught:
        Store(f"https://host/x?{key}=hunter2&v=1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("root", ["/local/x?key=1", "s3://bucket/a?b=1"])
def test_a_question_mark_alone_is_no_signature(root: str) -> None:
    assert Store(root).root == root


def test_credentials_that_the_server_does_not_know_are_reported(bucket: Bucket) -> None:
    with (
        strict(bucket),
        pytest.raises(StoreError, match=r"^cannot write s3://bucket-.*; give a folder or URI that can be written"),
    ):
        Store(f"{bucket.uri}/studies").check_writable()


@contextmanager
def strict(bucket: Bucket) -> Iterator[None]:
    """moto accepts all credentials until authentication is switched on; then it knows none."""

    def let_in(actions: str) -> None:
        headers = {"Content-Type": "text/plain"}
        url = f"{bucket.endpoint}/moto-api/reset-auth"
        urllib.request.urlopen(urllib.request.Request(url, data=actions.encode(), headers=headers)).read()

    let_in("0")
    try:
        yield
    finally:
        let_in("Infinity")


def test_a_user_without_a_password_may_stand_in_a_uri() -> None:
    assert Store("abfs://container@account/studies").root == "abfs://container@account/studies"


def test_a_scheme_that_nobody_serves_is_refused() -> None:
    with pytest.raises(StoreError, match=r"^nosuch://x/y cannot be opened \(.*\); s3:// needs the extra .*: install it, or give"):
        Store("nosuch://x").read("y")


def test_a_guard_stays_in_its_process() -> None:
    guarded = Store("memory://x", guard=lambda: None)
    assert guarded.at("a").guard is not None
    assert pickle.loads(pickle.dumps(guarded)).guard is None


def test_a_write_and_a_read_are_one_request_each(bucket: Bucket) -> None:
    store = Store(f"{bucket.uri}/study")
    store.write("a/x", "1")
    store.read_or_none("a/x")
    store.read_or_none("a/none")
    store.delete("a/x")
    assert [line.split()[0] for line in bucket.requests] == ["PUT", "GET", "GET", "DELETE"]
