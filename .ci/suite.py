"""Runs parts of the test suite under settings of the machine, one after another, and prints a line for each at the end.

    python .ci/suite.py no-ray ray jobs      the part without Ray, then the two with it: `make test`
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

PARTS = {
    "fast": "not ray and not slow and not browser",
    "no-ray": "not ray and not browser",
    "ray": "ray and not jobs",
    "jobs": "ray and jobs",
}
"""What pytest selects for each; tests of the cluster select themselves out."""
NAMED = {"ray": "mark.ray", "jobs": "mark.jobs"}
"""What the files of a part name: it reads these alone, since reading all takes each of its processes twenty seconds."""
MOST_AT_ONCE = {"fast": 4, "no-ray": 4, "ray": 2, "jobs": 1}
"""Processes of a part, on a machine with as many cores. One of a part with Ray has a cluster beside itself, and the clusters of a
machine share the port through which jobs are submitted: the tests that submit some have the machine to themselves."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the machine is made to be."""

    environment: dict[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ("fast",)
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
    "jobs": Setting(parts=("jobs",)),
}
SETTINGS = {
    "default": Setting(environment={"ATEN_CPU_CAPABILITY": "default"}, capability="DEFAULT"),
    "avx2": Setting(environment={"ATEN_CPU_CAPABILITY": "avx2"}, capability="AVX2"),
    "sse41": Setting(environment={"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "threads-1": Setting(environment={"OMP_NUM_THREADS": "1"}),
    "threads-2": Setting(environment={"OMP_NUM_THREADS": "2"}),
    "threads-4": Setting(environment={"OMP_NUM_THREADS": "4"}),
    "busy": Setting(parts=("no-ray", "ray", "jobs"), loops=2),
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


def run_part(name: str, part: str, setting: Setting) -> Row:
    """Run one part with pytest."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="raydistill-suite-") as folder, busy(setting.loops):
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-m", PARTS[part], "--durations", "5", "--junit-xml", str(report)]
        command += files(part)
        at_once = min(os.cpu_count() or 1, MOST_AT_ONCE[part])
        if at_once > 1:
            # In the order given: files of one long test are not left for the end, when the other processes have no work.
            command += ["-n", str(at_once), "--dist", "loadfile", "--no-loadscope-reorder"]
        environment = {"OMP_NUM_THREADS": "1", **setting.environment}
        print(f"\n== {name}: the {part} part", *(f"{key}={value}" for key, value in environment.items()), flush=True)
        status = subprocess.run(command, env={**os.environ, **environment}, check=False).returncode
        # A process that crashes after its last test has failed, although no test has.
        ended = f"{counts(report) if report.exists() else 'no result'}{f', exit status {status}' if status else ''}"
    return Row(
        name=name if name in AS_IT_IS else f"{name}: {part}",
        ended=ended,
        seconds=time.monotonic() - began,
        has_failed=status != 0,
    )


def files(part: str) -> list[str]:
    """The test files in which a part's tests are, the largest first, because it takes longest; none for all of them."""
    if part not in NAMED:
        return []
    found = [file for file in sorted(Path("tests").rglob("test_*.py")) if NAMED[part] in file.read_text()]
    return [str(file) for file in sorted(found, key=lambda file: -file.stat().st_size)]


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
