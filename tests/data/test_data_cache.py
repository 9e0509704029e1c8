"""Data at a URI: copied once and completely, and copied again if damaged; from a shared folder and from a bucket."""

from __future__ import annotations

import hashlib
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raydistill.data.data_cache import local_folder
from raydistill.data.datasets import load_raw
from raydistill.data.splits import load_splits
from raydistill.errors import DataError, StoreError
from raydistill.spaces.sections import ImageFolderConfig
from raydistill.storage.data_root import DataRoot, as_data_root
from raydistill.storage.node_cache import cache_folder
from raydistill.storage.store import Store

FILES = {"set/a.bin": hashlib.md5(b"aaa").hexdigest(), "set/b.bin": hashlib.md5(b"bbb").hexdigest()}


@pytest.fixture(params=["folder", "s3"])
def source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two files that the data set names and one that it does not; the cache is a folder of the test."""
    monkeypatch.setenv("RAYDISTILL_CACHE", str(tmp_path / "cache"))
    root = request.getfixturevalue("bucket").uri if request.param == "s3" else f"file://{tmp_path}/shared"
    store = Store(f"{root}/data")
    for name, data in {"set/a.bin": b"aaa", "set/b.bin": b"bbb", "set/other.bin": b"ccc"}.items():
        store.write(name, data)
    return store


def test_a_plain_folder_is_read_where_it_is(tmp_path: Path) -> None:
    assert local_folder(tmp_path, FILES, None) == tmp_path
    assert local_folder(None, FILES, None) is None


def test_only_the_files_that_the_data_set_names_are_copied(source: Store, tmp_path: Path) -> None:
    folder = local_folder(source.root, FILES, None)
    assert folder is not None
    assert folder.is_relative_to(tmp_path / "cache")
    assert sorted(path.name for path in (folder / "set").iterdir()) == ["a.bin", "b.bin"]
    assert (folder / "set/a.bin").read_bytes() == b"aaa"


def test_what_was_copied_is_not_fetched_again(source: Store) -> None:
    local_folder(source.root, FILES, None)
    source.delete_folder("set")
    assert local_folder(source.root, FILES, None) is not None


def test_a_damaged_copy_is_fetched_again(source: Store) -> None:
    folder = local_folder(source.root, FILES, None)
    assert folder is not None
    (folder / "set/a.bin").write_bytes(b"aab")
    local_folder(source.root, FILES, None)
    assert (folder / "set/a.bin").read_bytes() == b"aaa"


def test_a_file_that_is_missing_at_the_source_is_named(source: Store) -> None:
    source.delete("set/b.bin")
    with pytest.raises(
        DataError, match=r"data/set/b.bin is missing; put it there, or give another folder or URI with --data-root"
    ):
        local_folder(source.root, FILES, None)


def test_a_file_that_is_damaged_at_the_source_is_named_and_not_kept(source: Store) -> None:
    source.write("set/b.bin", b"bb")
    with pytest.raises(DataError, match=r"set/b.bin is damaged: its MD5 is .*, the published MD5 is .*; put it there again"):
        local_folder(source.root, FILES, None)
    assert not list(cache_folder().rglob("b.bin"))


def test_a_folder_without_published_sums_is_copied_whole_and_follows_its_source(source: Store) -> None:
    """a is damaged here, b changes there, other goes: the copy is the source again."""
    folder = local_folder(source.root, {}, "set")
    assert folder is not None
    (folder / "set/a.bin").write_bytes(b"damaged")
    source.write("set/b.bin", b"new and longer")
    source.delete("set/other.bin")
    local_folder(source.root, {}, "set")
    found = {path.name: path.read_bytes() for path in (folder / "set").iterdir() if not path.name.startswith(".")}
    assert found == {"a.bin": b"aaa", "b.bin": b"new and longer"}


def test_what_an_interrupted_copy_brought_and_the_source_no_longer_has_is_deleted(source: Store, tmp_path: Path) -> None:
    """The list of what was copied is written last, so it does not name such a file."""
    folder = local_folder(source.root, {}, "set")
    assert folder is not None
    (folder / "set/.copied.json").unlink()
    source.delete("set/other.bin")
    local_folder(source.root, {}, "set")
    assert sorted(path.name for path in (folder / "set").iterdir()) == [".copied.json", "a.bin", "b.bin"]


def test_a_folder_that_is_empty_at_the_source_is_named(source: Store) -> None:
    with pytest.raises(
        DataError, match=r"data/none contains no files; put them there, or give another folder or URI with --data-root"
    ):
        local_folder(source.root, {}, "none")


def test_a_folder_that_leaves_the_source_is_refused(source: Store) -> None:
    with pytest.raises(StoreError, match="is outside of the store"):
        local_folder(source.root, {}, "../secret")


def _copy(root: str) -> None:
    local_folder(root, FILES, None)


def test_two_processes_may_copy_at_once(source: Store) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_copy, args=(source.root,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]


def test_images_behind_a_uri_are_the_same_data(source: Store, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        for number in range(10):
            path = tmp_path / "plain/pets" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 255, (8, 8), dtype=np.uint8)).save(path)
            source.write(f"pets/{name}/{number}.png", path.read_bytes())
    config = ImageFolderConfig(name="image_folder", path="pets", size=8)
    roots: list[DataRoot] = [source.root, tmp_path / "plain"]
    here, there = (load_splits(config, root).sha256 for root in roots)
    assert here == there


def test_a_table_and_an_archive_behind_a_uri_bring_what_lies_beside_them(source: Store, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 255, (20, 8, 8), dtype=np.uint8)
    rows = ["path,label"]
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "x.png")
        source.write(f"scans/images/{number}.png", (tmp_path / "x.png").read_bytes())
        rows.append(f"images/{number}.png,{'ab'[number % 2]}")
    source.write("scans/labels.csv", "\n".join(rows))
    np.savez(tmp_path / "x.npz", images=pixels, labels=np.arange(20) % 2)
    source.write("x.npz", (tmp_path / "x.npz").read_bytes())
    paths = ("scans/labels.csv", "x.npz")
    shapes = [load_raw(ImageFolderConfig(name="image_folder", path=path, size=8), source.root).search.images for path in paths]
    assert [images.shape for images in shapes] == [(20, 1, 8, 8)] * 2


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAYDISTILL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == Path.home() / ".cache/raydistill"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/raydistill")
    monkeypatch.setenv("RAYDISTILL_CACHE", "/y")
    assert cache_folder() == Path("/y")


def test_a_data_root_is_an_absolute_path_or_a_uri(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert as_data_root("data") == tmp_path / "data"
    assert as_data_root("s3://bucket/data") == "s3://bucket/data"
    assert as_data_root(None) is None
    with pytest.raises(StoreError, match="contains credentials"):
        as_data_root("s3://key:secret@bucket/data")
