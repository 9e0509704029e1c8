"""The tests in tests/gpu, on a GPU that is none: PyTorch has to know of it before the first backward pass of its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pretend_device import HAS_PYTHON_DEVICES, WITHOUT_THEM


@pytest.mark.slow
@pytest.mark.skipif(not HAS_PYTHON_DEVICES, reason=WITHOUT_THEM)
def test_all_that_runs_on_a_gpu_runs_on_a_pretend_one() -> None:
    command = [sys.executable, "-m", "pytest", "-m", "pretend_gpu", "tests/gpu", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-5_000:]
    assert " passed" in ended.stdout
    assert " skipped" not in ended.stdout
