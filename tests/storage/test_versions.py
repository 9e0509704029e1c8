"""A file of a later version is refused in every kind of file, and its message says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from own_images import fill

import raydistill
from raydistill.data.own.record import DATA_FILE, read_report, write_report
from raydistill.errors import StoreError
from raydistill.storage.looks import LOOKS_FILE, looks_at, note_look
from raydistill.storage.manifest import MANIFEST_FILE, read_manifest, write_manifest
from raydistill.storage.store import Store


@pytest.mark.parametrize(
    ("name", "write", "read"),
    [
        (LOOKS_FILE, lambda study: note_look(study, []), looks_at),
        (MANIFEST_FILE, lambda study: write_manifest(study, []), read_manifest),
    ],
)
def test_a_sealed_file_of_a_later_version_is_refused(
    name: str, write: Callable[[Store], None], read: Callable[[Store], object], tmp_path: Path
) -> None:
    study = Store(str(tmp_path))
    write(study)
    unsealed = study.read(name).decode().rpartition(',\n  "file_sha256"')[0] + "\n}\n"
    study.write(name, unsealed.replace('"record_version": 1', '"record_version": 2'))
    with pytest.raises(StoreError, match=r"another version of raydistill \(record_version 2; this version reads 1\): keep"):
        read(study)


def test_a_report_on_images_of_a_later_version_is_refused_and_one_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Earlier versions call the key `report_version`."""
    report = raydistill.check_data(fill(tmp_path / "pets", {"cat": 4, "dog": 4}), settings=["size=8"])
    study = Store(str(tmp_path / "study"))
    write_report(study, report)
    text = study.read(DATA_FILE).decode()
    study.write(DATA_FILE, text.replace("record_version", "report_version"))
    assert read_report(study) == report
    study.write(DATA_FILE, text.replace('"record_version": 1', '"record_version": 2'))
    with pytest.raises(StoreError, match=r"data.json was written by another version of raydistill \(record_version 2; "):
        read_report(study)
