"""What is changed in Ray: the waits of `ray.init` can be ended, and what it prints when it has ended itself is left out.

All replace private parts of Ray for a while (`private`), as there is no setting for any of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil  # type: ignore[import-untyped]  # comes with ray

from raydistill.search.on_ray.private import node, nodes_at, raylet, services, worker

STEP_SECONDS = 0.2
LOG_LEVEL = "RAY_BACKEND_LOG_LEVEL"
RAYLET_ENDED = "Raylet is terminated."
ENDED_BY_RAY = (
    "Error: this process was ended while it joined Ray, by Ray itself if the exit code is 134 (SIGABRT). Finished work "
    f"is saved: run the same command again to continue. To read Ray's reason, run it with {LOG_LEVEL}=info"
)
NEEDED = ("gcs_server", "raylet")
"""Ray's processes, by name, for which its C++ waits a minute when they have ended while this process joins them."""
WAITS = """
trap '' HUP INT QUIT
words=$0 process=$1
shift
look() {
    while sleep 1 && kill -0 $$; do
        for needed; do
            state=gone
            read -r _ _ state _ < "/proc/$needed/stat"
            case $state in gone | Z) sleep "$PATIENCE"; kill -0 $$ && kill -ABRT "$process"; return ;; esac
        done
    done
}
looks=
if [ -r "/proc/$$/stat" ] && [ $# != 0 ]; then
    look "$@" > /dev/null 2>&1 &
    looks=$!
fi
read -r line || printf '%s\\n' "$words" >&2
[ -z "$looks" ] || kill "$looks" 2> /dev/null
"""
"""Given words, a process and those that it needs. Waits for a line, and prints the words if the input ends without one; ends the
process, where there is /proc, PATIENCE seconds after one that it needs has ended. Signals of the terminal go to the search, which
may go on for a while; the shell lives as long as it waits."""
PATIENCE_SECONDS = 5.0


@contextmanager
def interruptible() -> Iterator[None]:
    """Have `ray.init` wait in Python for the GCS and the raylet that it starts; in Ray's C++ no signal ends a wait of minutes."""
    wait_for_port, get_node = node.wait_for_persisted_port, services.get_node

    def wait_in_steps(*arguments: Any, timeout_ms: int = 30_000, **named: Any) -> Any:
        until = time.monotonic() + timeout_ms / 1000
        while True:
            try:
                return wait_for_port(*arguments, timeout_ms=round(1000 * STEP_SECONDS), **named)
            except RuntimeError:
                if time.monotonic() > until:
                    raise

    def wait_and_get_node(gcs_address: str, node_id: str) -> Any:
        nodes = nodes_at(gcs_address)
        until = time.monotonic() + float(os.environ.get("RAY_raylet_start_wait_time_s", 30))
        while all(found["NodeID"] != node_id for found in nodes()):
            if time.monotonic() > until:
                raise RuntimeError(f"the raylet of node {node_id} has not come up")  # as Ray's own function, which asks again
            time.sleep(STEP_SECONDS)
        return get_node(gcs_address, node_id)

    node.wait_for_persisted_port, services.get_node = wait_in_steps, wait_and_get_node
    try:
        yield
    finally:
        node.wait_for_persisted_port, services.get_node = wait_for_port, get_node


@contextmanager
def quiet() -> Iterator[None]:
    """Have this process's part of Ray print no errors of C++: that Ray has ended is said once, and in words.

    Ray reads the level when that part is made, and prints that it did. Ray's other processes run by then, and keep their logs. A
    level that the user has set stays.
    """
    core_worker = raylet.CoreWorker
    if LOG_LEVEL in os.environ:
        yield
        return

    def make_quietly(*arguments: Any, **named: Any) -> Any:
        os.environ[LOG_LEVEL] = "fatal"
        try:
            return _unheard(lambda: core_worker(*arguments, **named))
        finally:
            del os.environ[LOG_LEVEL]

    raylet.CoreWorker = make_quietly
    try:
        yield
    finally:
        raylet.CoreWorker = core_worker


@contextmanager
def without_last_lines_of_raylet() -> Iterator[None]:
    """Have Ray not print the last twenty lines of a raylet's log when it ends; they stay in its file.

    For as long as this process is joined: Ray prints in a thread that looks the function up each time.
    """
    print_message = worker.print_to_stdstream

    def print_others(data: dict[str, Any], *arguments: Any, **named: Any) -> None:
        if not str(data["lines"][0]).startswith(RAYLET_ENDED):
            print_message(data, *arguments, **named)

    worker.print_to_stdstream = print_others
    try:
        yield
    finally:
        worker.print_to_stdstream = print_message


def _unheard(make: Callable[[], Any]) -> Any:
    """What a call makes, while only what Python writes reaches the standard error, and that this process ended if it does."""
    before, kept = sys.stderr, os.dup(2)
    before.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with os.fdopen(kept, "w", buffering=1) as heard, _survived_by(ENDED_BY_RAY, kept):
        if before is sys.__stderr__:
            sys.stderr = heard
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            return make()
        finally:
            os.dup2(kept, 2)
            sys.stderr = before


@contextmanager
def _survived_by(words: str, stream: int) -> Iterator[None]:
    """Have words written if this process ends in the block: of a check that fails in Ray's C++, Python is not told.

    Nor is Python run while Ray's C++ waits for a process of ours that has ended, so this one is then ended as Ray would a minute
    later. A shell waits for a line or for the end of a pipe, of which this process has the other end.
    """
    needed = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if child.name() in NEEDED:
                needed.append(str(child.pid))
    waiting = ["/bin/sh", "-c", WAITS, words, str(os.getpid()), *needed]
    environment = {**os.environ, "PATIENCE": str(PATIENCE_SECONDS)}
    process = subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=stream, env=environment)
    try:
        yield
    finally:
        process.communicate(b"the block has ended\n")
