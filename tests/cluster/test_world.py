"""Hosts out of namespaces: what they are, what they need, and that nothing is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import world as world_module
from world import CannotMakeHostsError, World, refuse_without_means

HOLDS = """
import sys, time
from pathlib import Path
from world import World
with World(Path(sys.argv[1]), []):
    print("up", flush=True)
    time.sleep(3600)
"""


def processes_of(folder: Path) -> list[str]:
    """Command lines that name a folder, and whatever runs below them."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_text()
        except OSError:
            continue
        if str(folder) in words and int(path.name) != os.getpid():
            found.append(words)
    return found


@pytest.mark.cluster
def test_hosts_have_names_addresses_and_processes_of_their_own_and_share_a_folder(tmp_path: Path) -> None:
    with World(tmp_path / "world", []) as world:
        world.run("w1", "echo from $(hostname) > /shared/said; echo here > /only-here; sleep 600 > /dev/null 2>&1 &")
        assert (world.shared / "said").read_text() == "from w1\n"
        assert "sleep 600" in world.run("w1", "ps ax").stdout
        assert "sleep 600" not in world.run("w2", "ps ax").stdout
        assert "No such file" in world.run("w2", "ls /only-here || true").stdout
        ssh = f"ssh -o StrictHostKeyChecking=no -o LogLevel=ERROR root@{world_module.ADDRESSES['w2']}"
        assert world.run("laptop", f"{ssh} 'hostname; pwd'").stdout == "w2\n/home/raydistill\n"
    assert not Path("/only-here").exists()
    assert processes_of(tmp_path) == []


@pytest.mark.cluster
def test_no_route_leads_out(tmp_path: Path) -> None:
    with World(tmp_path / "world", [], ["laptop"]) as world:
        assert world.run("laptop", "ip route").stdout.split()[:3] == ["10.77.0.0/24", "dev", "eth0"]


@pytest.mark.cluster
def test_a_command_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    with (
        World(tmp_path / "world", [], ["laptop"]) as world,
        pytest.raises(AssertionError, match=f"laptop: ls {missing} ended with 2:"),
    ):
        world.run("laptop", f"ls {missing}")


@pytest.mark.cluster
def test_nothing_is_left_of_the_hosts_of_a_test_that_is_killed(tmp_path: Path) -> None:
    links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "world")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as test:
        assert test.stdout
        assert test.stdout.readline() == "up\n"
        assert len(processes_of(tmp_path)) > 4
        test.send_signal(signal.SIGKILL)
    while processes_of(tmp_path):  # if some stay, to pytest's limit
        time.sleep(0.05)
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout == links


@pytest.mark.cluster
def test_hosts_that_cannot_be_made_are_told_of_with_the_cause(tmp_path: Path) -> None:
    with pytest.raises(CannotMakeHostsError, match=r"(?s)cannot be made here:.*KeyError: 'nobody'"):
        World(tmp_path / "world", [], ["nobody"]).__enter__()
    assert processes_of(tmp_path) == []


def test_without_root_and_packages_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(world_module, "PROGRAMS", {"no-such-program": "some-package", "nor-this": "other-package"})
    with pytest.raises(CannotMakeHostsError) as caught:
        refuse_without_means()
    assert str(caught.value) == (
        "hosts out of namespaces need root, to make namespaces: run it with sudo; and the packages other-package some-package: "
        "apt-get install other-package some-package"
    )
