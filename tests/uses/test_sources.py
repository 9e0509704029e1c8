"""The names of the files in which sets lie that were made for a use."""

from __future__ import annotations

from pathlib import Path

from raydistill.storage.store import Store
from raydistill.uses.sources import set_file


def test_the_set_of_a_few_classes_names_them() -> None:
    assert set_file("0123456789ab", (3, 12)).startswith("sets/0123456789ab-of-3-12-")
    assert "-of-" not in set_file("0123456789ab")


def test_sets_of_many_classes_have_names_of_their_own_that_can_be_written(tmp_path: Path) -> None:
    """The numbers of a hundred and of a thousand classes are 289 and 3,889 characters."""
    store = Store(str(tmp_path))
    files = [set_file("0123456789ab", classes) for classes in (range(100), range(1, 100), range(1000))]
    for file in files:
        store.write(file, file.encode())
    assert [store.read(file) for file in files] == [file.encode() for file in files]
