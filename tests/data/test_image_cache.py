"""Cached pixels: read once, noticed when damaged or outdated, bounded, and the same as decoded ones."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raydistill.data.image_folder import load_image_folder
from raydistill.data.own import cache
from raydistill.data.own.decode import Rules
from raydistill.data.own.items import Item
from raydistill.data.own.listing import listing
from raydistill.data.own.pixels import Like, read_pixels
from raydistill.data.splits import load_splits, open_test
from raydistill.errors import DataError, StoreError
from raydistill.spaces.sections import ImageFolderConfig
from raydistill.storage.store import Store

MANY = cache.LEAST_IMAGES


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("RAYDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RAYDISTILL_CACHE_GB", raising=False)
    return tmp_path / "cache/images"


class Drawn:
    """Items of one grey level each, which count how often they are opened."""

    def __init__(self, count: int = MANY, stamp: str = "1", size: int = 4) -> None:
        self.opened = 0
        self.size = size
        self.items = [
            Item(name=f"{number}.png", class_name="x", stamp=stamp, open=lambda number=number: self._open(number))  # type: ignore[misc]
            for number in range(count)
        ]

    def _open(self, number: int) -> Image.Image:
        self.opened += 1
        return Image.new("L", (self.size, self.size), number % 256)

    def read(self, **rules: object) -> np.ndarray:
        images, _ = read_pixels(self.items, Rules(size=self.size, **rules), Path("/x"))  # type: ignore[arg-type]
        return images


def test_images_are_decoded_once(folder: Path) -> None:
    drawn = Drawn()
    first, second = drawn.read(), drawn.read()
    assert drawn.opened == MANY
    assert isinstance(second, np.memmap)
    assert not second.flags.writeable
    assert first.shape == (MANY, 1, 4, 4)
    assert first[:, 0, 0, 0].tolist() == second[:, 0, 0, 0].tolist() == list(range(MANY))
    assert {path.suffix for path in folder.iterdir() if path.is_file()} == {".npy", ".json"}


def test_few_images_are_not_cached(folder: Path) -> None:
    drawn = Drawn(MANY - 1)
    drawn.read()
    assert drawn.read()[:, 0, 0, 0].tolist() == list(range(MANY - 1))
    assert drawn.opened == 2 * (MANY - 1)
    assert not folder.exists()


def test_changed_files_and_other_rules_are_read_again() -> None:
    Drawn().read()
    for other in (Drawn(stamp="2"), Drawn(MANY + 1)):
        other.read()
        assert other.opened == len(other.items)
    drawn = Drawn()
    assert drawn.read(channels=3).shape == (MANY, 3, 4, 4)
    assert drawn.opened == MANY


def test_another_version_of_the_decoder_reads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from raydistill.data.own import pixels

    drawn = Drawn()
    drawn.read()
    monkeypatch.setattr(pixels, "DECODER_VERSION", 2)
    drawn.read()
    assert drawn.opened == 2 * MANY


@pytest.mark.parametrize("damage", ["flip", "cut", "lose", "spoil"])
def test_a_damaged_entry_is_made_again(folder: Path, damage: str) -> None:
    Drawn().read()
    (stored,) = folder.glob("*.npy")
    if damage == "flip":
        data = bytearray(stored.read_bytes())
        data[-1] ^= 1
        stored.write_bytes(data)
    elif damage == "cut":
        os.truncate(stored, stored.stat().st_size - 1)
    elif damage == "lose":
        stored.unlink()
    else:
        stored.with_suffix(".json").write_text("{")
    drawn = Drawn()
    assert drawn.read()[:, 0, 0, 0].tolist() == list(range(MANY))
    assert drawn.opened == MANY
    again = Drawn()
    again.read()
    assert again.opened == 0


def test_images_left_out_stay_left_out() -> None:
    """The images 3 and 5 cannot be read: of the places, these two are missing, also when the cache is read."""
    drawn = Drawn()

    def fail() -> Image.Image:
        drawn.opened += 1
        raise OSError("no")

    items = [
        Item(name=i.name, class_name="x", stamp="1", open=fail if n in (3, 5) else i.open) for n, i in enumerate(drawn.items)
    ]
    for _ in range(2):
        images, places = read_pixels(items, Rules(size=4), Path("/x"), skip=True)
        assert images[:, 0, 0, 0].tolist() == places.tolist() == [n for n in range(MANY) if n not in (3, 5)]
    assert drawn.opened == MANY
    with pytest.raises(DataError, match=r"2 problems of 1 kind"):
        read_pixels(items, Rules(size=4), Path("/x"))


def test_cached_images_of_other_channels_are_refused() -> None:
    drawn = Drawn()
    drawn.read()
    with pytest.raises(DataError, match=r"0.png has 1 channel \(grey\) of 4 x 4 pixels, but train/1.png has 3 channels"):
        read_pixels(drawn.items, Rules(size=4), Path("/x"), like=Like(name="train/1.png", shape=(3, 4, 4)))


def test_a_failed_reading_leaves_nothing_behind(folder: Path) -> None:
    drawn = Drawn()
    drawn.items[-1] = Item(name="bad.png", class_name="x", stamp="1", open=lambda: Image.new("L", (2, 2)))
    with pytest.raises(DataError, match=r"bad.png has 2 x 2 pixels, smaller than size 4"):
        drawn.read()
    assert [path.name for path in folder.iterdir() if path.is_file()] == []


def test_the_entries_not_used_for_longest_are_removed_beyond_the_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry takes 256 x 16 bytes and a header of 128: 4,224. Two fit into 9,000; the first is used again before the third."""
    monkeypatch.setenv("RAYDISTILL_CACHE_GB", str(9000 / 1e9))
    first, second, third = Drawn(stamp="1"), Drawn(stamp="2"), Drawn(stamp="3")
    first.read()
    second.read()
    first.read()
    third.read()
    assert len(list(folder.glob("*.npy"))) == len(list(folder.glob("*.json"))) == 2
    for drawn, opened in ((first, MANY), (third, MANY), (second, 2 * MANY)):
        drawn.read()
        assert drawn.opened == opened


def test_what_a_killed_process_left_unfinished_is_removed(folder: Path) -> None:
    folder.mkdir(parents=True)
    old, new = folder / "old.part", folder / "new.part"
    for path in (old, new):
        path.write_text("")
    os.utime(old, (0, 0))
    Drawn().read()
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize("bound", ["0", "0.000001"])
def test_without_room_images_are_decoded_each_time(folder: Path, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setenv("RAYDISTILL_CACHE_GB", bound)
    drawn = Drawn()
    assert drawn.read()[:, 0, 0, 0].tolist() == drawn.read()[:, 0, 0, 0].tolist() == list(range(MANY))
    assert drawn.opened == 2 * MANY
    assert list(folder.glob("*.npy")) == []


@pytest.mark.parametrize("bound", ["much", "-1", "inf"])
def test_a_bound_is_a_number(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setenv("RAYDISTILL_CACHE_GB", bound)
    with pytest.raises(DataError, match=rf"RAYDISTILL_CACHE_GB is '{bound}'; expected gigabytes, 0 or more: unset it for 20"):
        Drawn().read()


def test_a_cache_that_cannot_be_written_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(
        StoreError, match=r"cannot write decoded images .*No space left.*; set RAYDISTILL_CACHE to another folder"
    ):
        Drawn().read()
    assert list(folder.glob("*.part")) == []


def test_a_disk_that_loses_what_was_written_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    checksums = iter((1, 2))
    monkeypatch.setattr(cache, "_checksum", lambda path: next(checksums))
    with pytest.raises(StoreError, match=r"npy does not hold what was written to it; check the disk"):
        Drawn().read()


def _read(path: str, numbers: multiprocessing.Queue[int]) -> None:
    given = ImageFolderConfig(name="image_folder", path=path, size=8)
    numbers.put(int(load_image_folder(given, None).search.images.sum()))


def test_two_processes_may_read_at_once(tmp_path: Path, folder: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(MANY):
            Image.new("L", (8, 8), number % 200).save(tmp_path / "pets" / name / f"{number:03d}.png")
    context = multiprocessing.get_context("spawn")
    numbers: multiprocessing.Queue[int] = context.Queue()
    processes = [context.Process(target=_read, args=(str(tmp_path / "pets"), numbers)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [numbers.get() for _ in processes]
    for process in processes:
        process.join()
    assert found[0] == found[1] == 2 * 64 * sum(number % 200 for number in range(MANY))
    assert len(list(folder.glob("*.npy"))) == 1


def test_a_cached_folder_is_the_same_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(MANY):
            Image.fromarray(generator.integers(0, 255, (8, 8), dtype=np.uint8)).save(tmp_path / f"pets/{name}/{number:03d}.png")
    given = ImageFolderConfig(name="image_folder", path=str(tmp_path / "pets"), size=8)
    hashes = []
    for bound in ("0", "1", "1"):
        monkeypatch.setenv("RAYDISTILL_CACHE_GB", bound)
        load_splits.cache_clear()
        hashes.append(load_splits(given).sha256)
    assert len(set(hashes)) == 1


def test_a_cached_test_part_is_opened_like_any_other(tmp_path: Path, folder: Path) -> None:
    """A tensor on a read-only map would be a warning, which is an error here, or would crash when it is written."""
    for part, count in {"train": 20, "test": MANY}.items():
        for name in ("cats", "dogs"):
            (tmp_path / "pets" / part / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("L", (8, 8), number % 200)
                image.putpixel((0, 0), 255)
                image.save(tmp_path / "pets" / part / name / f"{number:03d}.png")
    given = ImageFolderConfig(name="image_folder", path=str(tmp_path / "pets"), size=8)
    for _ in range(2):
        opened = open_test(given, reason="a test", log=Store(str(tmp_path / "log")))
        opened.images.add_(1)
        assert len(opened.labels) == 2 * MANY
    assert len(list(folder.glob("*.npy"))) == 1


def test_the_stamp_of_a_file_changes_with_its_contents(tmp_path: Path) -> None:
    """Also where size and time of modification are as before, as after unpacking an archive."""
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(b"a")
    given = ImageFolderConfig(name="image_folder", path=str(tmp_path), size=8)
    before = listing(given, tmp_path).items[0].stamp
    times = (tmp_path / "cats/x.png").stat()
    (tmp_path / "cats/x.png").write_bytes(b"b")
    os.utime(tmp_path / "cats/x.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert listing(given, tmp_path).items[0].stamp != before


def test_the_json_beside_the_pixels_is_small(folder: Path) -> None:
    Drawn().read()
    (facts,) = folder.glob("*.json")
    assert json.loads(facts.read_text())["places"] is None
