"""Folders of images: both layouts, sizes and channels, and what is refused with the name of the file."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import raydistill
from raydistill.data.image_folder import load_image_folder
from raydistill.data.splits import count_test_images, data_facts, load_splits, open_test
from raydistill.errors import DataError
from raydistill.spaces.sections import DatasetConfig, ImageFolderConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.store import Store


def save(path: Path, value: int, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> None:
    """A lossless image of one value, but for a first pixel of 0, so that no channel is constant."""
    pixels = np.full((size[1], size[0], 3), value, dtype=np.uint8)
    pixels[0, 0] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)


def fill(folder: Path, classes: dict[str, int], **kind: Any) -> None:
    for place, (name, count) in enumerate(classes.items()):
        for number in range(count):
            save(folder / name / f"{number:03d}.png", 20 * place + number + 1, **kind)


def config(path: Path | str, **fields: Any) -> ImageFolderConfig:
    return ImageFolderConfig(name="image_folder", path=str(path), size=8, **fields)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    fill(tmp_path / "flat", {"cats": 20, "dogs": 40})
    return tmp_path / "flat"


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    fill(tmp_path / "parted" / "train", {"cats": 20, "dogs": 40})
    fill(tmp_path / "parted" / "test", {"cats": 3, "dogs": 2})
    return tmp_path / "parted"


@pytest.fixture
def log(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "log"))


def test_a_flat_folder_is_split_by_the_fractions(flat: Path, log: Store) -> None:
    """Of 60 images a tenth each is select and confirm, a fifth is test, 36 are left; of each a third is cats."""
    splits = load_splits(config(flat))
    test = open_test(config(flat), reason="a test", log=log)
    parts = (splits.train, splits.select, splits.confirm, test)
    assert [torch.bincount(part.labels).tolist() for part in parts] == [[12, 24], [2, 4], [2, 4], [4, 8]]
    assert splits.class_names == ("cats", "dogs")


def test_stated_fractions_are_used(flat: Path) -> None:
    """0.2, 0.3 and 0.1 of 60 images: 12, 18 and 6; 24 are left."""
    splits = load_splits(config(flat, select_fraction=0.2, confirm_fraction=0.3, test_fraction=0.1))
    assert [len(part.labels) for part in (splits.train, splits.select, splits.confirm)] == [24, 12, 18]


def test_a_test_folder_stays_whole_and_the_train_folder_is_split(parted: Path, log: Store) -> None:
    """Of 60 images in train/ a tenth each is select and confirm."""
    splits = load_splits(config(parted))
    test = open_test(config(parted), reason="a test", log=log)
    assert [len(part.labels) for part in (splits.train, splits.select, splits.confirm, test)] == [48, 6, 6, 5]
    assert test.labels.tolist() == [0, 0, 0, 1, 1]


def test_test_images_are_not_read_before_the_test_part_is_opened(parted: Path, log: Store) -> None:
    (parted / "test" / "cats" / "000.png").write_bytes(b"no")
    load_splits(config(parted))
    with pytest.raises(DataError, match=r"test/cats/000.png cannot be read as an image"):
        open_test(config(parted), reason="a test", log=log)


def test_images_are_in_the_order_of_their_names(flat: Path) -> None:
    raw = load_image_folder(config(flat), None)
    assert raw.search.images[:, 0, 7, 7].tolist() == [*range(1, 21), *range(21, 61)]
    assert raw.search.labels.tolist() == [0] * 20 + [1] * 40


def test_channels_are_found_in_the_files(tmp_path: Path, flat: Path) -> None:
    fill(tmp_path / "grey", {"a": 10, "b": 10}, mode="L")
    assert load_splits(config(flat)).shape == (3, 8, 8)
    assert load_splits(config(tmp_path / "grey")).shape == (1, 8, 8)


def test_large_images_are_scaled_by_the_shorter_side_and_cut_in_the_middle(tmp_path: Path) -> None:
    """32 x 16 becomes 16 x 8, of which the middle 8 columns are kept: in the source, columns 8 to 23, which are white."""
    fill(tmp_path / "wide", {"a": 10, "b": 10})
    pixels = np.zeros((16, 32, 3), dtype=np.uint8)
    pixels[:, 6:26] = 255
    Image.fromarray(pixels).save(tmp_path / "wide" / "a" / "000.png")
    assert load_image_folder(config(tmp_path / "wide"), None).search.images[0].min() == 255


def test_an_image_lies_as_its_file_says(tmp_path: Path) -> None:
    """Orientation 3 is upside down: the black first pixel comes last."""
    fill(tmp_path / "turned", {"a": 10, "b": 10})
    exif = Image.Exif()
    exif[0x0112] = 3
    path = tmp_path / "turned" / "a" / "000.png"
    Image.open(path).save(path, exif=exif)
    image = load_image_folder(config(tmp_path / "turned"), None).search.images[0, 0]
    assert (image[0, 0], image[7, 7]) == (1, 0)


def test_hidden_files_are_left_out(flat: Path) -> None:
    (flat / ".DS_Store").write_text("")
    (flat / "cats" / ".thumbs").write_text("")
    assert len(load_image_folder(config(flat), None).search.labels) == 60


def test_a_relative_path_is_below_the_data_root(flat: Path) -> None:
    assert load_splits(config("flat"), flat.parent).sha256 == load_splits(config(flat)).sha256


def test_a_trial_is_named_by_its_images_and_not_by_where_they_lie(flat: Path, tmp_path: Path) -> None:
    from hand_made import trial_config

    shutil.copytree(flat, tmp_path / "moved")

    def trial(path: Path, **fields: Any) -> TrialConfig[Any]:
        dataset = config(path, **fields)
        return trial_config(0, 1).model_copy(update={"dataset": dataset, "data_sha256": load_splits(dataset).sha256})

    assert trial(flat).trial_id == trial(tmp_path / "moved").trial_id
    assert trial(flat).trial_id != trial(flat, confirm_fraction=0.2).trial_id
    before = trial(flat).trial_id
    fill(flat, {"dogs": 20, "cats": 20})  # the same files with other pixels
    load_splits.cache_clear()
    assert trial(flat).trial_id != before


def test_a_trials_folder_is_still_in_its_config(flat: Path) -> None:
    """The pickled config finds the images in another process."""
    from hand_made import trial_config

    trial = trial_config(0, 1).model_copy(update={"dataset": config(flat)})
    build, parts = trial.__reduce__()
    assert build(*parts).dataset == config(flat)


def test_the_smallest_class_bounds_the_ipc(flat: Path) -> None:
    facts = data_facts(config(flat))
    assert (facts.smallest_class, facts.confirm_images, facts.shape) == (12, 6, (3, 8, 8))


def test_whether_images_may_be_mirrored_is_the_owners_word(flat: Path) -> None:
    assert load_splits(config(flat)).mirror_keeps_class
    assert not load_splits(config(flat, mirror_keeps_class=False)).mirror_keeps_class


def only_cats(folder: Path) -> None:
    shutil.rmtree(folder / "dogs")


def nothing(folder: Path) -> None:
    shutil.rmtree(folder / "dogs")
    shutil.rmtree(folder / "cats")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (only_cats, r"flat has one class \(cats\); expected at least two classes; make one folder"),
        (nothing, r"flat has no images of any class; expected at least two classes"),
        (lambda f: (f / "birds").mkdir(), r"flat/birds is an empty class folder; put images into it, or delete it"),
        (lambda f: (f / "cats/x.png").write_text("no"), r"flat/cats/x.png cannot be read as an image \(.*\); remove"),
        (lambda f: os.truncate(f / "cats/000.png", 60), r"cats/000.png cannot be read as an image"),
        (lambda f: (f / "notes.txt").write_text(""), r"flat/notes.txt is beside the class folders; every image must be in"),
        (
            lambda f: save(f / "dogs/x.png", 5, mode="L"),
            r"flat/dogs/x.png has 1 channel \(grey\) of 8 x 8 pixels, but cats/000.png has 3 channels \(colour\) of 8 x 8 "
            "pixels; all must have the same channels and size; write channels: 3 for colour or channels: 1 for grey",
        ),
        (
            lambda f: Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(f / "dogs/x.png"),
            r"flat/dogs/x.png has transparency, so its colours are not defined; write background",
        ),
        (lambda f: save(f / "dogs/x.tiff", 5, mode="F"), r"flat/dogs/x.tiff has floats from 0 to 5, .*; write value_range"),
        (lambda f: save(f / "dogs/x.png", 5, size=(9, 7)), r"flat/dogs/x.png has 9 x 7 pixels, smaller than size 8; images"),
        (
            lambda f: fill(f, {"rare": 9}),
            r"flat has 9 images of class rare, too few for an image in every split \(.*, test 0.2\); expected at least 10",
        ),
        (lambda f: (f / "train").mkdir(), r"flat has only train/; add both train/ and test/ \(or val/\), or put the class"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_serve_is_refused(flat: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(flat)
    with pytest.raises(DataError, match=message):
        load_image_folder(config(flat), None)


@pytest.mark.parametrize(("train", "test"), [("RGB", "L"), ("L", "RGB")])
def test_a_test_part_of_other_channels_is_refused(tmp_path: Path, train: str, test: str) -> None:
    """Grey test images would be spread over the three channels of the train images' standardisation."""
    fill(tmp_path / "train", {"cats": 20, "dogs": 20}, mode=train)
    fill(tmp_path / "test", {"cats": 2, "dogs": 2}, mode=test)
    with pytest.raises(DataError) as raised:
        count_test_images(config(tmp_path))
    said = " ".join(str(raised.value).split())
    assert re.search(
        r"test/cats/000.png has . channels? .*train/cats/000.png has . channels? .*must have the same channels", said
    )


@pytest.mark.parametrize(("test_fraction", "wanted"), [(0.3, 10), (0.2, 5)])
def test_a_class_too_small_for_its_share_of_the_train_part_is_refused(tmp_path: Path, test_fraction: float, wanted: int) -> None:
    """Three splits of 0.3 leave a tenth to train on: of nine images possibly none."""
    given = config(tmp_path, select_fraction=0.3, confirm_fraction=0.3, test_fraction=test_fraction)
    fill(tmp_path, {"cats": wanted - 1, "dogs": 12})
    said = rf"has {wanted - 1} images of class cats, too few for an image in every split .*; expected at least {wanted}"
    with pytest.raises(DataError, match=said):
        load_image_folder(given, None)
    save(tmp_path / "cats/more.png", 9)
    assert load_image_folder(given, None).sizes["test"] == round(test_fraction * (wanted + 12))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"nowhere is not a folder or file; give dataset.path as an absolute path, or relative to the YAML file or to --d",
    ):
        load_image_folder(config("nowhere"), tmp_path)


def test_train_and_test_have_the_same_classes(parted: Path) -> None:
    fill(parted / "test", {"birds": 2})
    with pytest.raises(
        DataError, match=r"parted has no image of class birds in the train part, .*; give every part images of the same classes"
    ):
        load_image_folder(config(parted), None)


def test_nothing_lies_beside_train_and_test(parted: Path) -> None:
    (parted / "more").mkdir()
    with pytest.raises(DataError, match=r"parted/more is beside (test/ and train/|train/ and test/); remove it, or move it into"):
        load_image_folder(config(parted), None)


def test_a_test_fraction_beside_a_test_folder_is_refused(parted: Path) -> None:
    with pytest.raises(DataError, match=r"parted has a test part of its own, but test_fraction is 0.2; remove"):
        load_image_folder(config(parted, test_fraction=0.2), None)


def test_large_data_sets_stay_bytes_and_read_the_same(flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 images of 192 values: 46,080 bytes as floats."""
    from raydistill.data import splits as data
    from raydistill.data.byte_images import ByteImages

    floats = load_splits(config(flat))
    monkeypatch.setattr(data, "LARGEST_FLOATS_BYTES", 46_079)
    load_splits.cache_clear()
    held = load_splits(config(flat))
    load_splits.cache_clear()
    assert [type(part.images) for part in (held.train, held.select)] == [ByteImages, ByteImages]
    assert torch.equal(held.train.images, floats.train.images)
    assert (held.preprocess, held.sha256) == (floats.preprocess, floats.sha256)


def test_a_name_alone_is_another_data_set() -> None:
    assert DatasetConfig(name="digits") == DatasetConfig(name="digits", split_seed=0, preprocess="standardise")


def test_a_function_of_the_api_sees_images_that_changed_since_its_last_call(flat: Path) -> None:
    """As the command of the same name does, which is a new process each time."""
    before = raydistill.check_data(flat, settings=["size=8"])
    next(iter((flat / "cats").iterdir())).unlink()
    after = raydistill.check_data(flat, settings=["size=8"])
    total = [sum(sum(classes.values()) for classes in report.images.values()) for report in (before, after)]
    assert total[0] == total[1] + 1
    assert sum(before.parts.values()) == sum(after.parts.values()) + 1
