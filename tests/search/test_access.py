"""Clusters that can and cannot be used: without a token, with a wrong one, without authentication, or not running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from made_up import Told

ray = pytest.importorskip("ray")

from ray._private import services  # noqa: E402
from ray.job_submission import JobSubmissionClient  # noqa: E402

from raydistill.errors import ClusterError  # noqa: E402
from raydistill.search.on_ray import RayExecutor, access  # noqa: E402
from raydistill.search.on_ray.access import has_authentication, join, token_headers  # noqa: E402
from raydistill.search.on_ray.submit import submit_job  # noqa: E402
from raydistill.spaces.sections import ResourcesConfig  # noqa: E402

pytestmark = [pytest.mark.ray, pytest.mark.jobs]

CLUSTER = """
import ray, sys
from raydistill.search.on_ray.access import be_patient
be_patient()
context = ray.init(address="local", num_cpus=1, log_to_driver=False, _temp_dir=sys.argv[1])
print(context.address_info["gcs_address"], "http://" + context.dashboard_url, flush=True)
sys.stdin.read()
"""
JOIN = """
import sys
from raydistill.search.on_ray import access
init, asked = access.ray.init, []
access.ray.init = lambda **given: asked.append(given) or init(**given)
access.WAIT_SECONDS = 600  # a cluster on a busy machine answers late
try:
    access.join(sys.argv[1])
except access.ClusterError as error:
    # Ray alone takes 20 seconds to say less, so it must not have been asked.
    print(error, "after Ray was asked" if asked else "")
else:
    print("joined")
"""
TOKEN = "0123456789abcdef" * 4
LOOKED_FOR = "RAY_AUTH_TOKEN, then the file that RAY_AUTH_TOKEN_PATH names, then ~/.ray/auth_token"

PATIENCE_SECONDS = 300
"""For the part of a cluster that takes jobs; it comes up within seconds on a quiet machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """Addresses of one in a process of its own."""

    gcs: str
    dashboard: str


@contextmanager
def cluster(folder: Path, **environment: str) -> Iterator[Cluster]:
    """A cluster that ends when its process is told to."""
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(folder)],
        env=without_ray() | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        gcs, dashboard = process.stdout.readline().split()
        try:
            yield Cluster(gcs=gcs, dashboard=dashboard)
        finally:
            process.stdin.close()


def without_ray() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}


@pytest.fixture(scope="module")
def started(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster in the mode of authentication that a test is marked with; one after another, since their agents share a port."""
    # Ray's sockets lie in its folder, and their paths may have 107 letters at most.
    with cluster(tmp_path_factory.mktemp("r"), RAY_AUTH_MODE=request.param, RAY_AUTH_TOKEN=TOKEN) as made:
        yield made


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster on a busy machine answers late."""
    monkeypatch.setattr(access, "WAIT_SECONDS", 600)


guarded = pytest.mark.parametrize("started", ["token"], indirect=True)
unguarded = pytest.mark.parametrize("started", ["disabled"], indirect=True)


@pytest.fixture
def no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A home without a token, and nothing said about Ray."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What goes with a job: one file."""
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "space.yaml").write_text("study: here\n")
    return tmp_path / "job"


def joined(address: str, home: Path, **environment: str) -> str:
    """How `join` ends in a process of its own, since Ray reads its settings once."""
    done = subprocess.run(
        [sys.executable, "-c", JOIN, address],
        env={**without_ray(), "HOME": str(home), **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@guarded
def test_a_search_without_a_token_reports_where_it_is_looked_for(started: Cluster, tmp_path: Path) -> None:
    assert joined(started.gcs, tmp_path) == (
        f"the cluster at {started.gcs} requires a token, and none was sent. Ray looks for it in {LOOKED_FOR}; RAY_AUTH_MODE is "
        "unset. Put the cluster's token there (the one of the machine where `ray up` ran) and set RAY_AUTH_MODE=token"
    )


@guarded
def test_a_search_with_a_wrong_token_is_reported(started: Cluster, tmp_path: Path) -> None:
    said = joined(started.gcs, tmp_path, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="f" * 64)
    assert f"requires a token, and the token of this machine is a different one. Ray looks for it in {LOOKED_FOR}" in said


@guarded
def test_token_mode_without_a_token_is_reported(started: Cluster, tmp_path: Path) -> None:
    assert "requires a token, and none was sent" in joined(started.gcs, tmp_path, RAY_AUTH_MODE="token")


@guarded
def test_a_search_with_the_token_joins(started: Cluster, tmp_path: Path) -> None:
    assert joined(started.gcs, tmp_path, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN) == "joined"


@guarded
def test_a_token_that_is_found_is_sent_to_a_given_address_when_the_cluster_asks_for_it(started: Cluster, tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(TOKEN)
    assert joined(started.gcs, tmp_path) == "joined"


@guarded
def test_a_token_is_not_sent_against_the_users_word(started: Cluster, tmp_path: Path) -> None:
    said = joined(started.gcs, tmp_path, RAY_AUTH_MODE="disabled", RAY_AUTH_TOKEN=TOKEN)
    assert "requires a token, and none was sent" in said
    assert "RAY_AUTH_MODE is disabled. Put the cluster's token there" in said


@unguarded
def test_a_cluster_that_asks_for_no_token_is_joined_without(started: Cluster, tmp_path: Path) -> None:
    assert joined(started.gcs, tmp_path, RAY_AUTH_TOKEN=TOKEN) == "joined"


def test_a_search_where_no_cluster_is_ends_at_once(tmp_path: Path) -> None:
    assert joined("127.0.0.1:1", tmp_path) == (
        "no Ray cluster answers at 127.0.0.1:1 (UNAVAILABLE); give auto on a node of the cluster, or host:port; to start a "
        "search from a machine that is not a node of the cluster, use `raydistill submit`"
    )


def test_a_cluster_that_starts_here_is_given_time_unless_a_person_has_set_it(no_token: pytest.MonkeyPatch) -> None:
    given: dict[str, str] = {}
    no_token.setenv("RAY_agent_register_timeout_ms", "1")
    no_token.setattr(access.ray, "init", lambda **_: given.update(os.environ))
    join("local")
    assert {name: given[name] for name in access.PATIENCE} == {**access.PATIENCE, "RAY_agent_register_timeout_ms": "1"}


def test_a_client_address_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"^--address ray://h:10001; expected host:port, or auto on a node of the cluster;"):
        join("ray://h:10001")


def test_an_address_of_the_environment_that_is_a_dashboards_is_named_as_that(no_token: pytest.MonkeyPatch) -> None:
    """`ray job` takes it so; nobody gave --address."""
    no_token.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    no_token.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ClusterError, match=r"^RAY_ADDRESS is http://127.0.0.1:8265; .*: unset it, or give --address; to start"):
        RayExecutor(None, ResourcesConfig()).at_once(Told())


def test_auto_without_ray_on_this_machine_is_refused(no_token: pytest.MonkeyPatch) -> None:
    """Another Ray may run on this machine, so Ray is made to find no process of one."""
    no_token.setattr(services, "find_gcs_addresses", set)
    no_token.setattr(services, "find_bootstrap_address", lambda _: None)
    with pytest.raises(ClusterError, match=r"^--address auto: Ray does not run on this machine; run the command on a node"):
        join("auto")


def test_a_cluster_that_this_machine_is_no_node_of_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        raise RuntimeError("no raylet here")

    monkeypatch.setattr(access, "check_gcs", lambda _: None)
    monkeypatch.setattr(access.ray, "init", init)
    with pytest.raises(ClusterError, match=r"^the cluster at h:1 cannot be joined from this machine: no raylet here; to start"):
        join("h:1")
    with pytest.raises(RuntimeError, match="no raylet here"):
        join("local")


@unguarded
def test_a_cluster_without_authentication_is_refused(started: Cluster, folder: Path, no_token: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError) as caught:
        submit_job(started.dashboard, "true", folder, {})
    assert str(caught.value) == (
        f"the cluster at {started.dashboard} requires no token: everyone who can reach it can run any code on its nodes. Only "
        "clusters with RAY_AUTH_MODE=token are accepted: start it as cluster.yaml does, or give --allow-unauthenticated if you "
        "trust everyone who can reach it"
    )
    assert JobSubmissionClient(started.dashboard).list_jobs()[0].submission_id is None


@unguarded
def test_it_is_taken_when_a_person_says_so(started: Cluster, folder: Path, no_token: pytest.MonkeyPatch) -> None:
    job = submitted(started.dashboard, "true", folder, {}, allow_unauthenticated=True)
    assert finished(JobSubmissionClient(started.dashboard), job) == "SUCCEEDED"


@guarded
def test_a_job_runs_in_the_folder_that_was_sent_with_its_name_and_its_variables(
    started: Cluster, folder: Path, no_token: pytest.MonkeyPatch
) -> None:
    no_token.setenv("RAY_AUTH_TOKEN", TOKEN)
    again = {"RAYDISTILL_AGAIN": "raydistill submit 'a b'"}
    job = submitted(
        started.dashboard, "cat space.yaml; echo $RAYDISTILL_AGAIN", folder, {"job_name": "raydistill:here"}, environment=again
    )
    client = JobSubmissionClient(started.dashboard, headers={"Authorization": f"Bearer {TOKEN}"})
    assert finished(client, job) == "SUCCEEDED"
    logs = client.get_job_logs(job)
    assert "study: here" in logs
    assert "raydistill submit 'a b'" in logs
    assert client.get_job_info(job).metadata["job_name"] == "raydistill:here"


def submitted(*arguments: Any, **options: Any) -> str:
    """A job of a cluster that has just been started: on a busy machine the part of it that takes jobs comes up last.

    It never comes up where another cluster of this machine holds its port, 52365: the last error says so then.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return submit_job(*arguments, **options)
        except ClusterError as error:
            if "No available agent to submit job, please try again later" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.2)


def finished(client: JobSubmissionClient, job: str) -> str:
    """The state in which a job ends."""
    while not client.get_job_status(job).is_terminal():
        time.sleep(0.2)
    return client.get_job_status(job).value


@guarded
def test_a_job_without_a_token_is_refused(started: Cluster, folder: Path, no_token: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match=rf"requires a token, and none was sent. Ray looks for it in {LOOKED_FOR}"):
        submit_job(started.dashboard, "true", folder, {})


@guarded
def test_a_job_with_a_wrong_token_is_refused(started: Cluster, folder: Path, no_token: pytest.MonkeyPatch) -> None:
    no_token.setenv("RAY_AUTH_TOKEN", "f" * 64)
    with pytest.raises(ClusterError, match="requires a token, and the token of this machine is a different one"):
        submit_job(started.dashboard, "true", folder, {})


def test_the_token_is_found_in_the_home_folder(tmp_path: Path, no_token: pytest.MonkeyPatch) -> None:
    assert token_headers() == {}
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("f" * 64)
    assert token_headers() == {"authorization": f"Bearer {'f' * 64}"}


def test_a_variable_that_leads_to_no_token_is_reported(no_token: pytest.MonkeyPatch) -> None:
    no_token.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere")
    with pytest.raises(ClusterError, match=r"^the token cannot be read \(.*/nowhere\); Ray looks for it in RAY_AUTH_TOKEN, then"):
        token_headers()


def test_an_address_that_ray_would_take_in_place_of_ours_is_refused(folder: Path, no_token: pytest.MonkeyPatch) -> None:
    no_token.setenv("RAY_ADDRESS", "http://elsewhere:8265")
    with pytest.raises(
        ClusterError, match=r"^--address is http://here:8265, but RAY_ADDRESS is http://elsewhere:8265, which Ray"
    ):
        submit_job("http://here:8265", "true", folder, {})


@unguarded
def test_a_cluster_that_does_not_take_the_job_is_reported(started: Cluster, folder: Path, no_token: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Request failed with status code 500")

    no_token.setattr(JobSubmissionClient, "submit_job", refuse)
    with pytest.raises(ClusterError, match=r"did not accept the job: Request failed with status code 500; check its dashboard"):
        submit_job(started.dashboard, "true", folder, {}, allow_unauthenticated=True)


@contextmanager
def server(status: int, body: str) -> Iterator[str]:
    """Something on loopback that answers every call alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_a_call_that_is_answered_without_a_token_shows_that_there_is_no_authentication() -> None:
    with server(200, "[]") as dashboard:
        assert not has_authentication(f"{dashboard}/")
    with server(401, "Unauthorized") as dashboard:
        assert has_authentication(dashboard)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "<html>", "answers, but is not a Ray dashboard: give --address http://host:8265"),
        (200, json.dumps({"jobs": []}), "answers, but is not a Ray dashboard"),
        (404, "", "answers with HTTP 404, so it is not a Ray dashboard: give --address"),
    ],
    ids=["a page", "another program", "no such page"],
)
def test_what_is_no_dashboard_is_reported(status: int, body: str, said: str) -> None:
    with server(status, body) as dashboard, pytest.raises(ClusterError, match=said):
        has_authentication(dashboard)


def test_an_address_where_nothing_answers_is_reported() -> None:
    with pytest.raises(ClusterError, match=r"^nothing answers at http://127.0.0.1:1 \(.*refused\); give --address http://host"):
        has_authentication("http://127.0.0.1:1")


def test_an_address_of_another_kind_is_reported() -> None:
    with pytest.raises(ClusterError, match=r"^--address 127.0.0.1:8265; expected the address of a Ray dashboard: give --address"):
        has_authentication("127.0.0.1:8265")
