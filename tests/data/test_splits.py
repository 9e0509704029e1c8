"""Data sets and their splits: sizes, stratification, hashes, and the only function that opens the test split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from raydistill.data import splits as data
from raydistill.data.datasets import DATASETS
from raydistill.data.digits import load_raw_digits
from raydistill.data.division import divide
from raydistill.data.raw import RawDataset, RawPart
from raydistill.data.splits import LabelledImages, Splits, count_test_images, data_facts, load_splits, open_test
from raydistill.errors import DataError, StoreError
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.sections import DatasetConfig
from raydistill.storage.store import Store

DIGITS = DatasetConfig(name="digits")


@pytest.fixture
def splits() -> Splits:
    return load_splits(DIGITS)


@pytest.fixture
def log(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "log"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetConfig]:
    """A colour data set of 60 images in 3 classes with a published test part of 9; each image has its own pixel value."""

    def load(data_root: Path | None) -> RawDataset:
        numbers = np.arange(60, dtype=np.uint8).reshape(60, 1, 1, 1)
        return RawDataset(
            search=RawPart(images=np.tile(numbers, (1, 3, 2, 2)), labels=np.arange(60) % 3),
            load_test=lambda: RawPart(images=np.full((9, 3, 2, 2), 59, dtype=np.uint8), labels=np.arange(9) % 3),
            sizes={"select": 12, "confirm": 15},
            white=59,
            class_names=("a", "b", "c"),
            mirror_keeps_class=True,
        )

    monkeypatch.setitem(DATASETS, "small", load)
    load_splits.cache_clear()
    yield DatasetConfig(name="small")
    load_splits.cache_clear()


def rows(part: LabelledImages, splits: Splits) -> list[tuple[int, ...]]:
    """Each image as the whole pixel values it was published with."""
    pixels = splits.preprocess.invert(part.images) * 16
    return [tuple(image.round().int().flatten().tolist()) for image in pixels]


def counts(labels: Tensor) -> list[int]:
    return torch.bincount(labels, minlength=10).tolist()


def test_digits_are_split_into_797_250_300_and_450(splits: Splits, log: Store) -> None:
    test = open_test(DIGITS, reason="a test of the split", log=log)
    sizes = [len(part.labels) for part in (splits.train, splits.select, splits.confirm, test)]
    assert sizes == [797, 250, 300, 450]
    assert [len(part.images) for part in (splits.train, splits.select, splits.confirm, test)] == sizes


def test_test_images_are_counted_without_an_opening(log: Store) -> None:
    """Digits have 450 split off; where a test part is published, its labels are counted; a data set may have none."""
    raw = load_raw_digits(None)
    assert sum(count_test_images(DIGITS)) == 450
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "digits", lambda _: replace(raw, load_test=lambda: raw.search))
        assert sum(count_test_images(DIGITS)) == 1797
        patch.setitem(DATASETS, "digits", lambda _: replace(raw, sizes={"select": 250, "confirm": 300}))
        assert count_test_images(DIGITS) == (0,) * 10
    assert not log.exists("test_openings")


def test_the_four_parts_of_digits_share_no_image_and_leave_none_out(splits: Splits, log: Store) -> None:
    """The 1,797 published images are all different, so splits can be compared as sets of images."""
    test = open_test(DIGITS, reason="a test of the split", log=log)
    parts = [rows(part, splits) for part in (splits.train, splits.select, splits.confirm, test)]
    published = {tuple(int(pixel) for pixel in image) for image in load_digits().data}
    assert len(published) == 1797
    assert sum(len(set(part)) for part in parts) == 1797
    assert set().union(*parts) == published


def test_every_image_keeps_its_label(splits: Splits) -> None:
    pixels, labels = load_digits(return_X_y=True)
    label_of = {tuple(int(pixel) for pixel in image): int(label) for image, label in zip(pixels, labels, strict=True)}
    for part in (splits.train, splits.select, splits.confirm):
        assert [label_of[row] for row in rows(part, splits)] == part.labels.tolist()


def test_every_part_has_the_classes_in_their_shares(splits: Splits, log: Store) -> None:
    """Of 1,797 images class c has n_c; a part of size m has n_c * m / 1,797, give or take rounding at each of three splits."""
    test = open_test(DIGITS, reason="a test of the split", log=log)
    published = np.bincount(load_digits().target)
    for part in (splits.train, splits.select, splits.confirm, test):
        expected = published * len(part.labels) / 1797
        assert float(np.abs(counts(part.labels) - expected).max()) < 1.6


def test_images_are_float_and_labels_are_whole(splits: Splits) -> None:
    assert splits.train.images.dtype == torch.float32
    assert splits.train.labels.dtype == torch.int64
    assert splits.shape == (1, 8, 8)


def test_images_are_standardised_by_the_train_part(splits: Splits) -> None:
    assert float(splits.train.images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(splits.train.images.std()) == pytest.approx(1, abs=1e-4)
    assert float(splits.select.images.mean()) != pytest.approx(0, abs=1e-5)


def test_splits_hold_no_test_image(splits: Splits, log: Store) -> None:
    test = set(rows(open_test(DIGITS, reason="a test of the split", log=log), splits))
    seen = {row for part in (splits.train, splits.select, splits.confirm) for row in rows(part, splits)}
    assert not seen & test
    assert set(Splits.__dataclass_fields__) == {
        "train", "select", "confirm", "preprocess", "class_names", "mirror_keeps_class", "train_bytes", "sha256", "drawn_unlike",
    }  # fmt: skip


def test_the_same_seed_gives_the_same_split(splits: Splits) -> None:
    load_splits.cache_clear()
    again = load_splits(DIGITS)
    assert again is not splits
    assert torch.equal(again.select.images, splits.select.images)
    assert again.sha256 == splits.sha256


def test_another_seed_gives_another_split_and_another_hash(splits: Splits) -> None:
    other = load_splits(DatasetConfig(name="digits", split_seed=1))
    assert rows(other.select, other) != rows(splits.select, splits)
    assert other.sha256 != splits.sha256
    assert len(other.train.labels) == 797


def test_the_hash_of_the_digits_is_that_of_other_machines(splits: Splits) -> None:
    """The hash is part of every trial's id, so a library that splits differently must be noticed."""
    assert splits.sha256.startswith("ebda1db3573e")


@pytest.mark.parametrize("change", ["pixel", "label"])
def test_the_hash_changes_with_the_data(change: str) -> None:
    raw = load_raw_digits(None)
    indices = divide(raw, DIGITS)
    images, labels = raw.search.images.copy(), raw.search.labels.copy()
    place = indices["confirm"][0]
    if change == "pixel":
        images[place, 0, 0, 0] += 1
    else:
        labels[place] = (labels[place] + 1) % 10
    other = replace(raw, search=RawPart(images=images, labels=labels))

    def hash_of(raw: RawDataset) -> str:
        search = raw.search
        return data._hash({part: RawPart(images=search.images[at], labels=search.labels[at]) for part, at in indices.items()})

    assert hash_of(other) != hash_of(raw)


def test_splits_are_kept_for_the_process(splits: Splits) -> None:
    assert load_splits(DIGITS) is splits


def test_the_smallest_class_and_the_confirm_images_are_reported(splits: Splits) -> None:
    train, select, confirm = (counts(part.labels) for part in (splits.train, splits.select, splits.confirm))
    assert data_facts(DIGITS) == DataFacts(
        smallest_class=min(train),
        confirm_images=300,
        shape=(1, 8, 8),
        train_counts={str(digit): count for digit, count in enumerate(train)},
        select_counts=tuple(select),
        confirm_counts=tuple(confirm),
    )


def test_the_bytes_of_the_train_part_are_one_per_pixel_and_label(splits: Splits) -> None:
    """797 images of 64 pixels and a label: 797 * 65 = 51,805."""
    assert splits.train_bytes == 51_805


def test_a_mirrored_digit_is_none(splits: Splits) -> None:
    assert not splits.mirror_keeps_class
    assert splits.class_names == tuple("0123456789")


def test_a_published_test_part_stays_whole_and_the_rest_is_split(small: DatasetConfig, log: Store) -> None:
    """60 - 12 - 15 = 33 train images, 11, 4 and 5 per class."""
    splits = load_splits(small)
    parts = (splits.train, splits.select, splits.confirm)
    assert [torch.bincount(part.labels).tolist() for part in parts] == [[11] * 3, [4] * 3, [5] * 3]
    assert len(open_test(small, reason="a test", log=log).labels) == 9


def test_a_part_without_a_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 of 102 images are rare: their share of 10 select images is 0.2."""
    labels = np.array([0] * 100 + [1] * 2)
    part = RawPart(images=np.arange(102, dtype=np.uint8).reshape(102, 1, 1, 1), labels=labels)
    raw = RawDataset(
        search=part,
        load_test=None,
        sizes={"select": 10, "confirm": 10},
        white=255,
        class_names=("common", "rare"),
        mirror_keeps_class=True,
    )
    monkeypatch.setitem(DATASETS, "uneven", lambda data_root: raw)
    with pytest.raises(
        DataError, match=r"the (train|select|confirm) split has no image of class rare; add images of this class, or"
    ):
        load_splits(DatasetConfig(name="uneven"))


def test_test_images_are_standardised_by_the_train_part(small: DatasetConfig, log: Store) -> None:
    """Every test pixel is white: 1 less the train part's mean, divided by its deviation."""
    splits = load_splits(small)
    test = open_test(small, reason="a test", log=log)
    expected = (1 - splits.preprocess.mean[0]) / splits.preprocess.std[0]
    torch.testing.assert_close(test.images, torch.full((9, 3, 2, 2), expected))


def test_opening_the_test_part_is_logged(log: Store) -> None:
    open_test(DIGITS, reason="certify study x", log=log)
    (name,) = log.local_path("test_openings").iterdir()
    entry = json.loads(name.read_text())
    assert entry["reason"] == "certify study x"
    assert entry["dataset"] == {"name": "digits", "split_seed": 0, "preprocess": "standardise"}
    assert {"opened_at", "user", "host", "command"} <= set(entry)


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 54321"), OSError("No username set in the environment")])
def test_an_opening_by_a_user_without_a_name_is_logged_with_the_number(
    monkeypatch: pytest.MonkeyPatch, log: Store, error: Exception
) -> None:
    """As in a container that runs under a number; the second is what Python 3.13 says."""

    def nameless() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", nameless)
    monkeypatch.setattr("os.getuid", lambda: 54321)
    open_test(DIGITS, reason="a test", log=log)
    (name,) = log.local_path("test_openings").iterdir()
    assert json.loads(name.read_text())["user"] == "uid 54321"


def test_every_opening_has_its_own_entry(log: Store) -> None:
    for _ in range(3):
        open_test(DIGITS, reason="again", log=log)
    assert len(list(log.local_path("test_openings").iterdir())) == 3


def test_an_opening_names_those_that_were_logged_before(log: Store) -> None:
    for _ in range(2):
        open_test(DIGITS, reason="again", log=log)
    first, second = log.files("test_openings")
    assert [log.read_json(f"test_openings/{name}")["after"] for name in (first, second)] == [[], [first]]


def test_an_opening_is_logged_before_anything_is_read(monkeypatch: pytest.MonkeyPatch, log: Store) -> None:
    def unreadable(data_root: Path | None) -> RawDataset:
        raise OSError("the data cannot be read")

    monkeypatch.setitem(DATASETS, "broken", unreadable)
    with pytest.raises(OSError, match="the data cannot be read"):
        open_test(DatasetConfig(name="broken"), reason="try", log=log)
    assert len(list(log.local_path("test_openings").iterdir())) == 1


def test_nothing_is_opened_where_nothing_can_be_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(data_root: Path | None) -> RawDataset:
        raise AssertionError("opened without a log")

    monkeypatch.setitem(DATASETS, "broken", never)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Not a directory"):
        open_test(DatasetConfig(name="broken"), reason="try", log=Store(str(tmp_path / "file")))


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_the_test_part_is_not_opened_without_a_reason(reason: str, log: Store) -> None:
    with pytest.raises(ValueError, match="the reason for opening the test split is blank; give one: it is stored in the log"):
        open_test(DIGITS, reason=reason, log=log)
    assert not log.exists("test_openings")


def test_parts_move_to_a_device_together(splits: Splits) -> None:
    moved = splits.select.to(torch.device("meta"))
    assert (moved.images.device.type, moved.labels.device.type) == ("meta", "meta")


def test_a_part_of_the_datas_own_and_groups_make_draws_unlike(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = load_raw_digits(None)
    drawn = {name: size for name, size in raw.sizes.items() if name != "select"}
    given = replace(raw, given={"select": np.arange(200)}, sizes=drawn)
    grouped = replace(raw, groups=np.arange(len(raw.search.labels)))
    for changed, reasons in ((given, ("the data gives the select part",)), (grouped, ("whole groups were drawn",)), (raw, ())):
        monkeypatch.setattr(data, "load_raw", lambda *_, changed=changed: changed)
        assert load_splits.__wrapped__(DIGITS).drawn_unlike == reasons
