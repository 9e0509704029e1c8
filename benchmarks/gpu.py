"""All that needs a GPU, in at most nine minutes; each row is written as soon as it is measured.

    python benchmarks/gpu.py --out DIR --data-root DIR            # on a GPU; without MNIST's files, what needs them is not run
    python benchmarks/gpu.py --out DIR --rehearse                 # on a CPU, tiny: tests the script

Writes DIR/rows.jsonl, a line per row; DIR/<section>.txt, what a section printed; and DIR/rows.md, tables for the results. Each
section is a process of its own, so that one that fails or runs past its limit leaves the next ones alone; it is then a row that
says so, and the exit code is 1. What cannot be run here (no Ray, no files, no time left) is a row that says why.

On a machine without the network, carry the packages that the first row names as missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
BUDGET_SECONDS = 540.0
ALWAYS = ("torch", "torchvision", "numpy", "pydantic", "fvcore", "safetensors", "sklearn", "scipy", "yaml", "fsspec")
"""Modules without which nothing of raydistill runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of the script."""

    name: str
    limit_seconds: float
    needs: tuple[str, ...] = ()
    """Modules beside those that everything needs."""
    needs_mnist: bool = False


SECTIONS = (
    Section(name="placement", limit_seconds=70),
    Section(name="steps", limit_seconds=110),
    Section(name="networks", limit_seconds=50),
    Section(name="table_2", limit_seconds=90, needs_mnist=True),
    Section(name="sharing", limit_seconds=80, needs_mnist=True),
    Section(name="sharing_on_ray", limit_seconds=60, needs=("ray", "optuna", "pandas", "rich"), needs_mnist=True),
    Section(name="race", limit_seconds=240, needs=("optuna", "pandas", "rich"), needs_mnist=True),
)
"""In the order in which they are run; each takes what is left of the budget, up to its limit."""


class Rows:
    """The rows, on the disk as soon as they are known."""

    def __init__(self, out: Path) -> None:
        self.path = out / "rows.jsonl"

    def write(self, section: str, state: str, **values: Any) -> None:
        """Append a row; state is done, failed or not run."""
        with self.path.open("a") as file:
            file.write(json.dumps({"section": section, "state": state, **values}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[dict[str, Any]]:
        """All rows so far."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def missing(modules: tuple[str, ...]) -> list[str]:
    """Those that are not installed."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def why_not(section: Section, given: argparse.Namespace, seconds_left: float) -> str | None:
    """Why a section cannot be run here and now, or None."""
    if absent := missing((*ALWAYS, *section.needs)):
        return f"no {', no '.join('Ray' if name == 'ray' else name for name in absent)}"
    if given.rehearse:
        return "a rehearsal starts no Ray" if "ray" in section.needs else None
    if not has_gpu():
        return "no GPU"
    if section.needs_mnist and given.data_root is None:
        return "no MNIST files: give --data-root"
    if seconds_left < 20:
        return f"{max(0.0, seconds_left):.0f} s of the {BUDGET_SECONDS:.0f} s are left"
    return None


def has_gpu() -> bool:
    """Whether PyTorch is there and finds a GPU."""
    if missing(("torch",)):
        return False
    import torch

    return torch.cuda.is_available()


def where() -> dict[str, Any]:
    """Device, versions, commit, date, and what is missing."""
    device = f"cpu ({platform.machine()}, {os.cpu_count()} cores)"
    if has_gpu():
        import torch

        device = torch.cuda.get_device_name()
    versions = {"python": platform.python_version()}
    for name in ("torch", "torchvision", "ray", "optuna"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "none"
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return {
        "device": device,
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
        "commit": git.stdout.strip() or "unknown",
        "date": datetime.now(UTC).date().isoformat(),
        "missing": missing((*ALWAYS, "optuna", "pandas", "rich", "ray")),
    }


def run_section(section: Section, given: argparse.Namespace, limit: float, rows: Rows) -> None:
    """Run a section as a process that writes its own rows; a row says if it fails or runs past its limit.

    Whatever it started ends with it: a process that stays on the GPU would slow the next sections.
    """
    command = [sys.executable, str(Path(__file__)), "--out", str(given.out), "--section", section.name]
    command += ["--data-root", str(given.data_root)] if given.data_root else []
    with (given.out / f"{section.name}.txt").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            rows.write(section.name, "failed", reason=f"it ran past its limit of {limit:.0f} s")
            return
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code != 0:
        said = (given.out / f"{section.name}.txt").read_text(errors="replace").strip().rpartition("\n")[2]
        rows.write(section.name, "failed", reason=f"exit code {code}: {said}")


def measure(name: str, given: argparse.Namespace, rows: Rows) -> None:
    """Measure a section in this process, and write its rows."""
    sys.path[:0] = [str(REPOSITORY), str(Path(__file__).parent)]
    import gpu_sections

    setting = gpu_sections.setting_of(is_rehearsal=given.rehearse, out=given.out, data_root=given.data_root)
    for values in getattr(gpu_sections, name)(setting):
        rows.write(name, "done", **values)
        print(json.dumps(values), flush=True)


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The tables for the results: one for each section, with a column for each value that a row of it has."""
    first, *rest = rows
    lines = [", ".join(f"{name} {value}" for name, value in first.items() if name not in ("section", "state")), ""]
    for section in dict.fromkeys(row["section"] for row in rest):
        own = [{key: value for key, value in row.items() if key != "section"} for row in rest if row["section"] == section]
        columns = list(dict.fromkeys(key for row in own for key in row))
        lines += [f"### {section}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        lines += [f"| {' | '.join(cells(row, columns))} |" for row in own] + [""]
    return "\n".join(lines)


def cells(row: Mapping[str, Any], columns: list[str]) -> Iterator[str]:
    """A row's values as text; four digits of a fraction."""
    for column in columns:
        value = row.get(column, "")
        yield f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Run all sections that can be run; returns 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the CPU, all in this process")
    parser.add_argument("--only", default="", help="names of sections, joined by commas")
    parser.add_argument("--section", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.out = given.out.absolute()
    given.data_root = given.data_root and given.data_root.absolute()
    given.out.mkdir(parents=True, exist_ok=True)
    rows = Rows(given.out)
    if given.section:
        measure(given.section, given, rows)
        return 0
    started = time.monotonic()
    rows.path.write_text("")
    rows.write("where", "done", **where())
    chosen = [name for name in given.only.split(",") if name]
    for section in SECTIONS:
        left = BUDGET_SECONDS - (time.monotonic() - started)
        reason = why_not(section, given, left)
        if chosen and section.name not in chosen:
            continue
        if reason is not None:
            rows.write(section.name, "not run", reason=reason)
        elif given.rehearse:
            measure(section.name, given, rows)
        else:
            run_section(section, given, min(section.limit_seconds, left), rows)
        (given.out / "rows.md").write_text(as_markdown(rows.read()))
    print((given.out / "rows.md").read_text())
    return int(any(row["state"] == "failed" for row in rows.read()))


if __name__ == "__main__":
    # The processes of a section are in a session of their own, which no signal to this one reaches.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
