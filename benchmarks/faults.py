"""What a search loses by faults: each at a random moment of a small search on digits, which is then started again.

    python benchmarks/faults.py --folder /tmp/faults                                  # all faults, 3 seeds: an hour on two cores
    python benchmarks/faults.py --folder /tmp/faults --faults SIGTERM,raylet --seeds 1

Prints a row per fault: whether every record is that of an undisturbed search (all but times, cost and host: the same bits), and
by how many seconds the disturbed search and its resumption together took longer, the second start of Python and Ray included.
Searches run on a Ray cluster of their own, one trial at a time, on this machine. Only processes of the search are killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import ray  # noqa: F401  # first, because psutil comes with it

import psutil  # isort: skip

SPACE = """
study: faults
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 4}
method: {name: datadam, lr_images: {low: 0.1, high: 1.0, log: true}, random_inits: 400, batch_real: 8}
ipc: {low: 1, high: 12}
evaluation: {recipe: plain, networks: 2, baseline_networks: 2, confirm_networks: 2}
goal: {margin_fraction: 0.5}
controls: []
budget: {trials: 3}
resources: {max_concurrent_trials: 1}
"""
NOT_COMPARED = ("cost", "started_at", "host", "file_sha256")
PATIENCE_SECONDS = 300.0


class Outcome(NamedTuple):
    """One disturbed search and its resumption."""

    is_same: bool
    seconds_lost: float
    exit_code: int
    seconds_to_end: float


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The search of a folder, in a session of its own, with what it says in `<folder>/said.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "space.yaml").write_text(SPACE)
    command = [sys.executable, "-m", "raydistill", "search", str(folder / "space.yaml"), "--store", str(folder)]
    with (folder / "said.txt").open("ab") as said:
        return subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)


def records(folder: Path) -> dict[int, dict[str, Any]]:
    """The records by ask number, as far as they are compared."""
    found = [json.loads(path.read_text()) for path in (folder / "faults" / "trials").glob("*/record.json")]
    return {r["config"]["ask_number"]: {key: value for key, value in r.items() if key not in NOT_COMPARED} for r in found}


def signalled(number: signal.Signals) -> Callable[[psutil.Process], None]:
    """Sends the search a signal."""
    return lambda search: search.send_signal(number)


def without(name: str) -> Callable[[psutil.Process], None]:
    """Kills a process of the search's Ray, by the beginning of its name; waits until there is one."""

    def kill(search: psutil.Process) -> None:
        while search.status() != psutil.STATUS_ZOMBIE:
            for child in search.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if child.name() == name or " ".join(child.cmdline()).startswith(name):
                        child.kill()
                        return
            time.sleep(0.1)

    return kill


FAULTS: dict[str, Callable[[psutil.Process], None]] = {
    "driver": signalled(signal.SIGKILL),
    "trial": without("ray::distill"),
    "SIGTERM": signalled(signal.SIGTERM),
    "SIGHUP": signalled(signal.SIGHUP),
    "raylet": without("raylet"),
    "gcs": without("gcs_server"),
}
"""What is done to a search, by name."""


def disturbed(folder: Path, fault: str, after: float, whole: float, expected: dict[int, dict[str, Any]]) -> Outcome:
    """Start a search, disturb it after so many seconds, start it again unless it has ended well, and compare."""
    began = time.monotonic()
    search = start(folder)
    time.sleep(after)
    hit = time.monotonic()
    if search.poll() is None:
        FAULTS[fault](psutil.Process(search.pid))
    try:
        exit_code = search.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        search.kill()
        raise SystemExit(f"{fault}: the search had not ended after {PATIENCE_SECONDS:.0f} s; see {folder}/said.txt") from None
    ended = time.monotonic()
    if exit_code != 0:
        resumed = start(folder)
        if resumed.wait(PATIENCE_SECONDS) != 0:
            raise SystemExit(f"the resumed search failed; see {folder}/said.txt")
    return Outcome(records(folder) == expected, time.monotonic() - began - whole, exit_code, ended - hit)


def main() -> None:
    """Run the faults that are asked for, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="Is emptied first.")
    parser.add_argument("--faults", default=",".join(FAULTS), help="Names, separated by commas.")
    parser.add_argument("--seeds", type=int, default=3, help="Moments for each fault.")
    given = parser.parse_args()
    os.environ.setdefault("RAY_worker_niceness", "0")
    shutil.rmtree(given.folder, ignore_errors=True)
    began = time.monotonic()
    if start(given.folder / "undisturbed").wait() != 0:
        raise SystemExit(f"the undisturbed search failed; see {given.folder}/undisturbed/said.txt")
    whole, expected = time.monotonic() - began, records(given.folder / "undisturbed")
    print(f"undisturbed: {whole:.0f} s, {len(expected)} trials\n")
    print("| fault | same records | exit codes | longest end after the fault | seconds lost, median | largest |")
    print("|---|---|---|---|---|---|", flush=True)
    for fault in given.faults.split(","):
        moments = [random.Random(f"{fault} {seed}").uniform(0.1, 0.9) * whole for seed in range(given.seeds)]
        rows = [disturbed(given.folder / f"{fault}-{seed}", fault, after, whole, expected) for seed, after in enumerate(moments)]
        same, lost = sum(row.is_same for row in rows), [row.seconds_lost for row in rows]
        codes = ", ".join(str(row.exit_code) for row in rows)
        longest = max(row.seconds_to_end for row in rows if row.exit_code != 0) if any(row.exit_code for row in rows) else 0.0
        shown = f"{longest:.1f} s | {statistics.median(lost):.0f} | {max(lost):.0f}"
        print(f"| {fault} | {same} of {len(rows)} | {codes} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
