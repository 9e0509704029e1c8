"""Tables, npz files, Hugging Face folders and tars become the same items as folders; what is wrong with them is told at once."""

from __future__ import annotations

import builtins
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from raydistill.data.image_folder import load_image_folder
from raydistill.data.own.items import Listing
from raydistill.data.own.listing import listing
from raydistill.data.splits import load_splits, open_test
from raydistill.errors import DataError
from raydistill.spaces.sections import ImageFolderConfig
from raydistill.storage.store import Store


def picture(value: int) -> Image.Image:
    """Grey of one level, but for the first pixel."""
    pixels = np.full((8, 8), value, dtype=np.uint8)
    pixels[0, 0] = 0
    return Image.fromarray(pixels)


def config(path: Path, **fields: object) -> ImageFolderConfig:
    return ImageFolderConfig.model_validate({"name": "image_folder", "path": str(path), "size": 8, **fields})


def found(path: Path, **fields: object) -> Listing:
    return listing(config(path, **fields), path)


def levels(path: Path, **fields: object) -> dict[str, list[int]]:
    """By class, the grey level of each image outside the test part."""
    raw = load_image_folder(config(path, **fields), None)
    return {name: raw.search.images[raw.search.labels == number, 0, 7, 7].tolist() for number, name in enumerate(raw.class_names)}


def texts(path: Path, **fields: object) -> list[str]:
    return [f"{problem.item} {problem.text}".strip() for problem in found(path, **fields).problems]


# Tables


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """24 images of two classes in one folder, and labels.csv: image n has the level n + 1, and the even ones are cats."""
    (tmp_path / "images").mkdir()
    for number in range(24):
        picture(number + 1).save(tmp_path / f"images/{number:02d}.png")
    return write_table(tmp_path / "labels.csv", rows())


def rows(**more: Callable[[int], object]) -> list[dict[str, object]]:
    return [
        {
            "path": f"images/{number:02d}.png",
            "label": ("cats", "dogs")[number % 2],
            **{name: of(number) for name, of in more.items()},
        }
        for number in range(24)
    ]


def write_table(path: Path, lines: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(lines), path)
        return path
    comma = "\t" if path.suffix == ".tsv" else ","
    text = [comma.join(lines[0]), *(comma.join(str(value) for value in line.values()) for line in lines)]
    path.write_text("\n".join(text) + "\n", encoding="utf-8-sig")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table_names_images_and_labels(table: Path, suffix: str) -> None:
    path = write_table(table.with_suffix(suffix), rows())
    assert levels(path) == {"cats": list(range(1, 24, 2)), "dogs": list(range(2, 25, 2))}
    assert found(path).items[0].name == "images/00.png"


def test_labels_that_are_whole_numbers_are_in_their_order(table: Path) -> None:
    write_table(table, rows(label=lambda n: (10, 9)[n % 2]))
    assert list(levels(table)) == ["9", "10"]
    parquet = write_table(table.with_suffix(".parquet"), rows(label=lambda n: (10.0, 9.0)[n % 2]))
    assert list(levels(parquet)) == ["9", "10"]


def test_two_labels_that_are_one_number_have_an_order_too(table: Path) -> None:
    """A set of strings has another order in each process; the order of classes is a part of the data's hash."""
    names = [f"{'0' * zeros}{number}" for number in (7, 1) for zeros in range(6)]
    lines = [{**line, "label": names[place % len(names)]} for place, line in enumerate(rows())]
    write_table(table, lines)
    assert found(table).class_names == tuple(sorted(names, key=lambda name: (int(name), name)))


def test_columns_have_the_names_that_are_given(table: Path) -> None:
    lines = [{"file": line["path"], "diagnosis": line["label"]} for line in rows()]
    write_table(table, lines)
    assert list(levels(table, path_column="file", label_column="diagnosis")) == ["cats", "dogs"]


def test_a_split_column_gives_the_parts(table: Path, tmp_path: Path) -> None:
    """The first 12 images are train, 6 validation, 6 test; of the train images 0.3, which are 4, become confirm."""
    write_table(table, rows(split=lambda n: "train" if n < 12 else "val" if n < 18 else "test"))
    given = config(table, confirm_fraction=0.3)
    splits = load_splits(given)
    test = open_test(given, reason="a test", log=Store(str(tmp_path / "log")))
    assert [len(part.labels) for part in (splits.train, splits.select, splits.confirm, test)] == [8, 6, 4, 6]


def test_all_parts_may_be_given(table: Path) -> None:
    write_table(table, rows(split=lambda n: ("train", "train", "select", "select", "confirm", "confirm", "test", "test")[n % 8]))
    splits = load_splits(config(table))
    assert [len(part.labels) for part in (splits.train, splits.select, splits.confirm)] == [6, 6, 6]


def test_a_group_column_keeps_images_together(table: Path) -> None:
    """Six patients of four images each, numbered as in the column."""
    write_table(table, rows(group=lambda n: f"p{n // 4}"))
    raw = load_image_folder(config(table), None)
    splits = load_splits(config(table))
    assert raw.groups is not None
    assert np.bincount(raw.groups).tolist() == [4] * 6
    pixels = [(splits.preprocess.invert(part.images)[:, 0, 7, 7] * 255).round().int() for part in (splits.train, splits.confirm)]
    patients = [set(((part - 1) // 4).tolist()) for part in pixels]
    assert patients[0] & patients[1] == set()


@pytest.mark.parametrize(
    ("spoil", "fields", "said"),
    [
        (lambda r: [r[0].pop("label")], {}, None),
        (lambda r: r[3].update(path="images/99.png"), {}, "row 4 names images/99.png, which is no file; paths are relative to"),
        (lambda r: r[3].update(path=""), {}, "row 4 has no path"),
        (lambda r: r[3].update(label=""), {}, "row 4 (images/03.png) has no label"),
        (lambda r: r[3].update(path="images/00.png"), {}, "images/00.png is in more than one row"),
        (lambda r: r[3].update(path="./images/00.png"), {}, "./images/00.png is in more than one row"),
        (lambda r: [line.update(split="train") for line in r[:-1]], {}, "images/23.png is in no part, but other images are in"),
        (lambda r: [line.update(split="trian") for line in r], {}, "row 1 is in the part 'trian'; expected train, val, valid, "),
        (lambda r: [line.update(split="test") for line in r], {}, "has images for test, but none for train"),
        (lambda r: [line.update(group="x") for line in r[:-1]], {}, "images/23.png has no group, but other images have one"),
        (
            lambda r: [line.update(group="x") for line in r],
            {"group_pattern": "([0-9])"},
            "images/00.png has the group x in the table, and dataset.group_pattern is set as well",
        ),
        (lambda r: None, {"path_column": "file"}, "has no column file; its columns are path, label"),
        (lambda r: None, {"split_column": "fold"}, "has no column fold; its columns are path, label"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_told(
    table: Path, spoil: Callable[[list[dict[str, Any]]], object], fields: dict[str, object], said: str | None
) -> None:
    lines = rows()
    spoil(lines)
    names = list(dict.fromkeys(name for line in lines for name in line))
    path = write_table(table, [{name: line.get(name, "") for name in names} for line in lines])
    if said is None:
        assert "row 1 (images/00.png) has no label" in texts(path, **fields)
    else:
        assert [text for text in texts(path, **fields) if text.startswith(said)] != []
        with pytest.raises(DataError, match=r"labels.csv"):
            load_image_folder(config(path, **fields), None)


def test_one_problem_of_a_table_is_told_with_its_row(table: Path) -> None:
    lines = rows()
    lines[3]["path"] = "images/99.png"
    write_table(table, lines)
    with pytest.raises(
        DataError, match=r"labels.csv: row 4 names images/99.png, which is no file; .*; correct the path, put the"
    ):
        load_image_folder(config(table), None)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_that_is_none_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels{suffix}"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=rf"labels{suffix} cannot be read as (a table|Parquet) \(.*\); save it"):
        load_image_folder(config(path), None)


def test_a_path_that_no_file_system_takes_is_told(table: Path) -> None:
    lines = rows()
    lines[0]["path"] = "x" * 5000
    write_table(table, lines)
    with pytest.raises(DataError, match=r"row 1 names x"):
        load_image_folder(config(table), None)


def without(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **options: Any) -> Any:
        if name.split(".")[0] == library:
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_without_pyarrow_a_parquet_table_says_what_to_install(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_table(table.with_suffix(".parquet"), rows())
    without(monkeypatch, "pyarrow")
    with pytest.raises(DataError, match=r"needs pyarrow: pip install 'raydistill\[own-data\]', or save the table as CSV"):
        load_image_folder(config(path), None)


# Arrays


def arrays(**more: object) -> dict[str, object]:
    """12 train images of the levels 1 to 12 and classes 0 and 1 in turn, 4 validation and 2 test images."""
    made: dict[str, object] = {}
    for part, count in {"train": 12, "val": 4, "test": 2}.items():
        images = np.arange(1, count + 1, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), dtype=np.uint8)
        images[:, 0, 0] = 0
        made |= {f"{part}_images": images, f"{part}_labels": np.arange(count)[:, None] % 2}
    return {**made, **more}


def save_arrays(path: Path, given: dict[str, Any]) -> Path:
    np.savez_compressed(path, **{name: array for name, array in given.items() if array is not None})
    return path


def test_an_npz_file_gives_its_parts(tmp_path: Path) -> None:
    """Of the 12 train images 4 are confirm."""
    path = save_arrays(tmp_path / "x.npz", arrays())
    given = config(path, confirm_fraction=0.3)
    splits = load_splits(given)
    test = open_test(given, reason="a test", log=Store(str(tmp_path / "log")))
    assert [len(part.labels) for part in (splits.train, splits.select, splits.confirm, test)] == [8, 4, 4, 2]
    assert levels(path, confirm_fraction=0.3) == {"0": [1, 3, 5, 7, 9, 11, 1, 3], "1": [2, 4, 6, 8, 10, 12, 2, 4]}
    names = [item.name for item in found(path).items]
    assert (names[0], names[-1]) == ("train_images[0]", "test_images[1]")
    assert found(path).layout == "arrays of images and labels: train_images, val_images, test_images"


def test_an_npz_file_may_have_colour_names_and_no_parts(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    path = save_arrays(tmp_path / "x.npz", {"images": images, "labels": np.array(["cats", "dogs"] * 10)})
    raw = load_image_folder(config(path), None)
    assert raw.class_names == ("cats", "dogs")
    assert np.array_equal(raw.search.images[0], images[0].transpose(2, 0, 1))


def test_a_last_axis_of_one_channel_is_grey(tmp_path: Path) -> None:
    given = arrays()
    path = save_arrays(tmp_path / "x.npz", {name: a[..., None] if "images" in name else a for name, a in given.items()})  # type: ignore[index]
    assert load_image_folder(config(path, confirm_fraction=0.3), None).search.images.shape == (16, 1, 8, 8)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (arrays(train_labels=None), "train_images has no train_labels beside it"),
        (arrays(train_labels=np.zeros((12, 14), dtype=np.int64)), "train_labels has the shape (12, 14) of int64; expected a who"),
        (arrays(train_labels=np.zeros(12)), "train_labels has the shape (12,) of float64; expected a whole number or name f"),
        (arrays(train_images=np.zeros((12, 8, 8))), "train_images has the shape (12, 8, 8) of float64; expected (N, H, W) or ("),
        (arrays(train_images=np.zeros((12, 8, 8, 8), np.uint8)), "train_images has the shape (12, 8, 8, 8) of uint8; expected"),
        (arrays(notes=np.zeros(1)), "notes is not expected; allowed are images and labels, alone or after train_, val_, valid_"),
        (arrays(other_images=np.zeros((2, 8, 8), np.uint8), other_labels=np.zeros(2, int)), "other_images is not expected; allo"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_arrays_is_told(tmp_path: Path, given: dict[str, object], said: str) -> None:
    path = save_arrays(tmp_path / "x.npz", given)
    assert [text for text in texts(path) if text.startswith(said)] != []


def test_a_file_that_holds_no_arrays_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"no")
    with pytest.raises(DataError, match=r"x.npz cannot be read as arrays \(.*\); expected train_images, train_labels and so on"):
        load_image_folder(config(tmp_path / "x.npz"), None)


# Hugging Face


def hugging_face(count: int = 20, *, names: tuple[str, ...] = ("dogs", "cats"), **more: list[Any]) -> datasets.Dataset:
    """Images of the levels 1 to count; classes in turn, in an order that is not that of their names."""
    features = datasets.Features({
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=list(names)),
        **{name: datasets.Value("string") for name in more},
    })  # fmt: skip
    columns = {"image": [picture(n + 1) for n in range(count)], "label": [n % 2 for n in range(count)], **more}
    return datasets.Dataset.from_dict(columns, features=features)


def test_a_hugging_face_folder_keeps_the_order_of_its_classes(tmp_path: Path) -> None:
    hugging_face().save_to_disk(str(tmp_path / "x"))
    assert levels(tmp_path / "x") == {"dogs": list(range(1, 20, 2)), "cats": list(range(2, 21, 2))}
    assert found(tmp_path / "x").items[0].name == "row 1"


def test_a_hugging_face_folder_of_splits_gives_the_parts(tmp_path: Path) -> None:
    splits = {"train": hugging_face(), "validation": hugging_face(4), "test": hugging_face(6)}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "x"))
    loaded = load_splits(config(tmp_path / "x"))
    assert [len(part.labels) for part in (loaded.train, loaded.select, loaded.confirm)] == [18, 4, 2]
    assert found(tmp_path / "x").layout == "a Hugging Face data set of train, validation, test"
    assert found(tmp_path / "x").items[-1].name == "test row 6"


def test_a_hugging_face_folder_may_have_splits_and_groups_in_columns(tmp_path: Path) -> None:
    parts = ["train"] * 12 + ["val"] * 4 + ["test"] * 4
    hugging_face(split=parts, group=[f"p{n // 2}" for n in range(20)]).save_to_disk(str(tmp_path / "x"))
    items = found(tmp_path / "x").items
    assert [item.part for item in items].count("select") == 4
    assert {item.group for item in items if item.part == "test"} == {"p8", "p9"}


def test_labels_of_a_hugging_face_folder_may_be_plain(tmp_path: Path) -> None:
    plain = hugging_face().cast_column("label", datasets.Value("int64"))
    plain.save_to_disk(str(tmp_path / "x"))
    assert list(levels(tmp_path / "x")) == ["0", "1"]


def test_what_is_wrong_with_a_hugging_face_folder_is_told(tmp_path: Path) -> None:
    hugging_face().save_to_disk(str(tmp_path / "x"))
    assert texts(tmp_path / "x", label_column="fine") == ["has no column fine; its columns are image, label"]
    hugging_face().remove_columns("image").save_to_disk(str(tmp_path / "y"))
    assert texts(tmp_path / "y") == ["has no column path of images; its columns are label"]
    datasets.DatasetDict({"train": hugging_face(), "extra": hugging_face()}).save_to_disk(str(tmp_path / "z"))
    assert texts(tmp_path / "z")[0].startswith("extra/ is in the part 'extra'; expected train, val")
    unlabelled = hugging_face().map(lambda row, n: {"label": -1 if n == 4 else row["label"]}, with_indices=True)
    unlabelled.save_to_disk(str(tmp_path / "w"))
    assert texts(tmp_path / "w")[0] == "row 5 has no label"


def test_a_row_without_an_image_is_told(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    columns = {"image": [None, *(picture(n + 1) for n in range(19))], "label": ["cats", "dogs"] * 10}
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(tmp_path / "x"))
    with pytest.raises(DataError, match=r"row 1 cannot be read as an image \(the row has no image\)"):
        load_image_folder(config(tmp_path / "x"), None)


def test_a_hugging_face_folder_that_was_saved_with_a_format_is_read(tmp_path: Path) -> None:
    """A format has rows made into arrays, and may leave out columns."""
    hugging_face().with_format("numpy", columns=["image"]).save_to_disk(str(tmp_path / "x"))
    assert levels(tmp_path / "x") == {"dogs": list(range(1, 20, 2)), "cats": list(range(2, 21, 2))}


def test_a_column_of_lists_in_a_hugging_face_folder_is_no_label(tmp_path: Path) -> None:
    lists = hugging_face().remove_columns("label").add_column("label", [["cats"], ["dogs"]] * 10)
    lists.save_to_disk(str(tmp_path / "x"))
    assert texts(tmp_path / "x") == ["has something else than text and numbers in label"]


def test_a_label_without_a_name_in_a_hugging_face_folder_is_refused(tmp_path: Path) -> None:
    labelled = hugging_face(names=("dogs", "cats", "cows")).map(
        lambda row, n: {"label": 2 if n == 4 else row["label"]}, with_indices=True
    )
    labelled.save_to_disk(str(tmp_path / "x"))
    facts = tmp_path / "x" / "dataset_info.json"
    facts.write_text(facts.read_text().replace(',\n        "cows"', ""))
    with pytest.raises(DataError, match=r"datasets \(it has the label 2, and names for 0 to 1\); save it again"):
        load_image_folder(config(tmp_path / "x"), None)


@pytest.mark.parametrize("name", ["../y", "/etc", "a::https://example.com/x", "", ".", "a\0b", None, 3, ["train"]])
def test_a_hugging_face_folder_that_leads_out_of_itself_is_refused(tmp_path: Path, name: object) -> None:
    datasets.DatasetDict({"train": hugging_face()}).save_to_disk(str(tmp_path / "x"))
    splits = tmp_path / "x" / "dataset_dict.json"
    splits.write_text(json.dumps({"splits": [name]}))
    with pytest.raises(
        DataError, match=r"x cannot be read by .* \(it names .*, which can be no file or folder in it\); save it again"
    ):
        load_image_folder(config(tmp_path / "x"), None)
    splits.write_text(json.dumps({"splits": ["train"]}))
    (tmp_path / "x" / "train" / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(
        DataError, match=r"x cannot be read by .* \(it names .*, which can be no file or folder in it\); save it again"
    ):
        load_image_folder(config(tmp_path / "x"), None)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *(("dataset_info.json", content) for content in ("[]", "{", "[" * 100_000)),
        *(("state.json", content) for content in ("[]", "{", "{}", '{"_data_files": 3}', '{"_data_files": [3]}')),
    ],
)
def test_a_hugging_face_folder_whose_facts_are_none_is_refused(tmp_path: Path, file: str, content: str) -> None:
    hugging_face().save_to_disk(str(tmp_path / "x"))
    (tmp_path / "x" / file).write_text(content)
    with pytest.raises(DataError, match=r"x cannot be read by Hugging Face's datasets \(.*\); save it again"):
        load_image_folder(config(tmp_path / "x"), None)


def test_a_pipe_in_a_hugging_face_folder_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    hugging_face().save_to_disk(str(tmp_path / "x"))
    (file,) = (tmp_path / "x").glob("*.arrow")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(
        DataError, match=r"x cannot be read by .* \(.*it is a pipe or a device, not a regular file.*\); save it again"
    ):
        load_image_folder(config(tmp_path / "x"), None)


def test_numbers_in_a_hugging_face_folder_that_lead_out_of_its_file_are_refused(tmp_path: Path) -> None:
    """Texts are stored one after another with the place of each. Reading one at a place beyond the file would end the process."""
    hugging_face(group=[f"g{n:02d}" for n in range(20)]).save_to_disk(str(tmp_path / "x"))
    (file,) = (tmp_path / "x").glob("*.arrow")
    places = np.arange(0, 63, 3, dtype="<i4")
    assert file.read_bytes().count(places.tobytes()) == 1
    file.write_bytes(file.read_bytes().replace(places.tobytes(), (places << 24).tobytes()))
    with pytest.raises(DataError, match=r"x cannot be read by Hugging Face's datasets \(.*\); save it again"):
        load_image_folder(config(tmp_path / "x"), None)


def test_a_row_that_names_no_regular_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    made = [{"bytes": None, "path": str(tmp_path / "pipe")}, *({"bytes": b"a", "path": None} for _ in range(19))]
    datasets.Dataset.from_dict({"image": made, "label": ["cats", "dogs"] * 10}).save_to_disk(str(tmp_path / "x"))
    facts = tmp_path / "x" / "dataset_info.json"
    said = json.loads(facts.read_text())
    said["features"]["image"] = {"_type": "Image"}  # only now, as the library would read the pipe
    facts.write_text(json.dumps(said))
    with pytest.raises(DataError, match=r"row 1 cannot be read as an image \(the row names\s+.*pipe, which is no file\)"):
        load_image_folder(config(tmp_path / "x"), None)


def test_a_damaged_hugging_face_folder_is_refused(tmp_path: Path) -> None:
    hugging_face().save_to_disk(str(tmp_path / "x"))
    for file in (tmp_path / "x").glob("*.arrow"):
        file.unlink()
    with pytest.raises(DataError, match=r"x cannot be read by Hugging Face's datasets \(.*\); save it again"):
        load_image_folder(config(tmp_path / "x"), None)


def test_without_the_library_a_hugging_face_folder_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hugging_face().save_to_disk(str(tmp_path / "x"))
    without(monkeypatch, "datasets")
    with pytest.raises(DataError, match=r"datasets, which is not installed: pip install 'raydistill\[own-data\]'"):
        load_image_folder(config(tmp_path / "x"), None)


# Tars


def png(value: int) -> bytes:
    data = io.BytesIO()
    picture(value).save(data, "PNG")
    return data.getvalue()


def pack(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def samples(first: int, count: int) -> dict[str, bytes]:
    """Images of the levels from `first` on; classes 2 and 10 in turn."""
    made = {}
    for number in range(first, first + count):
        made |= {f"{number:03d}.png": png(number), f"{number:03d}.cls": str((2, 10)[number % 2]).encode()}
    return made


def test_one_tar_holds_images_and_classes(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", samples(1, 20))
    assert levels(path) == {"2": list(range(2, 21, 2)), "10": list(range(1, 21, 2))}
    assert found(path).items[0].name == "x.tar/002.png"


@pytest.mark.parametrize(
    "shards",
    [
        ("train-0.tar", "train-1.tar", "val-0.tar"),
        ("train/0.tar", "train/1.tar", "val/0.tar"),
        ("Training-0.tar", "Training-1.tar", "Val/0.tar"),
    ],
)
def test_the_names_of_shards_give_the_parts(tmp_path: Path, shards: tuple[str, ...]) -> None:
    for place, name in enumerate(shards):
        pack(tmp_path / name, samples(100 * (place + 1) - 99, 20))
    items = found(tmp_path).items
    assert [[item.part for item in items].count(part) for part in ("train", "select")] == [40, 20]  # type: ignore[arg-type]
    assert items[0].name == f"{shards[0]}/002.png"


def test_json_beside_an_image_gives_label_part_and_group(tmp_path: Path) -> None:
    members = {}
    for number in range(1, 21):
        facts = {"class": "cats" if number % 2 else "dogs", "split": "train" if number < 15 else "test", "group": number // 5}
        members |= {f"a/{number:02d}.png": png(number), f"a/{number:02d}.json": json.dumps(facts).encode()}
    given = found(pack(tmp_path / "x.tar", members), label_column="class")
    assert given.class_names == ("cats", "dogs")
    first = given.items[0]
    assert (first.name, first.part, first.group) == ("x.tar/a/01.png", "train", "0")
    assert [item.part for item in given.items].count("test") == 6


def test_other_members_are_counted_and_hidden_ones_too(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", {**samples(1, 20), "001.txt": b"a cat", "._001.png": b"", "002.txt": b""})
    assert found(path).litter == {"*.txt in tar files": 2, "hidden files": 1}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"900.png": png(1)}, "x.tar/900.png has no label"),
        ({"900.cls": b"2"}, "x.tar/900 has 0 images (cls); expected one of bmp, gif"),
        ({"900.png": png(1), "900.jpg": png(1), "900.cls": b"2"}, "x.tar/900 has 2 images (png, jpg, cls); expected one of bmp"),
        ({"900.png": png(1), "900.json": b"{"}, "x.tar/900.json is not JSON"),
        ({"900.png": png(1), "900.json": b"[]"}, "x.tar/900.png has no label"),
    ],
)
def test_what_is_wrong_with_a_tar_is_told(tmp_path: Path, more: dict[str, bytes], said: str) -> None:
    path = pack(tmp_path / "x.tar", {**samples(1, 20), **more})
    assert texts(path)[0].startswith(said)


def test_files_beside_tars_are_told(tmp_path: Path) -> None:
    pack(tmp_path / "x.tar", samples(1, 20))
    (tmp_path / "notes.txt").write_text("")
    assert texts(tmp_path) == ["notes.txt is beside tar files, but is none"]


def test_a_file_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no" * 1000)
    with pytest.raises(DataError, match=r"x.tar cannot be read as a tar file \(.*\); pack it again, without compression"):
        load_image_folder(config(tmp_path / "x.tar"), None)
