"""The script for a GPU works on a CPU at small size, so that it works the first time it meets a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_every_step_of_the_small_scale_ends_well(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--scale", "small"], capture_output=True, text=True
    )
    written = json.loads((tmp_path / "steps.json").read_text())
    failed = {step["name"]: step["output"] for step in written["steps"] if step["exit_code"] != 0}
    assert not failed
    assert ended.returncode == 0, ended.stderr
    assert [step["name"] for step in written["steps"]] == ["bench", "table-2", "compare-plain", "search"]
    assert "above random" in (tmp_path / "rows.md").read_text()


def test_the_full_scale_fits_ten_minutes_and_reads_no_file() -> None:
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import gpu
    finally:
        sys.path.remove(str(SCRIPT.parent))
    steps = gpu.plan("full", Path("out"), Path("data"))
    assert sum(step.limit_seconds for step in steps) <= 600
    assert {step.arguments[0] for step in steps} == {"bench", "distill", "compare", "search"}
