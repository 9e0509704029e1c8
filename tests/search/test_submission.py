"""A search as a job on a cluster: the checks here, the submitted job, the printed lines."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from hand_made import SMALL
from typer.testing import CliRunner

from raydistill.cli import app
from raydistill.errors import InputError, SpaceError, StoreError
from raydistill.search import submission
from raydistill.search.submission import plan_submission, submitted_lines
from raydistill.storage.record import code_sha256


def test_the_job_is_a_search_on_the_head(tmp_path: Path) -> None:
    file = tmp_path / "my space.yaml"
    file.write_text(yaml.safe_dump(SMALL))
    planned = plan_submission(
        str(file), store="s3://bucket/studies", data_root="/shared/data", trials=7, overrides=["ipc={low: 1, high: 9}"]
    )
    assert planned.command == (
        "raydistill search 'my space.yaml' --address auto --store s3://bucket/studies --data-root /shared/data --trials 7 "
        "--set 'ipc={low: 1, high: 9}'"
    )
    assert shlex.join(planned.again) == (
        f"raydistill submit '{file}' --store s3://bucket/studies --data-root /shared/data --trials 7 "
        "--set 'ipc={low: 1, high: 9}'"
    )
    assert planned.space_file == file
    assert planned.space.budget.trials == 7


def test_what_no_option_asks_for_is_not_sent() -> None:
    planned = plan_submission("digits_random", store="/shared/studies", accept_code_change=True)
    assert planned.command == ("raydistill search digits_random.yaml --address auto --store /shared/studies --accept-code-change")


def test_the_dashboard_shows_study_data_set_method_goal_and_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "commit", lambda: "abc-dirty")
    assert plan_submission("digits_random", store="/shared/studies").metadata == {
        "job_name": "raydistill:digits-random",
        "study": "digits-random",
        "dataset": "digits",
        "method": "random",
        "goal": "gap within 2.00 points at 95 % confidence",
        "commit": "abc-dirty",
    }


def test_without_a_checkout_the_dashboard_shows_the_hash_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "commit", lambda: None)
    assert plan_submission("digits_random", store="/shared/studies").metadata["commit"] == f"code {code_sha256()[:12]}"


@pytest.mark.parametrize("store", ["studies", "~/studies", "./studies"])
def test_a_store_that_each_machine_reads_in_its_own_way_is_refused(store: str) -> None:
    with pytest.raises(InputError) as caught:
        plan_submission("digits_random", store=store)
    assert str(caught.value) == (
        f"--store {store} is a relative path; every node must find the same folder: give "
        "an absolute path or a URI, like /shared/studies or s3://bucket/studies"
    )


@pytest.mark.parametrize("where", ["store", "data_root"])
def test_credentials_in_a_uri_are_not_sent(where: str) -> None:
    given = {"store": "/shared/studies", where: "s3://key:secret@bucket/folder"}
    with pytest.raises(StoreError, match=r"s3://\*\*\*@bucket/folder contains credentials") as raised:
        plan_submission("digits_random", **given)
    assert "secret" not in str(raised.value)


def test_a_relative_data_root_is_refused() -> None:
    with pytest.raises(InputError, match=r"--data-root data is a relative path; every node must find the same folder"):
        plan_submission("digits_random", store="/shared/studies", data_root="data")


def test_all_mistakes_of_a_space_are_reported_before_anything_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "ipc": 0, "goal": {"margin": 0.02}}))
    with pytest.raises(SpaceError, match="3 mistakes"):
        plan_submission(str(file), store="/shared/studies")


def test_a_space_is_checked_without_data_that_lies_on_the_cluster(tmp_path: Path) -> None:
    file = tmp_path / "folder.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "dataset": {"name": "image_folder", "path": "/shared/cats", "size": 32}}))
    assert plan_submission(str(file), store="/shared/studies").metadata["dataset"] == "image_folder"


def test_digits_are_checked_against_their_images() -> None:
    with pytest.raises(SpaceError, match="the smallest class has 77 train images"):
        plan_submission("digits_random", store="/shared/studies", overrides=["ipc=80"])


def test_the_printed_lines_say_how_to_follow_and_stop_the_job() -> None:
    planned = plan_submission("digits_random", store="/shared/studies")
    lines = submitted_lines(planned, "http://127.0.0.1:8265", "raysubmit_1", "/shared/studies", allow_unauthenticated=False)
    assert lines.splitlines()[1:3] == [
        "Follow     RAY_AUTH_MODE=token ray job logs --address http://127.0.0.1:8265 --follow raysubmit_1",
        "Status     raydistill status digits-random --store /shared/studies  # on any machine that sees the store",
    ]
    assert "\nEnd        RAY_AUTH_MODE=token ray job stop --address http://127.0.0.1:8265 raysubmit_1" in lines
    open_cluster = submitted_lines(planned, "http://h:8265", "raysubmit_1", "/shared/studies", allow_unauthenticated=True)
    assert "RAY_AUTH_MODE" not in open_cluster


def test_the_command_plans_sends_and_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    def send(planned: submission.Submission, address: str, *, allow_unauthenticated: bool) -> str:
        sent.append((planned.command, address, allow_unauthenticated))
        return "raysubmit_1"

    monkeypatch.setattr(submission, "submit", send)
    words = ["submit", "digits_random", "--store", "/shared/studies", "--trials", "3", "--address", "http://h:8265"]
    result = CliRunner().invoke(app, [*words, "--allow-unauthenticated"])
    assert result.exit_code == 0, result.output
    command = "raydistill search digits_random.yaml --address auto --store /shared/studies --trials 3"
    assert sent == [(command, "http://h:8265", True)]
    assert f"Submitted  raydistill:digits-random as raysubmit_1: {command}" in result.output


def test_a_submission_that_cannot_be_ends_with_2() -> None:
    result = CliRunner().invoke(app, ["submit", "digits_random", "--store", "studies"])
    assert (result.exit_code, result.stderr.startswith("Error: --store studies is a relative path;")) == (2, True)
