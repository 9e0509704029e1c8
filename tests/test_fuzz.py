"""Some of the inputs of `benchmarks/fuzz.py`, always the same, and hostile files that it found or that are known."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hand_made import STORED, HandMade

from raydistill.errors import InputError, StoreError
from raydistill.report.status import read_status
from raydistill.sets.importing import import_sets
from raydistill.storage.store import Store

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))


@pytest.mark.parametrize(
    "target",
    ["space", "study", "verify", "npz", "safetensors", "image", "pt", "tar", "arrays", "parquet", "table", "hugging_face"],
)
def test_hostile_inputs_are_read_or_refused_with_one_error_of_ours(target: str) -> None:
    fuzz = pytest.importorskip("fuzz", reason="hypothesis, which makes the inputs, comes with the extra `test`")
    tally = fuzz.fuzz(fuzz.TARGETS[target], seconds=0, first_seed=1, examples=25)
    assert tally.failures == {}
    assert tally.answers["refused"] > 5


def npz_of(**arrays: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def header(shape: str) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (npz_of(images=header("(1000000000, 1000000)") + b"\0" * 64), "MemoryError|ValueError"),
        (npz_of(images=header("(-1,)")), "not a set in npz format"),
        (npz_of(images=b"\x93NUMPY\x01\x00"), "not a set in npz format"),
        (b"PK\x03\x04", "not a set in npz format"),
    ],
    ids=["terabytes", "negative", "short", "no zip"],
)
def test_an_npz_that_would_fill_the_memory_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(InputError, match=why):
        import_sets(tmp_path / "set.npz")


def test_an_npz_that_unpacks_to_far_more_than_its_size_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raydistill.sets.npz.MOST_UNPACKED", 2**20)
    (tmp_path / "set.npz").write_bytes(npz_of(images=header("(524288,)") + b"\0" * 2**21))
    with pytest.raises(InputError, match="its arrays would take 2097280 bytes, and the file has"):
        import_sets(tmp_path / "set.npz")


def test_an_npz_file_that_holds_a_single_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "set.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match="not a set in npz format"):
        import_sets(tmp_path / "set.npz")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"budget": {}}, r"damaged \(budget.trials is null\)"),
        ({"budget": [1]}, r"damaged \(budget.trials is null\)"),
        ({"budget": {"trials": "6"}}, r"damaged \(budget.trials is '6'\)"),
        ({"dataset": {"name": None}}, r"damaged \(dataset.name is null\)"),
        ({"study": 3}, r"damaged \(study is 3\)"),
        ({"method": {"name": "no-such"}}, r"damaged \(unknown method 'no-such'\)"),
        ({"method": 3}, r"damaged \(unknown method 3\)"),
    ],
)
def test_a_status_of_a_space_without_its_facts_is_refused(tmp_path: Path, changes: dict[str, object], why: str) -> None:
    HandMade(tmp_path).study.write_json("search_space.yaml", {**STORED, **changes})
    with pytest.raises(StoreError, match=why):
        read_status(Store(str(tmp_path)))
