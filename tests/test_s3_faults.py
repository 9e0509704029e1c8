"""A few of the faults of `benchmarks/s3_faults.py`, which strikes every request of a search to S3 in turn."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("moto", reason="the S3 server of these tests comes with the extra `test`")
sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import s3_faults
from s3_faults import Fault


@pytest.fixture(scope="module")
def undisturbed() -> Iterator[tuple[dict[str, Any], Counter[str]]]:
    """The records of a search that no fault strikes, and its requests."""
    with s3_faults.impatient():
        yield s3_faults.undisturbed_search()


@pytest.mark.parametrize(
    ("fault", "becomes"),
    [
        (Fault("PUT", "500", 20), "went on"),
        (Fault("GET", "503", 30), "went on"),
        (Fault("GET", "cut body", 30), "went on"),
        (Fault("PUT", "500", 0, for_good=True), "told and resumed"),
        (Fault("HEAD", "500", 0, for_good=True), "told and resumed"),
        (Fault("GET", "503", 30, for_good=True), "told and resumed"),
    ],
    ids=["a write", "a read", "an answer in the middle", "all writes", "all looks", "all reads from one on"],
)
def test_a_search_whose_store_fails_goes_on_or_ends_with_one_message(
    undisturbed: tuple[dict[str, Any], Counter[str]], fault: Fault, becomes: str
) -> None:
    found, seen = undisturbed
    assert seen[fault.verb or ""] > fault.at
    assert s3_faults.outcome(fault, found) == becomes
