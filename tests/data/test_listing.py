"""Listings of folders: every layout becomes the same items, and everything that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import raydistill
from raydistill.data.image_folder import load_image_folder
from raydistill.data.own.listing import listing
from raydistill.data.splits import count_test_images, load_splits, open_test
from raydistill.errors import DataError
from raydistill.spaces.sections import ImageFolderConfig
from raydistill.storage.store import Store


def draw(path: Path, value: int) -> None:
    """An image of one value, but for its first pixel."""
    pixels = np.full((8, 8), value, dtype=np.uint8)
    pixels[0, 0] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def fill(folder: Path, *classes: str, count: int = 10) -> None:
    for place, name in enumerate(classes):
        for number in range(count):
            draw(folder / name / f"{number:02d}.png", 20 * place + number + 1)


def config(path: Path, **fields: object) -> ImageFolderConfig:
    return ImageFolderConfig.model_validate({"name": "image_folder", "path": str(path), "size": 8, **fields})


def kinds(path: Path, **fields: object) -> list[str]:
    return [problem.kind for problem in listing(config(path, **fields), path).problems]


def test_folders_inside_a_class_are_read(tmp_path: Path) -> None:
    fill(tmp_path, "cats/b", "cats/a/deep", "dogs", count=2)
    names = [item.name for item in listing(config(tmp_path), tmp_path).items]
    assert names == [
        "cats/a/deep/00.png", "cats/a/deep/01.png", "cats/b/00.png", "cats/b/01.png", "dogs/00.png", "dogs/01.png",
    ]  # fmt: skip


def test_what_systems_leave_behind_is_ignored_and_counted(tmp_path: Path) -> None:
    fill(tmp_path, "cats", "dogs")
    for name in (".DS_Store", "cats/.DS_Store", "cats/Thumbs.db", "dogs/desktop.ini", "dogs/.hidden"):
        (tmp_path / name).write_text("")
    draw(tmp_path / "__MACOSX/x.png", 1)
    found = listing(config(tmp_path), tmp_path)
    assert len(found.items) == 20
    assert found.litter == {".DS_Store": 2, "Thumbs.db": 1, "desktop.ini": 1, "hidden files": 1, "__MACOSX": 1}
    assert found.problems == ()


def test_a_link_to_a_folder_above_is_not_followed_for_ever(tmp_path: Path) -> None:
    fill(tmp_path, "cats", "dogs")
    (tmp_path / "cats/again").symlink_to(tmp_path / "cats")
    assert len(listing(config(tmp_path), tmp_path).items) == 20


def test_all_problems_are_told_at_once_by_kind(tmp_path: Path) -> None:
    fill(tmp_path, "cats", "dogs")
    fill(tmp_path, "rare", count=3)
    (tmp_path / "empty").mkdir()
    for name in ("a.txt", "b.txt", "c.txt", "d.txt", "labels.csv"):
        (tmp_path / name).write_text("")
    with pytest.raises(DataError) as raised:
        load_image_folder(config(tmp_path), None)
    assert str(raised.value) == "\n".join(
        (
            f"{tmp_path} cannot be used: 7 problems of 4 kinds",
            "  1. alone beside classes, 4 times:",
            "       a.txt is beside the class folders; every image must be in the folder of its class",
            "       b.txt is beside the class folders; every image must be in the folder of its class",
            "       c.txt is beside the class folders; every image must be in the folder of its class",
            "       and 1 more",
            "     What to do: move it.",
            "  2. empty class, once:",
            "       empty is an empty class folder",
            "     What to do: put images into it, or delete it.",
            "  3. table beside classes, once:",
            "       labels.csv is a table beside the class folders; every image must be in the folder of its class",
            "     What to do: if the table holds the labels, give its path as dataset.path; else move it away.",
            "  4. class too small, once:",
            "       The path has 3 images of class rare, too few for an image in every split (select 0.1, confirm 0.1, test "
            "0.2);",
            "       expected at least 10",
            "     What to do: add images, raise the fractions, or remove the class.",
        )
    )


def test_all_images_that_cannot_be_used_are_told_at_once(tmp_path: Path) -> None:
    fill(tmp_path, "cats", "dogs")
    (tmp_path / "cats/x.png").write_text("no")
    (tmp_path / "dogs/x.png").write_text("no")
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(tmp_path / "dogs/y.png")
    said = r"3 problems of 2 kinds\n +1. unreadable, 2 times:\n +cats/x.png cannot be read(.|\n)*2. transparency, once:"
    with pytest.raises(DataError, match=said):
        load_image_folder(config(tmp_path), None)


def test_of_images_that_are_too_small_the_smallest_says_what_to_do(tmp_path: Path) -> None:
    fill(tmp_path, "cats", "dogs")
    Image.new("RGB", (6, 6)).save(tmp_path / "cats/x.png")
    Image.new("RGB", (5, 5)).save(tmp_path / "dogs/x.png")
    with pytest.raises(DataError, match=r"small, 2 times:(.|\n)*write size: 5 or smaller"):
        load_image_folder(config(tmp_path), None)


def test_images_that_cannot_be_used_are_left_out_where_the_config_says_so(tmp_path: Path) -> None:
    fill(tmp_path, "cats", "dogs", count=20)
    (tmp_path / "cats/00.png").write_text("no")
    raw = load_image_folder(config(tmp_path, on_bad="skip"), None)
    assert raw.search.images[:, 0, 7, 7].tolist() == [*range(2, 21), *range(21, 41)]
    assert raw.search.labels.tolist() == [0] * 19 + [1] * 20


def test_without_any_usable_image_leaving_out_is_no_remedy(tmp_path: Path) -> None:
    fill(tmp_path, "cats", "dogs")
    for path in tmp_path.rglob("*.png"):
        path.write_text("no")
    with pytest.raises(DataError, match=r"has no image that can be used; look at one of its images"):
        load_image_folder(config(tmp_path, on_bad="skip"), None)


@pytest.mark.parametrize("part", ["test", "val", "train"])
def test_a_part_that_loses_all_images_of_a_class_is_refused_not_hollow(tmp_path: Path, part: str) -> None:
    """A certificate on the rest of a test part would be of other classes; select images would be drawn from train."""
    for name in ("train", "val", "test"):
        fill(tmp_path / name, "cats", "dogs")
    for path in (tmp_path / part / "cats").glob("*.png"):
        path.write_text("no")
    given = config(tmp_path, on_bad="skip")
    told = {"val": "select"}.get(part, part)
    with pytest.raises(DataError, match=f"has images of class cats in the {told} part, but none that can be used"):
        count_test_images(given) if part == "test" else load_splits(given)
    report = raydistill.check_data(tmp_path, settings=["size=8", "on_bad=skip"])
    assert [group.kind for group in report.problems] == ["class_left_out"]


def test_a_test_part_without_any_usable_image_is_refused(tmp_path: Path) -> None:
    for name in ("train", "test"):
        fill(tmp_path / name, "cats", "dogs")
    for path in (tmp_path / "test").rglob("*.png"):
        path.write_text("no")
    with pytest.raises(DataError, match="has no image that can be used; look at one of its images"):
        count_test_images(config(tmp_path, on_bad="skip"))


@pytest.mark.parametrize("name", ["val", "valid", "validation", "select"])
def test_validation_images_are_the_select_part(tmp_path: Path, name: str) -> None:
    """Of the 40 images in train/ a tenth is confirm; the 8 in val/ are select as they are."""
    fill(tmp_path / "train", "cats", "dogs", count=20)
    fill(tmp_path / name, "cats", "dogs", count=4)
    fill(tmp_path / "test", "cats", "dogs", count=3)
    splits = load_splits(config(tmp_path))
    assert [len(part.labels) for part in (splits.train, splits.select, splits.confirm)] == [36, 8, 4]
    pixels = splits.preprocess.invert(splits.select.images)[:, 0, 7, 7] * 255
    assert pixels.round().tolist() == [1, 2, 3, 4, 21, 22, 23, 24]
    assert sum(count_test_images(config(tmp_path))) == 6


def test_train_and_val_alone_have_their_test_part_split_off(tmp_path: Path) -> None:
    """Of the 40 images in train/ a fifth is test and a tenth is confirm."""
    fill(tmp_path / "train", "cats", "dogs", count=20)
    fill(tmp_path / "val", "cats", "dogs", count=4)
    splits = load_splits(config(tmp_path))
    assert [len(part.labels) for part in (splits.train, splits.select, splits.confirm)] == [28, 8, 4]
    assert len(open_test(config(tmp_path), reason="a test", log=Store(str(tmp_path / ".log"))).labels) == 8
    found = listing(config(tmp_path), tmp_path)
    assert found.layout == "train/ and val/ (the select part), one folder per class in each"


@pytest.mark.parametrize(
    ("train", "test"), [("Train", "Test"), ("training", "testing"), ("Training", "Testing"), ("TRAIN", "test")]
)
def test_parts_have_the_names_that_people_give_them(tmp_path: Path, train: str, test: str) -> None:
    fill(tmp_path / train, "cats", "dogs")
    fill(tmp_path / test, "cats", "dogs", count=3)
    found = listing(config(tmp_path), tmp_path)
    assert (found.class_names, found.problems) == (("cats", "dogs"), ())
    assert [[item.part for item in found.items].count(part) for part in ("train", "test")] == [20, 6]  # type: ignore[arg-type]


def test_a_file_beside_the_class_folders_of_a_part_makes_no_class_of_it(tmp_path: Path) -> None:
    for part in ("train", "test"):
        fill(tmp_path / part, "cats", "dogs")
        draw(tmp_path / part / "overview.png", 1)
    found = listing(config(tmp_path), tmp_path)
    assert found.class_names == ("cats", "dogs")
    assert [(problem.kind, problem.item) for problem in found.problems] == [
        ("alone_beside_classes", "test/overview.png"),
        ("alone_beside_classes", "train/overview.png"),
    ]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    fill(tmp_path, "bus", "train")
    fill(tmp_path, "train/old", count=2)
    assert listing(config(tmp_path), tmp_path).class_names == ("bus", "train")


@pytest.mark.parametrize(
    ("spoil", "fields", "kind", "message"),
    [
        (lambda f: fill(f / "valid", "cats", "dogs"), {}, "part_twice", r"has val/ and valid/, which are both the select part"),
        (lambda f: (f / "train").rename(f / ".train"), {}, "no_train_part", r"has test/ and val/ \(the select part\), but no"),
        (lambda f: None, {"select_fraction": 0.2}, "fraction_of_a_given_part", r"select part of its own, but select_fraction is"),
        (lambda f: fill(f / "val", "birds"), {}, "class_not_in_part", r"has no image of class birds in the train part"),
        (lambda f: None, {"group_pattern": "([0-9]+)"}, "group_in_two_parts", r"images of group 00 in train \(train/cats/00.png"),
        (lambda f: None, {"group_pattern": "(t)rain"}, "no_group", r"has no group: its name does not match group_pattern"),
        (lambda f: None, {"classes": ["dogs", "cat"]}, "class_not_there", r"has no class cat, which dataset.classes names; its"),
        (lambda f: None, {"classes": ["dogs", "cat"]}, "class_not_named", r"has the class cats, which dataset.classes does not"),
        (lambda f: None, {"classes": ["dogs", "cats", "cats"]}, "class_named_twice", r"has cats twice in dataset.classes"),
    ],
)  # fmt: skip
def test_parts_groups_and_classes_that_cannot_be(
    tmp_path: Path, spoil: Callable[[Path], object], fields: dict[str, object], kind: str, message: str
) -> None:
    for part in ("train", "val", "test"):
        fill(tmp_path / part, "cats", "dogs")
    assert kinds(tmp_path) == []
    spoil(tmp_path)
    assert kind in kinds(tmp_path, **fields)
    with pytest.raises(DataError, match=message):
        load_image_folder(config(tmp_path, **fields), None)


def test_what_is_no_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(DataError, match=r"x.txt is a file of no known layout; expected a folder of class folders, a table"):
        load_image_folder(config(tmp_path / "x.txt"), None)
    with pytest.raises(DataError, match=r"nowhere does not exist; expected a folder"):
        listing(config(tmp_path), tmp_path / "nowhere")


def test_classes_have_the_order_that_is_given(tmp_path: Path) -> None:
    """By name cats are class 0; with the order given, dogs are."""
    fill(tmp_path, "cats", "dogs")
    raw = load_image_folder(config(tmp_path, classes=["dogs", "cats"]), None)
    assert raw.class_names == ("dogs", "cats")
    assert raw.search.images[:, 0, 7, 7].tolist() == [*range(21, 31), *range(1, 11)]
    assert raw.search.labels.tolist() == [0] * 10 + [1] * 10


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "expected a regular expression"),
        ("(" * 5000 + ")" * 5000, "expected a regular expression .maximum recursion depth"),
        ("(a{99999999999999999999})", "expected a regular expression .the repetition number is too large"),
        ("patient[0-9]+", "expected brackets around what names"),
    ],
)
def test_a_pattern_names_a_group(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(tmp_path, group_pattern=pattern)


def test_images_of_a_group_are_in_one_split(tmp_path: Path) -> None:
    """Each of 20 patients has two cats and one dog; every pixel value is the patient's number."""
    for patient in range(20):
        for name in ("cats/a", "cats/b", "dogs/c"):
            folder, image = name.split("/")
            draw(tmp_path / folder / f"{image}_patient{patient:02d}.png", patient + 1)
    given = config(tmp_path, group_pattern="(patient[0-9]+)")
    splits = load_splits(given)
    test = open_test(given, reason="a test", log=Store(str(tmp_path / ".log")))
    parts = [splits.train, splits.select, splits.confirm, test]
    patients = [
        set((splits.preprocess.invert(part.images)[:, 0, 7, 7] * 255).round().int().tolist()) for part in parts
    ]  # fmt: skip
    assert [len(part.labels) for part in parts] == [36, 6, 6, 12]
    assert sum(len(some) for some in patients) == len(set().union(*patients)) == 20
    assert sum(count_test_images(given)) == 12


def test_a_class_with_fewer_groups_than_splits_is_refused(tmp_path: Path) -> None:
    for patient in range(5):
        draw(tmp_path / f"cats/p{patient}.png", 1)
        draw(tmp_path / f"dogs/p{min(patient, 2)}-{patient}.png", 2)
    with pytest.raises(DataError, match=r"has images in 3 groups of class dogs, too few for a group in every split .* least 4"):
        load_image_folder(config(tmp_path, group_pattern="(p[0-9])"), None)


def test_groups_that_cannot_be_divided_are_refused(tmp_path: Path) -> None:
    """Each of five classes has images of four of five patients: any two share a class, so each needs its own split."""
    for kind in range(5):
        for patient in {0, 1, 2, 3, 4} - {kind}:
            draw(tmp_path / f"kind{kind}/p{patient}.png", patient)
    assert kinds(tmp_path, group_pattern="(p[0-9])") == []
    with pytest.raises(
        DataError, match=r"the groups of 20 images cannot be divided so that every split .*; give every class ima"
    ):
        load_splits(config(tmp_path, group_pattern="(p[0-9])"))
