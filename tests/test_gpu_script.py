"""The script for a GPU works on a CPU at tiny sizes, so that it works the first time it meets a GPU."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from raydistill.catalogue import load_space

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "gpu.py"


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import gpu
    import gpu_sections

    return gpu, gpu_sections


def given(out: Path, **options: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"out": out, "data_root": None, "rehearse": False, **options})


def read(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_rehearsal_measures_every_section_but_rays(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, str(SCRIPT), "--out", str(tmp_path), "--rehearse"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    rows = read(tmp_path)
    states = {row["section"]: row["state"] for row in rows}
    assert states == {
        "where": "done",
        "placement": "done",
        "steps": "done",
        "networks": "done",
        "table_2": "done",
        "sharing": "done",
        "sharing_on_ray": "not run",
        "race": "done",
    }
    assert all(row["images_per_second"] > 0 for row in rows if row["section"] == "steps" and "matrix" not in row["what"])
    assert "| sharing_on_ray |" not in (tmp_path / "rows.md").read_text()
    assert "| not run | a rehearsal starts no Ray |" in (tmp_path / "rows.md").read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU whose absence is tested")
def test_without_a_gpu_every_section_says_so(
    benchmarks: tuple[ModuleType, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu, _ = benchmarks
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path)])
    assert gpu.main() == 0
    first, *rest = read(tmp_path)
    assert first["device"].startswith("cpu")
    assert [(row["section"], row["state"], row["reason"]) for row in rest] == [
        (section.name, "not run", "no GPU") for section in gpu.SECTIONS
    ]


def test_what_cannot_be_run_says_why(
    benchmarks: tuple[ModuleType, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu, _ = benchmarks
    monkeypatch.setattr(gpu, "has_gpu", lambda: True)
    sections = {section.name: section for section in gpu.SECTIONS}
    assert gpu.why_not(sections["steps"], given(tmp_path), 500.0) is None
    assert gpu.why_not(sections["table_2"], given(tmp_path), 500.0) == "no MNIST files: give --data-root"
    assert gpu.why_not(sections["steps"], given(tmp_path), 5.4) == "5 s of the 540 s are left"
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None if name in ("ray", "fvcore") else name)
    assert gpu.why_not(sections["sharing_on_ray"], given(tmp_path), 500.0) == "no fvcore, no Ray"


@pytest.mark.parametrize(
    ("code", "limit", "reason"),
    [
        ("raise ValueError('broken')", 60.0, "exit code 1: ValueError: broken"),
        ("import time; time.sleep(60)", 0.5, "it ran past its limit of 0 s"),
    ],
)
def test_a_section_that_fails_is_a_row(
    code: str,
    limit: float,
    reason: str,
    benchmarks: tuple[ModuleType, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu, _ = benchmarks
    script = tmp_path / "script.py"
    script.write_text(code)
    monkeypatch.setattr(gpu, "__file__", str(script))
    gpu.run_section(gpu.SECTIONS[0], given(tmp_path), limit, gpu.Rows(tmp_path))
    assert read(tmp_path) == [{"section": "placement", "state": "failed", "reason": reason}]


def test_what_a_section_started_ends_with_it_at_its_limit(
    benchmarks: tuple[ModuleType, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The section is a shell that waits for another one, which says after five seconds that it is still there.

    Its time begins when the other one has started.
    """
    gpu, _ = benchmarks
    script, pipe = tmp_path / "script.sh", tmp_path / "pipe"
    script.write_text(f"(echo started >&2; sleep 5; echo survived) > {pipe} &\nwait\n")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    monkeypatch.setattr(gpu, "__file__", str(script))
    monkeypatch.setattr(sys, "executable", "/bin/sh")

    class Started(subprocess.Popen[bytes]):
        def wait(self, timeout: float | None = None) -> int:
            while timeout is not None and self.poll() is None and not (tmp_path / "placement.txt").read_text():
                time.sleep(0.01)
            return super().wait(timeout)

    monkeypatch.setattr(subprocess, "Popen", Started)
    gpu.run_section(gpu.SECTIONS[0], given(tmp_path), 0.1, gpu.Rows(tmp_path))
    assert (tmp_path / "placement.txt").read_text() == "started\n"
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_processes_at_once_that_fail_are_no_measurement(
    benchmarks: tuple[ModuleType, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, sections = benchmarks
    sizes = {"network": None, "per_class": 1, "batch_real": 1, "ipc": 1, "steps": 1}
    setting = sections.Setting(device=torch.device("cpu"), is_rehearsal=False, out=tmp_path, data_root=tmp_path, **sizes)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match=r"of 1 processes at once the exit codes are \[1\]: what they printed is above"):
        next(sections.sharing(setting))


def test_the_settings_of_the_full_size_have_no_mistakes(benchmarks: tuple[ModuleType, ModuleType]) -> None:
    """Digits stand for MNIST, whose files are not everywhere. The limits of the sections before the race leave it a minute."""
    gpu, sections = benchmarks
    digits = ("dataset={name: digits}", "budget.trials=12", "ipc.high=50")
    load_space("mnist", [*sections.RACE, *digits, "methods=[{name: dm, batch_real: 8}]"], None)
    load_space(
        "mnist_datadam",
        [*sections.TABLE_2, *digits[:2], "method.batch_real=8", "goal.margin_fraction=0.02"],
        None,
        for_search=False,
    )
    *before, race = gpu.SECTIONS
    assert race.name == "race"
    assert sum(section.limit_seconds for section in before) <= gpu.BUDGET_SECONDS - 60
