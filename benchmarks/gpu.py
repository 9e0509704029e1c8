"""All benchmarks that need a GPU, in less than ten minutes: timings, the report's Table II setting, a comparison, a search.

    python benchmarks/gpu.py --out DIR --data-root DIR            # on a GPU, MNIST
    python benchmarks/gpu.py --out DIR --scale small              # on a CPU, digits: tests the script

Writes DIR/steps.json (each step's command, seconds, exit code and output), each step's own files, and DIR/rows.md, the lines for
RESULTS.md. If a step fails or exceeds its time limit, the next one still runs, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
TABLE_2 = ("method.random_inits=100", "method.steps_per_init=10", "method.lr_images=0.1", "method.lr_model=0.01")
TABLE_2 += ("method.model_steps=50", "method.mmd_weight=0.01", "ipc=10")
TINY = ("method.random_inits=3", "method.batch_real=8", "network.width=4", "evaluation.recipe=plain", "evaluation.networks=2")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One command and its time limit."""

    name: str
    arguments: tuple[str, ...]
    limit_seconds: float


def plan(scale: str, out: Path, data_root: Path | None) -> list[Step]:
    """The steps; the sum of their time limits is below ten minutes."""
    data = ("--data-root", str(data_root)) if data_root else ()
    store = ("--store", str(out / "studies"))
    if scale == "small":
        lossy = ("evaluation.baseline_networks=2", "evaluation.confirm_networks=2", "goal.margin_fraction=0.1", "ipc.high=10")
        digits = _sets((*TINY, "method.lr_images=1.0", "method.mmd_weight=0.01"))
        return [
            Step(name="bench", arguments=("bench", "--cases", "digits", "--repetitions", "10"), limit_seconds=60),
            Step(
                name="table-2",
                arguments=("distill", "digits_datadam", *digits, "--set", "ipc=2", "--out", str(out / "table-2")),
                limit_seconds=60,
            ),
            Step(
                name="compare-plain",
                arguments=(
                    "compare",
                    "digits_datadam",
                    "--methods",
                    "datadam",
                    "--ipc",
                    "2",
                    "--draws",
                    "2",
                    *store,
                    *digits,
                    "--local",
                ),
                limit_seconds=60,
            ),
            Step(
                name="search",
                arguments=("search", "digits_datadam", "--trials", "2", *store, *_sets((*TINY, *lossy)), "--local"),
                limit_seconds=60,
            ),
        ]
    has_ray = importlib.util.find_spec("ray") is not None
    compare = ("compare", "mnist_datadam", "--methods", "datadam,random,k_center", "--ipc", "10", "--draws", "10", *store, *data)
    # One update per network, with the learning rate in the middle of its range; 300 updates per draw.
    single = ("method.steps_per_init=1", "method.random_inits=300", "method.lr_images=1.0")
    in_process = () if has_ray else ("--local",)
    return [
        Step(name="bench", arguments=("bench", "--device", "cuda", "--repetitions", "100", *data), limit_seconds=60),
        Step(
            name="table-2",
            arguments=("distill", "mnist_datadam", *_sets(TABLE_2), "--out", str(out / "table-2"), *data),
            limit_seconds=120,
        ),
        Step(
            name="compare-plain",
            arguments=(*compare, *_sets((*single, "evaluation.recipe=plain")), *in_process),
            limit_seconds=140,
        ),
        Step(
            name="compare-default",
            arguments=(*compare, *_sets((*single, "evaluation.recipe=default")), *in_process),
            limit_seconds=140,
        ),
        Step(
            name="search",
            arguments=("search", "mnist_datadam", "--trials", "8", *store, *data, *in_process),
            limit_seconds=135,
        ),
    ]


def run(step: Step, out: Path) -> dict[str, object]:
    """Run a step; its output is written to a file and included in the result."""
    log = out / f"{step.name}.txt"
    command = [sys.executable, "-m", "raydistill", *step.arguments]
    started = time.monotonic()
    with log.open("w") as file:
        try:
            code = subprocess.run(
                command, stdout=file, stderr=subprocess.STDOUT, timeout=step.limit_seconds, cwd=out, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = 124
    return {
        **asdict(step),
        "command": " ".join(["raydistill", *step.arguments]),
        "exit_code": code,
        "seconds": round(time.monotonic() - started, 1),
        "output": log.read_text(errors="replace")[-20_000:],
    }


def where() -> dict[str, str]:
    """Device, versions, commit and date of the run."""
    import torch
    import torchvision

    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return {
        "device": torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"cpu ({platform.machine()}, {os.cpu_count()} cores)",
        "versions": f"python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}",
        "commit": git.stdout.strip() or "unknown",
        "date": datetime.now(UTC).date().isoformat(),
    }


def as_markdown(header: dict[str, str], steps: list[dict[str, object]]) -> str:
    """The lines for RESULTS.md."""
    lines = [", ".join(f"{name} {value}" for name, value in header.items()), ""]
    for step in steps:
        lines += [f"### {step['name']}", "", f"`{step['command']}` ({step['seconds']} s, exit code {step['exit_code']})", ""]
        lines += ["```", str(step["output"])[-3000:].strip(), "```", ""]
    return "\n".join(lines)


def main() -> int:
    """Run all steps; returns 0 if all exit codes are 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scale", choices=("small", "full"), default="full")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--only", default="", help="names of steps, joined by commas")
    given = parser.parse_args()
    out = given.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in given.only.split(",") if name]
    steps: list[dict[str, object]] = []
    header = where()
    for step in plan(given.scale, out, given.data_root.absolute() if given.data_root else None):
        if chosen and step.name not in chosen:
            continue
        steps.append(run(step, out))
        print(f"{step.name}: exit code {steps[-1]['exit_code']}, {steps[-1]['seconds']} s", flush=True)
        (out / "steps.json").write_text(json.dumps({**header, "steps": steps}, indent=2))
        (out / "rows.md").write_text(as_markdown(header, steps))
    return int(any(step["exit_code"] != 0 for step in steps))


def _sets(overrides: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for override in overrides for word in ("--set", override))


if __name__ == "__main__":
    sys.exit(main())
