"""What the commands that only read load: each runs in a process of its own, on a study written by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hand_made import STORED, HandMade, baseline

from raydistill.storage.baseline import BaselineReading
from raydistill.storage.record import Progress, pack_bits

HEAVY = ("torch", "torchvision", "ray", "optuna", "sklearn", "scipy.stats", "s3fs", "fvcore")
"""Each takes a tenth of a second to several seconds, or as many hundred megabytes."""
FOR_TABLES = ("pandas", "scipy.special")
"""A quarter of a second each: frames, and the quantiles of a gap's bounds."""
RUN = """
import json, sys
from raydistill.cli import app
try:
    app(sys.argv[2:], prog_name="raydistill")
except SystemExit as end:
    assert not end.code, end.code
print("\\n" + json.dumps([name for name in json.loads(sys.argv[1]) if name in sys.modules]))
"""


def loaded_by(*words: str) -> list[str]:
    """Those of the named modules that a command loads."""
    given = [sys.executable, "-c", RUN, json.dumps([*HEAVY, *FOR_TABLES]), *words]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(params=["datadam", "datm"])
def study(by_hand: HandMade, request: pytest.FixtureRequest) -> str:
    """Trials at several IPCs with bounds of their gaps, one of them running; with `datm` a space whose method reads experts."""
    by_hand.study.write("search_space.yaml", yaml.safe_dump({**STORED, "method": {"name": request.param}}))
    reading = BaselineReading(seed=0, steps=9, select_correct="ff" * 32, confirm_correct="ff" * 38, seconds=1.0)
    by_hand.study.write(
        "baseline/baseline.json",
        baseline().model_copy(update={"readings": (reading, reading), "accuracy_fractions": (1.0, 1.0)}).model_dump_json(),
    )
    for ipc, right in ((3, (225, 228)), (3, (225, 230)), (3, (222, 225)), (9, (242, 245))):
        correct = [pack_bits(np.arange(250)[None] < count)[0] for count in right]
        by_hand.trial(ipc, tuple(count / 250 for count in right), select_correct=correct)
    running = by_hand.trial(6, None)
    progress = Progress(step=1, steps=2, readings=(), seconds={}, experts_sha256=None)
    by_hand.study.write(f"trials/{running}/progress.json", progress.model_dump_json())
    return by_hand.study.root


def test_status_loads_nothing_heavy(study: str) -> None:
    assert set(loaded_by("status", study)) <= {"scipy.special"}


def test_tables_load_what_frames_and_bounds_need(study: str) -> None:
    assert loaded_by("tables", study) == list(FOR_TABLES)
    assert "gap_low" in Path(study, "tables/ipc.csv").read_text()


@pytest.mark.parametrize("words", [("spaces",), ("schema",), ("--help",), ("search", "--help")])
def test_what_describes_spaces_and_commands_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    assert loaded_by(*words) == []
