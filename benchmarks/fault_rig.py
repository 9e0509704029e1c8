"""Searches that are disturbed, and what is looked at afterwards; see `faults.py`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import ray  # noqa: F401  # first, because psutil comes with it

import psutil  # isort: skip

import raydistill
from raydistill.storage.store import Store

SPACE = """
study: faults
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 4}
method: {name: datadam, lr_images: {low: 0.1, high: 1.0, log: true}, random_inits: 150, batch_real: 8}
ipc: {low: 1, high: 12}
evaluation: {recipe: default, networks: 2, baseline_networks: 2, confirm_networks: 2}
goal: {margin_fraction: 0.9}
controls: []
budget: {trials: 3}
resources: {max_concurrent_trials: 1}
"""
TRIALS = 3
HOOK = Path(__file__).parent / "fault_hook"
MARK = "RAYDISTILL_FAULT"
"""Environment variable by which the processes of a disturbed search are known."""
PATIENCE_SECONDS = 300.0
LEAVE_SECONDS = 10.0
"""After these no process of a search that has ended by itself may be left."""
NOT_COMPARED = ("cost", "started_at", "host", "file_sha256")
"""Keys of a record that differ between any two runs."""
NOT_BEGUN = "this command has changed nothing"
"""In the message of a search whose store cannot be written when it starts."""
UNREADABLE = re.compile(r"^Traceback|^\*\*\* |@ +0x[0-9a-f]+|^\[\d{4}-\d\d-\d\d .*? [EFC] \d+|Stack trace", re.MULTILINE)
"""What nobody should have to read: a traceback of Python, a trace or a log line of C++."""


def default_signals() -> None:
    """In a new process: heed all signals, also where this program was started in the background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@dataclass
class Place:
    """Where a search runs: its folder, its store, its environment."""

    folder: Path
    is_local: bool
    store: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "tmp").mkdir(exist_ok=True)
        (self.folder / "space.yaml").write_text(SPACE)
        self.store = self.store or str(self.folder / "store")

    @property
    def study(self) -> Store:
        """The study's folder."""
        return Store(f"{self.store}/faults")

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start the search, or go on with it; what it says goes to `<folder>/<name>.txt`."""
        command = [sys.executable, "-m", "raydistill", "search", str(self.folder / "space.yaml"), "--store", self.store]
        path = os.pathsep.join([str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])])
        # Ray's sockets need a short path, so only what the search itself makes is in a folder of its own.
        own = {"PYTHONPATH": path, MARK: self.mark, "TMPDIR": str(self.folder / "tmp"), "RAY_TMPDIR": "/tmp"}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0", **own, **self.environment}
        with self.said_by(name).open("wb") as said:
            return subprocess.Popen(
                [*command, "--local"] if self.is_local else command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                preexec_fn=default_signals,
                env=environment,
            )

    def said_by(self, name: str) -> Path:
        """The file with what a search said."""
        return self.folder / f"{name}.txt"

    def processes(self) -> list[psutil.Process]:
        """The processes of this place's searches that live."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def processes_left(self, seconds: float = LEAVE_SECONDS) -> list[str]:
        """Names of processes that have not ended so many seconds after their search; they are killed."""
        deadline = time.monotonic() + seconds
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        names = []
        for process in left:
            with suppress(psutil.Error):
                names.append(" ".join(process.cmdline()[-3:])[-120:] or process.name())
                process.kill()
        return names


class Found(NamedTuple):
    """What a study holds."""

    records: dict[int, dict[str, Any]]
    """By ask number, as far as they are compared."""
    verbatim: dict[str, bytes]
    """The bytes of every final record, by trial id."""
    repeated: int
    """Ask numbers with more than one trial."""


def look(study: Store) -> Found:
    """Read the records of a study."""
    records: dict[int, dict[str, Any]] = {}
    verbatim, numbers = {}, Counter[int]()
    for trial_id in study.folders("trials"):
        name = f"trials/{trial_id}/record.json"
        data = study.read_or_none(name)
        if data is None:
            continue
        record = study.read_json(name)
        number = record["config"]["ask_number"]
        numbers[number] += 1
        records[number] = {key: value for key, value in record.items() if key not in NOT_COMPARED}
        if record["state"] != "crashed":
            verbatim[trial_id] = data
    return Found(records, verbatim, sum(count - 1 for count in numbers.values()))


def damages(place: Place) -> list[str]:
    """Half files, files that a status cannot read, and temporary folders of searches that have ended."""
    found = [str(name) for name in place.study.stamps() if re.search(r"(^|/)\..+\..+", name)]
    found += raydistill.status("faults", store=place.store).damaged
    return found + [str(path) for path in (place.folder / "tmp").glob("raydistill-scratch-*")]


def complaint(said: str, exit_code: int) -> str:
    """What is wrong with the words of a search that ended, or nothing."""
    if match := UNREADABLE.search(said):
        return f"prints a trace: {match.group()[:40]}"
    if exit_code > 0 and "raydistill search" not in said and "run the same command again" not in said:
        return "does not say how to go on"
    return ""


def counted(values: Mapping[str, int] | Counter[str]) -> str:
    """Values with how often each came."""
    return ", ".join(f"{value} ({count})" if count > 1 else value for value, count in values.items())
