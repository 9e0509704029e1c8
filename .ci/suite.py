"""Runs parts of the test suite under settings of the machine, one after another, and prints a line for each at the end.

    python .ci/suite.py no-ray ray           the part without Ray, then the one with it: `make test`
    python .ci/suite.py both                 the same side by side
    python .ci/suite.py fast                 without Ray, and without what takes more than ten seconds: `make test-fast`
    python .ci/suite.py default avx2 busy    under these settings: `make test-portable SETTINGS="default avx2 busy"`
    python .ci/suite.py all                  under all of them: `make test-portable`

What fails does not keep the rest from being run; the exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

PARTS = {"fast": "not ray and not slow and not browser", "no-ray": "not ray and not browser", "ray": "ray"}
"""What pytest selects for each; tests of the cluster select themselves out."""
MOST_AT_ONCE = 4
"""Processes of a part without Ray, each of a gigabyte, on a machine with as many cores. The part with Ray has one: the clusters
of a machine share a port, through which jobs are submitted."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the machine is made to be."""

    environment: dict[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ("fast",)
    is_side_by_side: bool = False
    """Whether the parts run at the same time."""
    loops: int = 0
    """Endless loops beside the tests."""
    capability: str | None = None
    """What torch must then say of the CPU, for the setting to be one."""

    def unmet(self) -> str | None:
        """Why this machine cannot be set so, or None."""
        if self.capability is not None:
            code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
            environment = {**os.environ, **self.environment}
            found = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True)
            if found.stdout.strip() != self.capability:
                return f"this CPU has no {self.capability}: torch takes {found.stdout.strip()}"
        if "ONEDNN_MAX_CPU_ISA" in self.environment and platform.machine().lower() not in ("x86_64", "amd64"):
            return f"oneDNN has no such choice on {platform.machine()}"
        return None


AS_IT_IS = {
    "fast": Setting(),
    "no-ray": Setting(parts=("no-ray",)),
    "ray": Setting(parts=("ray",)),
    # For machines with more than two cores: on two it takes as long as one after the other.
    "both": Setting(parts=("no-ray", "ray"), is_side_by_side=True),
}
SETTINGS = {
    "default": Setting(environment={"ATEN_CPU_CAPABILITY": "default"}, capability="DEFAULT"),
    "avx2": Setting(environment={"ATEN_CPU_CAPABILITY": "avx2"}, capability="AVX2"),
    "sse41": Setting(environment={"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "threads-1": Setting(environment={"OMP_NUM_THREADS": "1"}),
    "threads-2": Setting(environment={"OMP_NUM_THREADS": "2"}),
    "threads-4": Setting(environment={"OMP_NUM_THREADS": "4"}),
    "busy": Setting(parts=("no-ray", "ray"), loops=2),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one part ended."""

    name: str
    ended: str
    """Counts, or why there are none."""
    seconds: float
    has_failed: bool


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Endless loops of this process: they end with the block, or when this process is gone, whatever ended it."""
    code = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"
    started = [subprocess.Popen([sys.executable, "-c", code, str(os.getpid())]) for _ in range(loops)]
    try:
        yield
    finally:
        for loop in started:
            loop.kill()
            loop.wait()


@contextmanager
def begun(name: str, part: str, setting: Setting, said: IO[str] | None = None) -> Iterator[Callable[[], Row]]:
    """Start one part with pytest, which writes to `said`; what is given waits for its end. The end of the block kills it."""
    began = time.time()
    with tempfile.TemporaryDirectory(prefix="raydistill-suite-") as folder, busy(setting.loops):
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-m", PARTS[part], "--durations", "5", "--junit-xml", str(report)]
        if part != "ray":
            command += ["-n", str(min(os.cpu_count() or 1, MOST_AT_ONCE)), "--dist", "loadfile"]
        environment = {"OMP_NUM_THREADS": "1", **setting.environment}
        print(f"\n== {name}: the {part} part", *(f"{key}={value}" for key, value in environment.items()), file=said, flush=True)
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=said, stderr=said)

        def ended() -> Row:
            status = process.wait()
            return Row(
                name=name if name in PARTS else f"{name}: {part}",
                ended=counts(report) if report.exists() else f"no result, exit status {status}",
                # Written at the end of the part, which may be earlier than its end is waited for.
                seconds=(report.stat().st_mtime if report.exists() else time.time()) - began,
                has_failed=status != 0,
            )

        try:
            yield ended
        finally:
            process.kill()
            process.wait()


def run_part(name: str, part: str, setting: Setting) -> Row:
    """Run one part."""
    with begun(name, part, setting) as ended:
        return ended()


@contextmanager
def printed_at_the_end() -> Iterator[IO[str]]:
    """A file whose text is printed when the block has ended, whatever ended it."""
    with tempfile.TemporaryFile("w+") as said:
        try:
            yield said
        finally:
            said.seek(0)
            print(said.read(), flush=True)


def run_side_by_side(name: str, setting: Setting) -> list[Row]:
    """Run all parts at the same time; what the others say is printed after what the first one says."""
    first, *others = setting.parts
    with ExitStack() as stack:
        running = [stack.enter_context(begun(name, part, setting, stack.enter_context(printed_at_the_end()))) for part in others]
        print(f"The {', '.join(others)} part runs beside the {first} part; what it says follows.", flush=True)
        return [run_part(name, first, setting), *(ended() for ended in running)]


def counts(report: Path) -> str:
    """Passed, failed and skipped tests of pytest's report; errors are failures."""
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    total, failures, errors, skipped = (int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped"))
    failed = failures + errors
    return f"{total - failed - skipped:5d} passed {failed:4d} failed {skipped:4d} skipped"


def run_settings(chosen: dict[str, Setting]) -> list[Row]:
    """Run every part of every setting; a setting that this machine does not have is told, and is no failure."""
    rows: list[Row] = []
    for name, setting in chosen.items():
        unmet = setting.unmet()
        if unmet is not None:
            rows.append(Row(name=name, ended=f"left out: {unmet}", seconds=0.0, has_failed=False))
            continue
        if setting.is_side_by_side:
            rows.extend(run_side_by_side(name, setting))
        else:
            rows.extend(run_part(name, part, setting) for part in setting.parts)
    return rows


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 1 if anything failed."""
    parser = argparse.ArgumentParser(description="Parts of the test suite under settings of the machine.")
    known = AS_IT_IS | SETTINGS
    parser.add_argument("settings", nargs="+", metavar="SETTING", help=f"all, or of {', '.join(known)}")
    names = parser.parse_args(arguments).settings
    names = list(SETTINGS) if names == ["all"] else names
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"unknown settings {', '.join(unknown)}; allowed: all, or of {', '.join(known)}")
    # Ended by another process, the loops still end: the exit runs through `busy`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows = run_settings({name: known[name] for name in names})
    width = max(len(row.name) for row in rows)
    print("\nParts of the test suite:")
    for row in rows:
        print(f"  {row.name:{width}s}  {row.ended}  {row.seconds / 60:5.1f} min{'  FAILED' if row.has_failed else ''}")
    return int(any(row.has_failed for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
