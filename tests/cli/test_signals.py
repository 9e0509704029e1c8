"""What a command does when it is told to end, on a command that only waits."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from raydistill.cli import signals
from raydistill.cli.common import exit_codes
from raydistill.errors import ClusterLostError, FailedError, JobLostError, StoreError, StoreUnavailableError

WAITS = """
import sys, time
from pathlib import Path
import typer
from raydistill import cli
from raydistill.cli import common, signals
cli.app = typer.Typer()
signals.CLOSING_SECONDS = float(sys.argv.pop())

@cli.app.command()
def wait(closing_seconds: float, closed: Path) -> None:
    with common.exit_codes(common.to_continue()):
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            print("closing", flush=True)
            time.sleep(closing_seconds)
            closed.write_text("closed")

cli.main()
"""


def waiting(
    closed: Path, *, closing: float = 0.0, patience: float = 60.0, before: str = "", **options: object
) -> subprocess.Popen[str]:
    """The command once it waits; it is never told to end in vain. `before` is Python that it runs first."""
    arguments = [str(closing), str(closed), str(patience)]
    process = subprocess.Popen(
        [sys.executable, "-c", before + WAITS, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )  # type: ignore[call-overload]
    assert process.stdout.readline() == "ready\n"
    return process  # type: ignore[no-any-return]


def heeds(*ignored: signal.Signals) -> Callable[[], None]:
    """Called in the new process: tests that a shell started in the background ignore Ctrl-C, and so would their processes."""

    def prepare() -> None:
        for number in signals.SIGNALS:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    return prepare


@pytest.mark.parametrize(
    ("number", "exit_code", "first"),
    [
        (signal.SIGINT, 130, "Interrupted. Finished work is saved; this continues:"),
        (signal.SIGTERM, 143, "Interrupted by SIGTERM. Finished work is saved; this continues:"),
        (signal.SIGHUP, 129, "Interrupted by SIGHUP. Finished work is saved; this continues:"),
    ],
)
def test_a_signal_closes_what_is_open_and_names_the_command(
    tmp_path: Path, number: signal.Signals, exit_code: int, first: str
) -> None:
    process = waiting(tmp_path / "closed", preexec_fn=heeds())
    process.send_signal(number)
    _, said = process.communicate()
    assert (process.returncode, (tmp_path / "closed").read_text()) == (exit_code, "closed")
    assert said == f"{first}\n  raydistill 0.0 {tmp_path / 'closed'}\n"


def test_a_job_of_a_cluster_names_the_command_that_submitted_it(tmp_path: Path) -> None:
    """Its own would name a Ray that ends with the job."""
    environment = {**os.environ, "RAYDISTILL_AGAIN": "raydistill submit digits --store /shared"}
    process = waiting(tmp_path / "closed", preexec_fn=heeds(), env=environment)
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1].splitlines()[1:] == ["  raydistill submit digits --store /shared"]


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    process = waiting(tmp_path / "closed", closing=60, preexec_fn=heeds())
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "closing\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert said.startswith("Interrupted by SIGTERM. Finished work is saved; this continues:\n  raydistill 60")
    assert not (tmp_path / "closed").exists()


@pytest.mark.ray
def test_a_second_signal_ends_what_was_started_too(tmp_path: Path) -> None:
    """A child in a session of its own, as Ray's are, and its child."""
    pytest.importorskip("ray")  # which brings psutil
    import psutil

    shell = "import ray, psutil, subprocess; subprocess.Popen(['sh', '-c', 'sleep 600; true'], start_new_session=True)\n"
    process = waiting(tmp_path / "closed", closing=60, before=shell, preexec_fn=heeds())
    children = psutil.Process(process.pid).children(recursive=True)
    assert {child.name() for child in children} >= {"sh"}
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "closing\n"
    process.send_signal(signal.SIGTERM)
    process.communicate()
    psutil.wait_procs(children)


def test_closing_that_takes_too_long_is_cut_off_with_the_same_words(tmp_path: Path) -> None:
    process = waiting(tmp_path / "closed", closing=60, patience=0.1, preexec_fn=heeds())
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 143
    assert said.startswith("Interrupted by SIGTERM. Finished work is saved; this continues:\n  raydistill 60")


def test_a_signal_that_the_command_was_started_to_ignore_stays_ignored(tmp_path: Path) -> None:
    """As `nohup` does with SIGHUP."""
    process = waiting(tmp_path / "closed", preexec_fn=heeds(signal.SIGHUP))
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert (process.returncode, said.partition(".")[0]) == (143, "Interrupted by SIGTERM")


def test_a_command_whose_terminal_is_closed_closes_what_is_open(tmp_path: Path) -> None:
    """Each write to a closed terminal fails, and the command still writes a line before it closes."""
    number, terminal = pty.fork()
    if number == 0:
        heeds()()
        os.execv(sys.executable, [sys.executable, "-c", WAITS, "0", str(tmp_path / "closed"), "60"])
    said = b""
    while b"ready" not in said:
        said += os.read(terminal, 100)
    os.close(terminal)
    _, status = os.waitpid(number, 0)
    assert (os.waitstatus_to_exitcode(status), (tmp_path / "closed").read_text()) == (129, "closed")


DROPS = """
import signal, time
from raydistill.cli import signals

class Told:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

try:
    with signals.ended_by_signals("last words") as received:
        Told()  # gone at once
        time.sleep(60)
except KeyboardInterrupt:
    print(received.number.name)
"""


def test_a_signal_in_a_callback_whose_exceptions_python_drops_ends_the_command_without_a_trace() -> None:
    ended = subprocess.run([sys.executable, "-c", DROPS], capture_output=True, text=True, check=False, preexec_fn=heeds())
    assert (ended.stdout, ended.stderr, ended.returncode) == ("SIGTERM\n", "", 0)


SERIALIZES = """
import signal, time
from pydantic import BaseModel, model_serializer
from raydistill.cli import signals

class Interrupted(BaseModel):
    @model_serializer(mode="plain")
    def fields(self) -> dict[str, int]:
        signal.raise_signal(signal.SIGTERM)
        return {}

try:
    with signals.ended_by_signals("Interrupted.") as received:
        Interrupted().model_dump()
        time.sleep({seconds})
    print("went on")
except KeyboardInterrupt:
    print(received.number.name)
"""


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_signal_while_a_config_is_serialized_is_no_error_of_pydantic(seconds: int) -> None:
    """Whether the command goes on for a while or ends with it."""
    code = SERIALIZES.replace("{seconds}", str(seconds))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, preexec_fn=heeds())
    assert (ended.stdout, ended.stderr, ended.returncode) == ("SIGTERM\n", "", 0)


TWICE = SERIALIZES.replace("return {}", "signal.raise_signal(signal.SIGINT)")


def test_a_second_signal_while_the_first_is_put_off_ends_at_once() -> None:
    ended = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=False, preexec_fn=heeds())
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "Interrupted by SIGTERM.\n", 130)


def test_the_handlers_of_a_program_are_back_after_a_command() -> None:
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    with signals.ended_by_signals("Interrupted."):
        assert [signal.getsignal(number) for number in signals.SIGNALS] != before
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_a_command_that_fails_ends_without_unloading_what_may_crash_there() -> None:
    code = (
        "import atexit, os, sys\n"
        "class Crashes:\n"
        "    def __del__(self, abort=os.abort): abort()\n"
        "sys.crashes = Crashes()\n"
        "atexit.register(print, 'exit functions run')\n"
        "sys.argv = ['raydistill', 'status', 'missing']\n"
        "from raydistill.cli import main; main()"
    )
    ended = run_code(code)
    assert (ended.returncode, ended.stdout) == (2, "exit functions run\n"), ended.stderr
    assert "neither missing nor studies/missing is a study" in ended.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_command_that_fails_with_a_closed_stream_keeps_its_exit_code(closed: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", f'exec "$0" -m raydistill status missing {closed}', sys.executable], capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


@pytest.mark.ray
def test_a_signal_after_ray_has_been_left_is_still_the_commands() -> None:
    """Ray's shutdown gives SIGTERM back to the system, behind Python's back."""
    pytest.importorskip("ray")
    code = (
        "import os, signal, time\n"
        "from raydistill.search.on_ray.access import join, leave\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: print('ours', flush=True))\n"
        "join('local'); leave(is_own=True, is_lost=False)\n"
        "os.kill(os.getpid(), signal.SIGTERM); time.sleep(0.1); print('goes on')"
    )
    ended = run_code(code)
    assert (ended.returncode, ended.stdout) == (0, "ours\ngoes on\n"), ended.stderr


def test_a_thread_installs_no_handlers() -> None:
    seen = []

    def run() -> None:
        with signals.ended_by_signals("Interrupted."):
            seen.append([signal.getsignal(number) for number in signals.SIGNALS])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [[signal.getsignal(number) for number in signals.SIGNALS]]


@pytest.mark.parametrize("kind", [ClusterLostError, JobLostError])
def test_a_command_that_has_lost_ray_or_a_job_names_the_command_that_continues(
    capsys: pytest.CaptureFixture[str], kind: type[FailedError]
) -> None:
    import typer

    with pytest.raises(typer.Exit) as end, exit_codes("Interrupted. Finished work is saved; this continues:\n  raydistill x"):
        raise kind("it has ended")
    assert end.value.exit_code == 1
    assert capsys.readouterr().err == "Error: it has ended\nFinished work is saved; this continues:\n  raydistill x\n"


def test_a_command_whose_store_is_gone_names_the_command_that_continues(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    with pytest.raises(typer.Exit) as end, exit_codes("Interrupted. Finished work is saved; this continues:\n  raydistill x"):
        raise StoreUnavailableError("cannot write x: no space left on device")
    assert end.value.exit_code == 2
    assert capsys.readouterr().err == (
        "Error: cannot write x: no space left on device\n"
        "Finished work is saved; once the store can be used again, this continues:\n  raydistill x\n"
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [("Interrupted.", StoreUnavailableError("gone")), ("Interrupted. Saved; this continues:\n  x", StoreError("gone"))],
)
def test_a_command_that_has_nothing_to_continue_names_none(
    capsys: pytest.CaptureFixture[str], words: str, error: StoreError
) -> None:
    import typer

    with pytest.raises(typer.Exit), exit_codes(words):
        raise error
    assert capsys.readouterr().err == "Error: gone\n"
