"""The command that searches on Ray: killed, interrupted, terminated, and without its terminal or its Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_search import TINY, records, search, states

pytest.importorskip("ray")

import psutil

from raydistill.search.on_ray.capacity import live_nodes

pytestmark = pytest.mark.ray


def command(folder: Path, *options: str) -> subprocess.Popen[str]:
    """The command in a session of its own; without an address it has a cluster of its own."""
    (folder / "tiny.yaml").write_text(TINY)
    code = "from raydistill.cli import main; main()"
    arguments = ["search", str(folder / "tiny.yaml"), "--store", str(folder), *options]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=environment,
        # Tests that a shell started in the background ignore Ctrl-C, those under nohup SIGHUP, and so would their processes.
        preexec_fn=heed_signals,
    )


def heed_signals() -> None:
    """Have a process end by signals that its parent ignores."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.05)


def has_begun(folder: Path, ask_number: int) -> bool:
    """Whether a trial has taken its first reading; on a busy machine it may have ended too when that is seen."""
    for path in (folder / "made-up" / "trials").glob("*/config.json"):
        if json.loads(path.read_text())["ask_number"] == ask_number:
            return any(path.with_name(name).exists() for name in ("progress.json", "record.json"))
    return False


@pytest.mark.usefixtures("cluster")
def test_a_killed_search_resumes_to_the_same_records(with_baseline: Path, locally: Path) -> None:
    killed = command(with_baseline)
    wait_for(lambda: has_begun(with_baseline, 1), killed)
    killed.kill()
    killed.wait()
    before = records(with_baseline)
    search(with_baseline)
    assert before.items() <= records(with_baseline).items()
    assert records(with_baseline) == records(locally)
    assert states(with_baseline) == ["COMPLETE"] * 3


def test_an_interrupted_search_says_how_to_go_on_and_leaves_the_cluster_as_it_was(with_baseline: Path, cluster: str) -> None:
    # Of so many steps that the trial is not done before the interrupt arrives.
    process = command(with_baseline, "--address", cluster, "--set", "method.random_inits=100000")
    wait_for(lambda: has_begun(with_baseline, 0), process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "Interrupted. Finished work is saved; this continues:" in output
    assert "Traceback" not in output
    assert states(with_baseline) == ["WAITING"]
    assert len(live_nodes()) == 1


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """All that the command has started, its Ray included."""
    return psutil.Process(process.pid).children(recursive=True)  # type: ignore[no-any-return]


def begun(folder: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A search on a cluster of its own, in a trial that does not end by itself, and its children."""
    process = command(folder, "--set", "method.random_inits=100000")
    wait_for(lambda: has_begun(folder, 0), process)
    return process, children_of(process)


def ends(process: subprocess.Popen[str], children: list[psutil.Process], seconds: float) -> str:
    """What it says; it and all its children are gone within that time."""
    output, _ = process.communicate(timeout=seconds)
    _, left = psutil.wait_procs(children, timeout=seconds)
    assert left == []
    return output


GONE_SECONDS = 60.0
"""What is promised is ten seconds to end, and thirty until a lost Ray is told; the machine of a test may be busy."""


@pytest.mark.usefixtures("cluster")
def test_a_terminated_search_resumes_to_the_same_records(with_baseline: Path, locally: Path) -> None:
    terminated = command(with_baseline)
    wait_for(lambda: has_begun(with_baseline, 1), terminated)
    children = children_of(terminated)
    terminated.send_signal(signal.SIGTERM)
    output = ends(terminated, children, GONE_SECONDS)
    assert terminated.returncode == 143, output
    (line,) = (line for line in output.splitlines() if line.startswith("Interrupted"))
    assert line == "Interrupted by SIGTERM. Finished work is saved; this continues:"
    assert not any(word in output for word in ("Traceback", "SIGABRT", "*** "))
    before = records(with_baseline)
    search(with_baseline)
    assert before.items() <= records(with_baseline).items()
    assert records(with_baseline) == records(locally)


def test_a_search_whose_terminal_is_closed_leaves_nothing_running(with_baseline: Path) -> None:
    process, children = begun(with_baseline)
    process.send_signal(signal.SIGHUP)
    output = ends(process, children, GONE_SECONDS)
    assert process.returncode == 129, output
    assert "Interrupted by SIGHUP. Finished work is saved; this continues:" in output


@pytest.mark.parametrize(("name", "words"), [("raylet", "the raylet, which runs"), ("gcs_server", "the GCS, Ray's head process")])
def test_a_search_that_loses_ray_says_so(with_baseline: Path, name: str, words: str) -> None:
    process, children = begun(with_baseline)
    (lost,) = (child for child in children if child.name() == name)
    lost.kill()
    output = ends(process, children, GONE_SECONDS)
    assert process.returncode == 1, output
    assert f"\nError: Ray has ended under the search: {words}" in output
    assert "\nFinished work is saved; this continues:\n  raydistill search " in output
    assert records(with_baseline) == {}
