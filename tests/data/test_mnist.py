"""MNIST files: found, refused if damaged, reported if missing; the real files are used if this machine has them."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from raydistill.data import mnist
from raydistill.data.mnist import MD5, load_mnist
from raydistill.data.splits import data_facts, load_splits, open_test
from raydistill.errors import DataError
from raydistill.spaces.sections import DatasetConfig
from raydistill.storage.store import Store

CANDIDATES = [
    Path(root) for root in (os.environ.get("RAYDISTILL_DATA"), Path(__file__).parents[2] / ".." / "shared" / "data") if root
]
ROOT = next((root for root in CANDIDATES if (root / "MNIST" / "raw").is_dir()), None)
needs_mnist = pytest.mark.skipif(
    ROOT is None, reason="the MNIST files are not here: set RAYDISTILL_DATA to the folder that holds MNIST/raw"
)

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(values: np.ndarray) -> bytes:
    """An array of bytes in the format of the MNIST files: a magic number, the sizes, the values."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small files in the layout of MNIST, 40 train and 20 test images, whose checksums count as the published ones."""
    monkeypatch.setenv("RAYDISTILL_OFFLINE", "1")
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 20)):
        images = np.arange(count * 784).reshape(count, 28, 28) % 256
        for name, values in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", np.arange(count) % 10)):
            (folder / name).write_bytes(idx(values))
    sums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in MD5}
    monkeypatch.setattr(mnist, "MD5", sums)
    return folder


def test_files_are_read_as_images_with_labels(raw: Path) -> None:
    """Image n starts with the pixel 784 n mod 256: 0, 16, 32, ..."""
    search = load_mnist(raw.parents[1]).search
    assert search.images.shape == (40, 1, 28, 28)
    assert search.images.dtype == np.uint8
    assert search.images[:3, 0, 0, 0].tolist() == [0, 16, 32]
    assert search.labels.tolist() == [n % 10 for n in range(40)]
    assert search.labels.dtype == np.int64


def test_the_test_images_are_read_when_they_are_asked_for(raw: Path) -> None:
    dataset = load_mnist(raw.parents[1])
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"damaged later")
    assert dataset.load_test is not None
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte is damaged"):
        dataset.load_test()


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS])
@pytest.mark.parametrize("damage", ["truncated", "altered", "empty", "longer"])
def test_a_damaged_file_is_named_and_refused(raw: Path, name: str, damage: str) -> None:
    whole = (raw / name).read_bytes()
    damaged = {
        "truncated": whole[:-1],
        "altered": whole[:-1] + bytes([whole[-1] ^ 1]),
        "empty": b"",
        "longer": whole + b"\0",
    }
    (raw / name).write_bytes(damaged[damage])
    with pytest.raises(
        DataError, match=rf"raw/{name} is damaged: its MD5 is [0-9a-f]{{32}}, the published MD5 is [0-9a-f]{{32}}; delete it"
    ):
        load_mnist(raw.parents[1])


def test_files_of_another_data_set_are_refused(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complete files with the right format and names, but not MNIST: their checksums differ from the published ones."""
    monkeypatch.setattr(mnist, "MD5", MD5)
    with pytest.raises(DataError, match=f"{TRAIN_IMAGES} is damaged: .*the published MD5 is 6bbc9ace898e44ae57da46a324031adb"):
        load_mnist(raw.parents[1])


def test_missing_files_are_named_with_their_folder_when_offline(raw: Path) -> None:
    (raw / TRAIN_LABELS).unlink()
    with pytest.raises(DataError) as caught:
        load_mnist(raw.parents[1])
    text = str(caught.value)
    assert text.startswith(f"MNIST files are missing: put {TRAIN_LABELS} into {raw}, or give another folder with --data-root")
    assert text.endswith("RAYDISTILL_OFFLINE=1 forbids the download")


def test_all_files_are_named_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYDISTILL_OFFLINE", "1")
    with pytest.raises(DataError) as caught:
        load_mnist(tmp_path)
    assert all(name in str(caught.value) for name in MD5)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_fails_names_files_folder_and_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(root: str, download: bool) -> None:
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.delenv("RAYDISTILL_OFFLINE", raising=False)
    monkeypatch.setattr(datasets, "MNIST", unreachable)
    with pytest.raises(
        DataError, match=r"put train-images.* into .*MNIST/raw.*; the download failed: Error downloading train-images"
    ):
        load_mnist(tmp_path)


def test_files_that_are_there_are_not_downloaded(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(root: str, download: bool) -> None:
        raise AssertionError("downloaded")

    monkeypatch.delenv("RAYDISTILL_OFFLINE")
    monkeypatch.setattr(datasets, "MNIST", never)
    load_mnist(raw.parents[1])


def test_missing_files_are_downloaded_to_the_folder(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (raw / TRAIN_LABELS).read_bytes()
    (raw / TRAIN_LABELS).unlink()
    asked: list[str] = []

    def fetch(root: str, download: bool) -> None:
        asked.append(root)
        beside = Path(root) / "MNIST" / "raw"
        beside.mkdir(parents=True)
        (beside / TRAIN_LABELS).write_bytes(whole)

    monkeypatch.delenv("RAYDISTILL_OFFLINE")
    monkeypatch.setattr(datasets, "MNIST", fetch)
    load_mnist(raw.parents[1])
    assert [Path(root).parent for root in asked] == [raw.parents[1] / ".download"]
    assert (raw / TRAIN_LABELS).read_bytes() == whole


def test_without_a_folder_the_cache_in_the_home_folder_is_used(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = raw.parents[1] / "home"
    (home / ".cache").mkdir(parents=True)
    (home / ".cache" / "raydistill").symlink_to(raw.parents[1])
    monkeypatch.setenv("HOME", str(home))
    assert len(load_mnist(None).search.labels) == 40


def test_fashion_mnist_is_read_from_its_packed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 train and 20 test images; image n starts with the pixel 784 n mod 256: 0, 16, 32, ..."""
    monkeypatch.setenv("RAYDISTILL_OFFLINE", "1")
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 20)):
        images = np.arange(count * 784).reshape(count, 28, 28) % 256
        for name, values in ((f"{part}-images-idx3-ubyte.gz", images), (f"{part}-labels-idx1-ubyte.gz", np.arange(count) % 10)):
            (folder / name).write_bytes(gzip.compress(idx(values)))
            monkeypatch.setitem(mnist.FASHION_MD5, name, hashlib.md5((folder / name).read_bytes()).hexdigest())
    raw = mnist.load_fashion_mnist(tmp_path)
    assert raw.load_test is not None
    assert (raw.search.images.shape, raw.load_test().images.shape) == ((40, 1, 28, 28), (20, 1, 28, 28))
    assert raw.search.images[:3, 0, 0, 0].tolist() == [0, 16, 32]
    assert (raw.search.labels.tolist(), raw.class_names[0]) == ([n % 10 for n in range(40)], "T-shirt/top")


def test_fashion_mnist_has_files_and_checksums_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYDISTILL_OFFLINE", "1")
    with pytest.raises(DataError, match=r"FashionMNIST files are missing: put train-images-idx3-ubyte.gz, .*FashionMNIST/raw"):
        mnist.load_fashion_mnist(tmp_path)
    assert not set(mnist.FASHION_MD5) & set(MD5)


def test_checksums_and_classes_of_fashion_mnist_are_torchvisions() -> None:
    assert list(mnist.FASHION_MD5.items()) == datasets.FashionMNIST.resources
    assert list(mnist.GARMENTS) == datasets.FashionMNIST.classes


@needs_mnist
def test_the_true_files_are_split_into_50000_5000_and_5000() -> None:
    splits = load_splits(DatasetConfig(name="mnist"), ROOT)
    assert [len(part.labels) for part in (splits.train, splits.select, splits.confirm)] == [50_000, 5_000, 5_000]
    assert splits.shape == (1, 28, 28)


@needs_mnist
def test_the_true_train_part_has_the_published_mean_and_deviation() -> None:
    """0.1307 and 0.3081 over all 60,000; the 50,000 of the train part differ in the fourth digit at most."""
    preprocess = load_splits(DatasetConfig(name="mnist"), ROOT).preprocess
    assert preprocess.mean[0] == pytest.approx(0.1307, abs=5e-4)
    assert preprocess.std[0] == pytest.approx(0.3081, abs=5e-4)


@needs_mnist
def test_the_true_test_part_has_the_published_class_sizes(tmp_path: Path) -> None:
    test = open_test(DatasetConfig(name="mnist"), reason="a test", log=Store(str(tmp_path)), data_root=ROOT)
    assert torch.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@needs_mnist
def test_the_smallest_true_class_is_reported() -> None:
    """Of 60,000 digits the fewest, 5,421, are fives: 5,421 * 50,000 / 60,000 = 4,517.5 of them train."""
    facts = data_facts(DatasetConfig(name="mnist"), ROOT)
    assert facts.smallest_class in (4517, 4518)
    assert facts.confirm_images == 5000
