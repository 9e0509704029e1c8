"""CIFAR files in torchvision's layout, made here: found, refused if damaged, reported if missing."""

from __future__ import annotations

import errno
import hashlib
import pickle
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100

from raydistill.data import published
from raydistill.data.cifar import CIFAR10_FILES, CIFAR100_FILES, load_cifar10, load_cifar100, published_sums
from raydistill.errors import DataError
from raydistill.storage import lock


def write(folder: Path, name: str, content: dict[str, Any]) -> tuple[str, str]:
    """A file as the published ones are, and its name and checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    data = pickle.dumps(content)
    (folder / name).write_bytes(data)
    return name, hashlib.md5(data).hexdigest()


def batch(count: int, label_key: str) -> dict[str, Any]:
    """Image n starts with n; its first 1,024 values are red."""
    data = np.zeros((count, 3072), dtype=np.uint8)
    data[:, 0], data[:, 1024] = np.arange(count), 200
    return {"data": data, label_key: [n % 2 for n in range(count)]}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both data sets with 20 train and 6 test images each, whose checksums count as the published ones."""
    monkeypatch.setenv("RAYDISTILL_OFFLINE", "1")
    for layout, label_key, meta_key in ((CIFAR10, "labels", "label_names"), (CIFAR100, "fine_labels", "fine_label_names")):
        folder = tmp_path / layout.base_folder
        monkeypatch.setattr(layout, "train_list", [list(write(folder, "train_1", batch(20, label_key)))])
        monkeypatch.setattr(layout, "test_list", [list(write(folder, "test_1", batch(6, label_key)))])
        name, md5 = write(folder, "meta_1", {meta_key: ["apple", "bear"]})
        monkeypatch.setattr(layout, "meta", {"filename": name, "key": meta_key, "md5": md5})
    return tmp_path


LOADERS = pytest.mark.parametrize(
    ("load", "folder"), [(load_cifar10, "cifar-10-batches-py"), (load_cifar100, "cifar-100-python")], ids=["10", "100"]
)


@LOADERS
def test_images_are_read_channel_by_channel_with_their_labels(load: Any, folder: str, root: Path) -> None:
    raw = load(root)
    assert (raw.search.images.shape, raw.search.images.dtype) == ((20, 3, 32, 32), np.uint8)
    assert raw.search.images[:3, :, 0, 0].tolist() == [[0, 200, 0], [1, 200, 0], [2, 200, 0]]
    assert raw.search.labels.tolist() == [0, 1] * 10
    assert raw.class_names == ("apple", "bear")
    assert raw.mirror_keeps_class


@LOADERS
def test_the_test_images_are_their_own(load: Any, folder: str, root: Path) -> None:
    test = load(root).load_test()
    assert (len(test.images), test.labels.tolist()) == (6, [0, 1, 0, 1, 0, 1])


def test_of_50000_images_2500_select_and_5000_confirm(root: Path) -> None:
    assert load_cifar10(root).sizes == {"select": 2500, "confirm": 5000}


@LOADERS
@pytest.mark.parametrize("name", ["train_1", "test_1", "meta_1"])
def test_a_damaged_file_is_named_and_not_unpickled(load: Any, folder: str, root: Path, name: str) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (root / "exploded",)

    (root / folder / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(
        DataError, match=rf"{folder}/{name} is damaged: its MD5 is [0-9a-f]{{32}}, the published MD5 is [0-9a-f]{{32}}"
    ):
        load(root)
    assert not (root / "exploded").exists()


@LOADERS
def test_missing_files_are_named_with_their_folder(load: Any, folder: str, root: Path) -> None:
    (root / folder / "test_1").unlink()
    with pytest.raises(DataError, match=rf"CIFAR-10+ files are missing: put test_1 into .*{folder}, or give another folder with"):
        load(root)


def test_a_download_that_fails_names_files_and_cause(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(self: CIFAR10) -> None:
        raise RuntimeError("Error downloading cifar-10-python.tar.gz")

    monkeypatch.delenv("RAYDISTILL_OFFLINE")
    monkeypatch.setattr(CIFAR10, "download", unreachable)
    (root / "cifar-10-batches-py" / "test_1").unlink()
    with pytest.raises(DataError, match=r"put test_1 into .*; the download failed: Error downloading cifar-10-python.tar.gz"):
        load_cifar10(root)


def test_a_download_comes_into_place_file_by_file_and_each_is_whole(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process takes a file that is there for a whole one."""
    monkeypatch.delenv("RAYDISTILL_OFFLINE")
    data, seen = root / "data", []

    def download(self: CIFAR10) -> None:
        folder = Path(self.root) / self.base_folder
        shutil.copytree(root / self.base_folder, folder)
        (folder / "test_1").write_bytes(b"half")
        seen.append([path for path in data.rglob("*_1") if ".download" not in path.parts])
        shutil.copy(root / self.base_folder / "test_1", folder / "test_1")

    monkeypatch.setattr(CIFAR10, "download", download)
    (data / ".download" / "CIFAR-10").mkdir(parents=True)
    (data / ".download" / "CIFAR-10" / "left").write_text("by a killed process")
    assert len(load_cifar10(data).search.labels) == 20
    assert seen == [[]]
    assert sorted(path.name for path in data.rglob("*") if path.is_file()) == [".lock", "meta_1", "test_1", "train_1"]


@pytest.mark.parametrize("has_locks", [True, False])
def test_an_archive_in_the_root_is_at_hand_for_the_download(root: Path, has_locks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has copied it to a machine that reaches nothing; its file system may have no locks."""
    monkeypatch.delenv("RAYDISTILL_OFFLINE")
    data = root / "data"
    data.mkdir()
    (data / "archive.tar.gz").write_bytes(b"archive")

    def download(self: CIFAR10) -> None:
        assert Path(self.root, "archive.tar.gz").read_bytes() == b"archive"
        shutil.copytree(root / self.base_folder, Path(self.root) / self.base_folder)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(CIFAR10, "download", download)
    if not has_locks:
        monkeypatch.setattr(lock.fcntl, "flock", refuse)
    assert len(load_cifar10(data).search.labels) == 20
    assert (data / "archive.tar.gz").read_bytes() == b"archive"


def test_of_two_processes_one_downloads_and_the_other_finds_the_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second asks while the first downloads, and waits for its end."""
    monkeypatch.delenv("RAYDISTILL_OFFLINE")
    data, downloads, waits = root / "data", [], threading.Event()
    locked = published.study_lock

    def download(self: CIFAR10) -> None:
        downloads.append(self.root)
        waits.wait()
        shutil.copytree(root / self.base_folder, Path(self.root) / self.base_folder)

    def lock(*given: Any, **named: Any) -> Any:
        if downloads:
            waits.set()
        return locked(*given, **named)

    monkeypatch.setattr(CIFAR10, "download", download)
    monkeypatch.setattr(published, "study_lock", lock)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(load_cifar10, data)
        while not downloads and not first.done():
            time.sleep(0.01)
        second = threads.submit(load_cifar10, data)
        assert len(first.result().search.labels) == len(second.result().search.labels) == 20
    assert len(downloads) == 1


def test_a_root_that_cannot_be_written_is_told_with_the_files_to_put_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYDISTILL_OFFLINE")
    (root / "file").write_text("")
    with pytest.raises(DataError, match=r"put train_1, .* into .*; the download failed: .*Not a directory.*/file/.download"):
        load_cifar10(root / "file")


def test_the_published_checksums_are_torchvisions() -> None:
    for layout, files in ((CIFAR10, CIFAR10_FILES), (CIFAR100, CIFAR100_FILES)):
        assert files == {f"{layout.base_folder}/{name}": md5 for name, md5 in published_sums(layout).items()}
