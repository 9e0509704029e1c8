"""A few of the faults of `benchmarks/write_faults.py`, which strikes every write in turn."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import write_faults
from write_faults import Fault, Operation


@pytest.fixture(scope="module")
def undisturbed() -> Iterator[tuple[dict[str, Any], Counter[str]]]:
    """The records of a search that no fault strikes, and how often it writes; networks of five steps while it is in use."""
    with write_faults.short_recipe(), tempfile.TemporaryDirectory() as name:
        counted = Fault(Path(name), None, -1, Counter())
        with write_faults.struck(counted):
            write_faults.search(Path(name))
        yield write_faults.records(Path(name)), counted.seen


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("operation", write_faults.OPERATIONS)
def test_a_search_whose_disk_is_full_says_so_and_loses_nothing(
    undisturbed: tuple[dict[str, Any], Counter[str]], operation: Operation, share: float
) -> None:
    found, seen = undisturbed
    assert seen[operation] > 20
    assert write_faults.outcome(operation, round(share * (seen[operation] - 1)), found) == "told"
