"""MHIST in its real layout, with small images made here: the data itself is available on request only."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from raydistill.data.mhist import load_mhist
from raydistill.data.splits import load_splits, open_test
from raydistill.errors import DataError
from raydistill.spaces.sections import DatasetConfig
from raydistill.storage.store import Store

HEADER = ["Image Name", "Majority Vote Label", "Number of Annotators who Selected SSA (Out of 7)", "Partition"]


def write_annotations(folder: Path, rows: list[list[str]], header: list[str] = HEADER) -> None:
    with (folder / "annotations.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def rows_of(count: int) -> list[list[str]]:
    """Every third image is SSA, every fourth of the test partition."""
    labels, partitions = ("SSA", "HP", "HP"), ("test", "train", "train", "train")
    return [[f"MHIST_{n:03d}.png", labels[n % 3], "3", partitions[n % 4]] for n in reversed(range(count))]


@pytest.fixture
def mhist(tmp_path: Path) -> Path:
    """80 images in the layout of MHIST, rows in no order; image n has the value n + 100, but for one black pixel."""
    folder = tmp_path / "mhist"
    (folder / "images").mkdir(parents=True)
    write_annotations(folder, rows_of(80))
    for number in range(80):
        pixels = np.full((6, 6, 3), number + 100, dtype=np.uint8)
        pixels[0, 0] = 0
        Image.fromarray(pixels).save(folder / "images" / f"MHIST_{number:03d}.png")
    return folder


def test_hp_is_0_and_ssa_is_1_in_the_order_of_the_images_names(mhist: Path) -> None:
    """Images 1, 2, 3, 5, 6 are the first of the train partition; of these 3 and 6 are SSA."""
    raw = load_mhist(mhist.parent)
    assert raw.class_names == ("HP", "SSA")
    assert raw.search.images.shape == (60, 3, 6, 6)
    assert raw.search.images[:5, 0, 5, 5].tolist() == [101, 102, 103, 105, 106]
    assert raw.search.labels[:5].tolist() == [0, 0, 1, 0, 1]


def test_the_parts_have_their_shares_and_the_test_partition_stays_whole(mhist: Path, tmp_path: Path) -> None:
    """Of 60 images 0.15 are 9 and 0.25 are 15; 36 are left. The test partition has the 20 images 0, 4, 8, ..."""
    config = DatasetConfig(name="mhist")
    splits = load_splits(config, mhist.parent)
    test = open_test(config, reason="a test", log=Store(str(tmp_path / "log")), data_root=mhist.parent)
    assert [len(part.labels) for part in (splits.train, splits.select, splits.confirm, test)] == [36, 9, 15, 20]
    assert torch.bincount(splits.confirm.labels).tolist() == [10, 5]
    assert test.labels[:4].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("lost", ["annotations.csv", "images", "everything"])
def test_missing_data_is_reported_with_how_to_get_it(mhist: Path, lost: str) -> None:
    if lost == "everything":
        mhist.rename(mhist.with_name("elsewhere"))
    else:
        (mhist / lost).rename(mhist / "elsewhere")
    with pytest.raises(DataError) as caught:
        load_mhist(mhist.parent)
    assert str(caught.value) == (
        f"{mhist} lacks annotations.csv or images/. MHIST is available on request only: sign the agreement at "
        f"https://bmirds.github.io/MHIST, then put annotations.csv and the unpacked images/ into {mhist}, or give another folder "
        "with --data-root"
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["MHIST_999.png", "HP", "3", "train"], r"annotations.csv:82: image 'MHIST_999.png' is not in .*images; put it there"),
        (["../x.png", "HP", "3", "train"], r"annotations.csv:82: image '../x.png' is not in"),
        (["MHIST_001.png", "TA", "3", "train"], r"annotations.csv:82: unknown label 'TA' of image 'MHIST_001.png'; allowed: HP"),
        (["MHIST_001.png", "HP", "3", "val"], r"annotations.csv:82: unknown partition 'val'; allowed: train, test: correct"),
        (["MHIST_001.png", "HP", "3", "train"], r"annotations.csv has the image MHIST_001.png in more than one row; keep one"),
    ],
    ids=["no image", "outside", "label", "partition", "twice"],
)  # fmt: skip
def test_a_row_that_cannot_be_right_is_named(mhist: Path, row: list[str], message: str) -> None:
    write_annotations(mhist, [*rows_of(80), row])
    with pytest.raises(DataError, match=message):
        load_mhist(mhist.parent)


def test_annotations_that_are_no_text_are_named(mhist: Path) -> None:
    with (mhist / "annotations.csv").open("ab") as file:
        file.write(b"MHIST_\xff.png,HP,3,train\n")
    with pytest.raises(DataError, match=r"annotations.csv is not a CSV file in UTF-8 \(.*\); download it again"):
        load_mhist(mhist.parent)


def test_an_image_without_a_row_is_named(mhist: Path) -> None:
    write_annotations(mhist, rows_of(79))
    with pytest.raises(DataError, match=r"images/MHIST_079.png has no row in .*annotations.csv; remove it, or download"):
        load_mhist(mhist.parent)


def test_missing_columns_are_named(mhist: Path) -> None:
    write_annotations(mhist, [], header=["Image Name", "Label"])
    with pytest.raises(DataError, match=r"annotations.csv lacks the columns Majority Vote Label, Partition; download it again"):
        load_mhist(mhist.parent)


def test_a_partition_of_one_class_is_refused(mhist: Path) -> None:
    write_annotations(mhist, [[name, "HP", count, partition] for name, _, count, partition in rows_of(80)])
    with pytest.raises(DataError, match=r"annotations.csv lacks one of the two classes in train; download it again"):
        load_mhist(mhist.parent)


def test_an_image_of_another_size_is_named(mhist: Path) -> None:
    Image.new("RGB", (7, 6)).save(mhist / "images" / "MHIST_002.png")
    with pytest.raises(DataError, match=r"MHIST_002.png has 3 channels \(colour\) of 7 x 6 pixels, .*MHIST_001.png has .* 6 x 6"):
        load_mhist(mhist.parent)
