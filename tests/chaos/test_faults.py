"""Faults on one machine: what `benchmarks/faults.py` asks, as tests.

SEEDS says at how many random moments each strikes, FIRST_SEED with which seed they begin (0).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")
sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
import faults
from fault_kinds import FAULTS
from fault_rig import Found

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]

FIRST_SEED = int(os.environ.get("FIRST_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("SEEDS", "20")))
CASES = [(name, where) for name, fault in FAULTS.items() for where in ("Ray", "local") if where == "Ray" or not fault.needs_ray]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, Found]]:
    """Seconds and records of a search that nothing disturbs, on Ray and in one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return {where: faults.undisturbed(folder / where, is_local=where == "local") for where in ("Ray", "local")}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "where"), CASES)
def test_a_fault_costs_a_search_seconds_and_no_record(
    undisturbed: dict[str, tuple[float, Found]], tmp_path: Path, name: str, where: str, seed: int
) -> None:
    """No trial twice, none lost, no half file, no process or folder left, a message that says how to go on: `Outcome.wrong`."""
    if name == "disk full" and os.geteuid() != 0:
        pytest.skip("a small disk is a file system of its own, which root alone can mount: run this with sudo")
    whole, expected = undisturbed[where]
    one = faults.disturbed(name, seed, tmp_path, whole, expected, is_local=where == "local")
    if not one.has_struck:
        pytest.skip(
            f"the search had ended when the fault was to strike, after {one.after_seconds} s: run this on a quiet machine"
        )
    assert one.wrong == ""
    assert one.is_same
