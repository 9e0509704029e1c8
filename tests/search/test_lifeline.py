"""How a search notices that Ray has ended, with a Ray that only answers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray")
import psutil  # comes with ray

from raydistill.errors import ClusterError, ClusterLostError
from raydistill.search.on_ray import access, lifeline, private, starting
from raydistill.search.on_ray.access import kill_with_children, started_here
from raydistill.search.on_ray.lifeline import Lifeline, look_at_joined, look_at_own, look_at_starting
from raydistill.search.on_ray.private import ThisNode


class Answers:
    """What is gone, and the time, as a test sets them."""

    def __init__(self, gone: str | None = None) -> None:
        self.gone = gone
        self.now = 0.0

    def line(self, patience_seconds: float) -> Lifeline:
        return Lifeline(lambda: self.gone, patience_seconds, clock=lambda: self.now)


def test_a_ray_that_is_gone_for_as_long_as_that_is_lost() -> None:
    ray = Answers()
    line = ray.line(25.0)
    seen = []
    for now, gone in ((0, None), (10, "the GCS"), (34, "the GCS"), (35, "the GCS")):
        ray.now, ray.gone = now, gone
        seen.append(line.look_once())
    assert seen == [False, False, False, True]
    with pytest.raises(ClusterLostError, match=r"^Ray has ended under the search: the GCS$"):
        line.check()


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_doubt_is_waited_for_until_it_is_certain(monkeypatch: pytest.MonkeyPatch, *, comes_back: bool) -> None:
    """Gone from the first look on, for two looks or for as long as that is lost."""
    ray = Answers("the GCS")
    line = ray.line(5.0)

    def sleep(seconds: float) -> None:
        ray.now += seconds
        if comes_back and ray.now == 2 * seconds:
            ray.gone = None

    monkeypatch.setattr(lifeline.time, "sleep", sleep)
    with nullcontext() if comes_back else pytest.raises(ClusterLostError, match="the GCS"):
        line.look_until_certain()
    assert ray.now == (4.0 if comes_back else 6.0)


def test_a_ray_that_answers_again_is_not_lost() -> None:
    ray = Answers()
    line = ray.line(25.0)
    for now, gone in ((10, "the GCS"), (30, None), (40, "the GCS"), (60, "the GCS")):
        ray.now, ray.gone = now, gone
        assert not line.look_once()
    line.check()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifeline, "LOOK_SECONDS", 0.01)


@pytest.mark.usefixtures("often")
def test_the_end_of_ray_interrupts_what_waits_for_it() -> None:
    before = signal.getsignal(signal.SIGUSR2)
    line = Answers(gone="the raylet").line(0.0)
    with pytest.raises(ClusterLostError, match="the raylet"), line.held():
        threading.Event().wait()
    assert signal.getsignal(signal.SIGUSR2) == before


def test_an_error_whose_cause_is_the_end_of_ray_says_that() -> None:
    line = Answers(gone="the raylet").line(0.0)
    with pytest.raises(ClusterLostError, match="the raylet"), line.held():
        raise ValueError("an actor died")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_while_ray_lives_stays_as_it_is(error: type[BaseException]) -> None:
    with pytest.raises(error), Answers().line(0.0).held():
        raise error


@pytest.mark.usefixtures("often")
def test_in_another_thread_the_end_of_ray_is_left_to_a_check() -> None:
    ray = Answers()
    caught: list[BaseException] = []

    def run() -> None:
        line = ray.line(0.0)
        try:
            with line.held():
                ray.gone = "the GCS"
                while line.lost is None:
                    time.sleep(0.01)
                line.check()
        except ClusterLostError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [str(error) for error in caught] == ["Ray has ended under the search: the GCS"]


def test_a_cluster_of_our_own_is_gone_when_a_process_of_it_has_ended() -> None:
    dead: list[Any] = [("dashboard", None)]
    look = look_at_own(ThisNode(SimpleNamespace(dead_processes=lambda: dead)))  # type: ignore[arg-type]
    assert look() is None
    dead.append(("gcs_server", None))
    assert look() == "the GCS, Ray's head process, has ended"


def test_a_cluster_that_was_joined_is_gone_with_the_raylet_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifeline, "check_gcs", lambda address: None)
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    look = look_at_joined(ThisNode(SimpleNamespace(gcs_address="10.0.0.1:6379", raylet_socket_name="raylet")))  # type: ignore[arg-type]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raylet:
        raylet.bind("raylet")
        raylet.listen()
        assert look() is None
    assert look() == "the raylet, which runs the jobs of this machine, has ended"


def test_a_cluster_that_was_joined_is_gone_when_its_gcs_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(address: str) -> None:
        raise ClusterError("no Ray cluster answers")

    monkeypatch.setattr(lifeline, "check_gcs", silent)
    monkeypatch.setattr(lifeline, "_answers", lambda path: True)
    look = look_at_joined(ThisNode(SimpleNamespace(gcs_address="10.0.0.1:6379", raylet_socket_name="raylet")))  # type: ignore[arg-type]
    assert look() == "the GCS, Ray's head process, does not answer at 10.0.0.1:6379"


def test_a_process_is_killed_with_all_that_it_has_started() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(60)'])"
    reaped = subprocess.Popen(["true"])
    reaped.wait()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        kill_with_children([process.pid, reaped.pid])
        # The pipe ends with the last process that holds it.
        assert process.stdout.read() == ""
    assert process.returncode == -signal.SIGKILL


def test_a_raylet_that_ends_while_ray_starts_is_noticed(tmp_path: Path) -> None:
    """A process of ours by its name, as Ray starts it."""
    raylet = tmp_path / "raylet"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", raylet)
    with subprocess.Popen([raylet, "60"]) as process:
        assert look_at_starting() is None
        process.kill()
        while (said := look_at_starting()) is None:
            time.sleep(0.01)
    assert said.startswith("the raylet, which runs the jobs of this machine, has ended while it started")


def test_a_process_that_is_gone_while_it_is_looked_at_does_not_end_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two children, as psutil shows them: the first has been waited for in between."""

    def status() -> str:
        raise lifeline.psutil.NoSuchProcess(1)

    gone = SimpleNamespace(status=status, name=lambda: "gone")
    raylet = SimpleNamespace(status=lambda: lifeline.psutil.STATUS_ZOMBIE, name=lambda: "raylet")
    monkeypatch.setattr(lifeline.psutil, "Process", lambda: SimpleNamespace(children=lambda: [gone, raylet]))
    said = look_at_starting()
    assert said is not None
    assert said.startswith("the raylet, which runs the jobs of this machine, has ended while it started")


def test_an_outage_counts_from_the_moment_at_which_the_look_at_it_began() -> None:
    """Each look takes 10 s, in vain: begun at 0, the third one ends at 30."""
    now = [0.0]

    def look() -> str:
        now[0] += 10.0
        return "the GCS"

    line = Lifeline(look, 30.0, clock=lambda: now[0])
    assert [line.look_once() for _ in range(3)] == [False, False, True]


STUCK = """
import ctypes
from raydistill.search.on_ray import lifeline, starting
lifeline.LOOK_SECONDS, lifeline.STUCK_SECONDS = 0.01, 0.1
libc, held = ctypes.CDLL(None), ctypes.create_string_buffer(64)
with lifeline.Lifeline(lambda: "the GCS", 0.0).held():
    for _ in range(2):
        libc.pthread_mutex_lock(held)
"""
"""The second call waits for what never comes, in C, and no signal ends it."""


def test_a_search_that_is_stuck_in_ray_is_ended_in_words_of_its_own() -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (
        1,
        "Error: Ray has ended under the search: the GCS\nFinished work is saved; run the same command again to continue.\n",
    )


def test_the_last_lines_of_a_raylet_are_left_out_and_all_else_that_ray_says_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []

    def print_all(data: dict[str, Any], *, ignore_prefix: bool) -> None:
        printed.extend(data["lines"])

    monkeypatch.setattr(starting.worker, "print_to_stdstream", print_all)
    with starting.without_last_lines_of_raylet():
        for text in ("Raylet is terminated. Termination is unexpected.", "A node died."):
            starting.worker.print_to_stdstream({"lines": [text], "pid": "raylet"}, ignore_prefix=False)
    assert printed == ["A node died."]
    assert starting.worker.print_to_stdstream is print_all


@contextmanager
def told_to_end(seconds: float) -> Iterator[None]:
    """Told after so many seconds, as by Ctrl-C."""

    def ring(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_wait_for_a_gcs_that_does_not_come_up_can_be_ended(tmp_path: Path) -> None:
    """In C++ it would go on for its ten minutes."""
    with pytest.raises(KeyboardInterrupt), told_to_end(0.5), starting.interruptible():
        starting.node.wait_for_persisted_port(str(tmp_path), "ab" * 28, "gcs", timeout_ms=600_000)


def test_a_gcs_that_does_not_come_up_in_its_time_is_rays_own_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Timed out waiting for file"), starting.interruptible():
        starting.node.wait_for_persisted_port(str(tmp_path), "ab" * 28, "gcs", timeout_ms=300)


def nodes(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """A GCS whose nodes, by id, are these one after another, the last for ever."""
    left = list(answers)

    class State:
        def _initialize_global_state(self, options: object) -> None: ...

        def node_table(self) -> list[dict[str, str]]:
            return [{"NodeID": name} for name in (left.pop(0) if len(left) > 1 else left[0])]

    monkeypatch.setattr(private, "GlobalState", State)
    monkeypatch.setattr(starting, "STEP_SECONDS", 0.01)
    monkeypatch.setattr(starting.services, "_get_gcs_client_options", lambda address: None)
    monkeypatch.setattr(starting.services, "get_node", lambda address, node_id: f"{node_id} at {address}")


def test_the_raylet_of_this_node_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, [], ["another"], ["another", "ours"])
    with starting.interruptible():
        assert starting.services.get_node("here", "ours") == "ours at here"


def test_a_raylet_that_does_not_come_up_is_an_error_as_rays_own(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, ["another"])
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "0.05")
    with pytest.raises(RuntimeError, match=r"^the raylet of node ours has not come up$"), starting.interruptible():
        starting.services.get_node("here", "ours")


PRINTS = """
import os, sys
import ray
from raydistill.search.on_ray import starting

def make(text):
    os.write(2, b"C++ says this\\n")
    print("Python says", text, os.environ.get(starting.LOG_LEVEL), file=sys.stderr)

ray._raylet.CoreWorker = make
with starting.quiet():
    ray._raylet.CoreWorker("that")
assert ray._raylet.CoreWorker is make
print(os.environ.get(starting.LOG_LEVEL), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("level", "said"),
    [(None, "Python says that fatal\nNone\n"), ("info", "C++ says this\nPython says that info\ninfo\n")],
)
def test_what_ray_prints_in_c_while_it_joins_is_not_heard_unless_a_level_is_set(level: str | None, said: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != starting.LOG_LEVEL}
    environment |= {} if level is None else {starting.LOG_LEVEL: level}
    ended = subprocess.run([sys.executable, "-c", PRINTS], capture_output=True, text=True, check=True, env=environment)
    assert ended.stderr == said


ABORTS = """
import os
import ray
from raydistill.search.on_ray import starting

def make():
    os.write(2, b"*** SIGABRT received ***\\n")
    os.abort()

ray._raylet.CoreWorker = make
with starting.quiet():
    ray._raylet.CoreWorker()
"""


def test_a_process_that_ray_ends_while_it_joins_is_survived_by_one_line() -> None:
    environment = {name: value for name, value in os.environ.items() if name != starting.LOG_LEVEL}
    ended = subprocess.run([sys.executable, "-c", ABORTS], capture_output=True, text=True, check=False, env=environment)
    assert (ended.returncode, ended.stderr) == (-signal.SIGABRT, f"{starting.ENDED_BY_RAY}\n")
    assert ended.stderr.startswith("Error: this process was ended while it joined Ray, by Ray itself if the exit code is 134")


HOLDS = """
import ctypes, signal, subprocess, sys, time
import ray
from raydistill.search.on_ray import starting

needed = subprocess.Popen([sys.argv[1], "600"])

def make():
    ctypes.PyDLL(None).sleep(1)  # Python does not run meanwhile
    needed.send_signal(signal.SIGKILL if sys.argv[2] == "ends" else signal.SIGCONT)
    ctypes.PyDLL(None).sleep(20 if sys.argv[2] == "ends" else 3)

starting.PATIENCE_SECONDS = 0.5
ray._raylet.CoreWorker = make
with starting.quiet():
    ray._raylet.CoreWorker()
needed.kill()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Ray's own minute is waited for")
@pytest.mark.parametrize(("state", "ended"), [("ends", -signal.SIGABRT), ("lives", 0)])
def test_a_process_that_waits_in_ray_for_one_that_has_ended_does_not_wait_long(state: str, ended: int, tmp_path: Path) -> None:
    """By its name a process that Ray has started here; what holds Python is a call of C, as in Ray."""
    environment = {name: value for name, value in os.environ.items() if name != starting.LOG_LEVEL}
    gcs = tmp_path / "gcs_server"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", gcs)
    held = subprocess.run(
        [sys.executable, "-c", HOLDS, gcs, state], stderr=subprocess.PIPE, text=True, check=False, env=environment
    )
    assert (held.returncode, held.stderr) == (ended, f"{starting.ENDED_BY_RAY}\n" if ended else "")


INTERRUPTED = """
import os, signal, subprocess, sys, time
import ray
from raydistill.search.on_ray import starting

needed = subprocess.Popen([sys.argv[1], "600"], start_new_session=True)
signal.signal(signal.SIGINT, lambda *_: None)

def make():
    os.killpg(0, signal.SIGINT)

starting.PATIENCE_SECONDS = 0.5
ray._raylet.CoreWorker = make
with starting.quiet():
    ray._raylet.CoreWorker()
needed.kill()
shell = {starting.WAITS, str(os.getpid())}
while any(shell <= set(process.info["cmdline"] or ()) for process in starting.psutil.process_iter(["cmdline"])):
    time.sleep(0.05)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing watches")
def test_a_signal_of_the_terminal_leaves_nothing_that_ends_the_process_later(tmp_path: Path) -> None:
    """It reaches every process in front; the search may go on for a while, and ends its Ray itself."""
    environment = {name: value for name, value in os.environ.items() if name != starting.LOG_LEVEL}
    gcs = tmp_path / "gcs_server"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", gcs)
    command = [sys.executable, "-c", INTERRUPTED, gcs]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, env=environment, start_new_session=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_error_of_ray_while_it_joins_is_its_own(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("no raylet")

    monkeypatch.setattr(starting.raylet, "CoreWorker", fails)
    monkeypatch.delenv(starting.LOG_LEVEL, raising=False)
    with starting.quiet(), pytest.raises(RuntimeError, match=r"^no raylet$"):
        starting.raylet.CoreWorker()
    assert capfd.readouterr().err == ""


def test_what_a_cluster_of_this_process_left_is_killed_with_its_children_and_no_other() -> None:
    """A raylet's agents are nobody's children when it is gone. One of them has begun a process that shows no environment."""
    waits = "import time; time.sleep(600)"
    begins = "import sys, subprocess; print(subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL).pid, flush=True)"

    def orphan(mark: str, *words: str) -> psutil.Process:
        command = [sys.executable, "-c", begins, *words]
        begun = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, access.MARK: mark})
        return psutil.Process(int(begun.stdout))

    with access._marked():
        own = subprocess.Popen([sys.executable, "-c", waits])
        mark = os.environ[access.MARK]
    assert access.MARK not in os.environ
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {waits!r}], env={{}})"
    agent, other = orphan(mark, sys.executable, "-c", parent), orphan("another", sys.executable, "-c", waits)
    with own:
        try:
            while not (module := agent.children()):
                time.sleep(0.05)
            access.kill_orphans()
            psutil.wait_procs([agent, *module])
            assert own.poll() is None
            assert other.is_running()
        finally:
            own.kill()
            other.kill()


def test_a_fork_has_a_mark_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = access._mark()
    monkeypatch.setattr(access.os, "getpid", lambda: 1)
    assert access._mark() != ours


def test_only_rays_processes_end_with_a_search_that_is_stuck(tmp_path: Path) -> None:
    """Two children, one with Ray's folder in its command line."""
    waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        subprocess.Popen(waits, stdin=subprocess.PIPE) as other,
        subprocess.Popen([*waits, str(tmp_path / "ray" / "raylet")], stdin=subprocess.PIPE) as rays,
    ):
        found = {process.pid for process in started_here()}
        rays.kill()
        other.kill()
    assert (rays.pid in found, other.pid in found) == (True, False)
