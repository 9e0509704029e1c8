"""Copies of a shared store's files on a node's own disk, by their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from raydistill.storage.node_cache import cached
from raydistill.storage.store import Store

HASH = hashlib.sha256(b"tensors").hexdigest()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("RAYDISTILL_CACHE", str(tmp_path / "cache"))
    store = Store(f"memory://{tmp_path.name}")
    store.write("experts/a.safetensors", b"tensors")
    return store


def test_a_file_is_copied_once_under_its_hash(source: Store, tmp_path: Path) -> None:
    path = cached(source, "experts/a.safetensors", HASH)
    assert path == tmp_path / f"cache/files/{HASH}.safetensors"
    source.delete("experts/a.safetensors")
    assert cached(source, "experts/a.safetensors", HASH) == path


def test_a_damaged_copy_is_made_again(source: Store) -> None:
    path = cached(source, "experts/a.safetensors", HASH)
    assert path is not None
    path.write_bytes(b"torn")
    cached(source, "experts/a.safetensors", HASH)
    assert path.read_bytes() == b"tensors"


def test_a_source_with_another_hash_gives_nothing(source: Store, tmp_path: Path) -> None:
    assert cached(source, "experts/a.safetensors", "0" * 64) is None
    assert not (tmp_path / "cache").exists()


def test_a_file_that_is_not_at_the_source_is_said_to_be_missing(source: Store) -> None:
    with pytest.raises(FileNotFoundError):
        cached(source, "experts/b.safetensors", HASH)
