"""Files of tensors that others wrote: the known forms are read, anything that could run is refused and does not."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from raydistill.errors import InputError
from raydistill.sets import importing as set_import
from raydistill.sets.importing import read_published
from raydistill.sets.published_labels import order_by_class
from raydistill.sets.weights_only import RefusedError, read_entries

IMAGES, LABELS = torch.arange(12.0).view(2, 1, 2, 3), torch.tensor([0, 1])


def saved(tmp_path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, tmp_path / "set.pt", **options)
    return tmp_path / "set.pt"


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The only set of a file, or the last."""
    (entry,) = read_entries(path, "last")
    return entry.tensors, entry.place


def repetitions(tmp_path: Path) -> Path:
    """Three sets in one list, as Dataset Condensation, DM and DataDAM write the repetitions of an experiment."""
    data = [[IMAGES + number, LABELS] for number in (1, 2, 3)]
    return saved(tmp_path, {"data": data, "accs_all_exps": {"ConvNet": [np.float64(0.5), np.float32(0.25)]}})


@pytest.mark.parametrize(("which", "numbers"), [("last", [3]), ("1", [1]), ("3", [3]), ("all", [1, 2, 3])])
def test_of_several_sets_those_asked_for_are_read(tmp_path: Path, which: str, numbers: list[int]) -> None:
    entries = read_entries(repetitions(tmp_path), which)
    assert [(entry.number, entry.count, entry.place) for entry in entries] == [(n, 3, f"set {n} of 3") for n in numbers]
    assert all(torch.equal(entry.tensors["images"], IMAGES + entry.number) for entry in entries)


@pytest.mark.parametrize("which", ["0", "4", "-1", "1.5", "first"])
def test_an_entry_that_the_file_does_not_have_is_refused(tmp_path: Path, which: str) -> None:
    with pytest.raises(RefusedError, match=f"it contains 3 sets, and --entry is {which}; allowed: 1 to 3, or all"):
        read_entries(repetitions(tmp_path), which)


def test_a_file_of_one_set_has_no_second(tmp_path: Path) -> None:
    assert read_entries(saved(tmp_path, (IMAGES, LABELS)), "1")[0].count == 1
    with pytest.raises(RefusedError, match="it contains 1 set, and --entry is 2; allowed: 1 to 1, or all"):
        read_entries(saved(tmp_path, (IMAGES, LABELS)), "2")


def test_accuracies_by_the_names_of_numpy_1_are_read(tmp_path: Path) -> None:
    """As in the files published before numpy 2."""
    path = saved(tmp_path, {"data": [[IMAGES, LABELS]], "accs": [np.float64(0.5)]}, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    assert b"numpy._core.multiarray" in data
    path.write_bytes(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert torch.equal(read_tensors(path)[0]["images"], IMAGES)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
def test_both_file_formats_of_torch_are_read(tmp_path: Path, zipped: bool) -> None:
    found, place = read_tensors(saved(tmp_path, IMAGES, _use_new_zipfile_serialization=zipped))
    assert torch.equal(found["tensor"], IMAGES)
    assert place == "a single tensor"


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ((IMAGES, LABELS), ["images", "labels"]),
        ([IMAGES, LABELS], ["images", "labels"]),
        ({"images": IMAGES, "labels": LABELS, "lr": torch.tensor(0.1), "epoch": 3}, ["images", "labels", "lr"]),
        ({"images": IMAGES}, ["images"]),
    ],
)
def test_pairs_and_named_tensors_are_read(tmp_path: Path, content: Any, names: list[str]) -> None:
    assert list(read_tensors(saved(tmp_path, content))[0]) == names


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol 4")
def test_what_the_safe_reader_does_not_know_is_refused_without_torchs_advice_to_trust_it(tmp_path: Path) -> None:
    content = {"data": [[IMAGES, LABELS]], "more": Bomb(tmp_path / "exploded")}
    with pytest.raises(RefusedError) as raised:
        read_tensors(saved(tmp_path, content, pickle_protocol=4))
    assert "it may contain code, or be another kind of pickle); none of it was run" in str(raised.value)
    assert "weights_only" not in str(raised.value)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("form", ["torch", "old torch", "pickle"])
def test_a_file_with_code_is_refused_and_nothing_is_run(tmp_path: Path, form: str) -> None:
    content = {"data": [[IMAGES, LABELS]], "more": Bomb(tmp_path / "exploded")}
    if form == "pickle":
        (tmp_path / "set.pt").write_bytes(pickle.dumps(content["more"], protocol=2))
    else:
        saved(tmp_path, content, _use_new_zipfile_serialization=form == "torch")
    with pytest.raises(RefusedError, match=r"it contains code or objects \(.*\) that a set does not need; none of it was run"):
        read_tensors(tmp_path / "set.pt")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("data", [b"", b"no tensors at all", b"PK\x03\x04 no zip"], ids=["empty", "text", "zip"])
def test_a_file_that_is_none_of_torchs_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "set.pt").write_bytes(data)
    said = r"it is not a file of (tensors \(.*\); give a .pt file written by torch.save|plain tensors)"
    with pytest.raises(RefusedError, match=said):
        read_tensors(tmp_path / "set.pt")


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"weights": LABELS, "x": 1},
            r"it contains a dict with the keys weights, x; supported: a tensor, \(images, labels\)",
        ),
        ("3", r"it contains a str; supported: a tensor"),
        ({"data": []}, r"it contains a dict with the keys data"),
        ({"data": [[IMAGES]]}, r"its entries are not \(images, labels\); give images and labels as two separate files"),
        ((IMAGES, "labels"), r"its entries are not \(images, labels\)"),
        (
            torch.zeros(1).expand(10**6, 1000),
            r"entry 'tensor' is not a plain tensor, or claims 4000000000 bytes, more than the file has",
        ),
        (
            torch.eye(3).to_sparse(),
            r"entry 'tensor' is not a plain tensor, or claims \d+ bytes, more than the file has; ask its",
        ),
        (torch.zeros(3, device="meta"), "entry 'tensor' has a shape, but no values; ask its author"),
        (10**400, r"a number in it is too large \(.*\); ask its author for plain tensors"),
        ({"images": IMAGES, "lr": -(10**400)}, "a number in it is too large"),
        ({"data": [(IMAGES, None)] * 3}, r"its entries are not \(images, labels\)"),
        ({"data": {"images": IMAGES}}, "it contains a dict with the keys data"),
        ({"images": [IMAGES]}, "it contains a dict with the keys images"),
        ([], r"its entries are not \(images, labels\)"),
        (None, "it contains a NoneType"),
        (True, "it contains a bool"),
    ],
)
def test_what_is_no_set_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        read_tensors(saved(tmp_path, content))


@pytest.mark.parametrize("lr", [0.25, torch.tensor(0.25)], ids=["number", "tensor"])
def test_a_learned_rate_may_be_a_plain_number(tmp_path: Path, lr: float | torch.Tensor) -> None:
    found, _ = read_tensors(saved(tmp_path, {"images": IMAGES, "labels": LABELS, "lr": lr}))
    assert found["lr"].item() == 0.25
    assert set(read_tensors(saved(tmp_path, {"images": IMAGES, "labels": LABELS, "lr": None}))[0]) == {"images", "labels"}
    assert read_tensors(saved(tmp_path, lr))[0]["tensor"].item() == 0.25


def test_an_entry_of_another_kind_is_refused_and_not_left_out(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="entry 'lr' is a str; expected a tensor: ask its author"):
        read_tensors(saved(tmp_path, {"images": IMAGES, "labels": LABELS, "lr": "0.25"}))


def test_another_process_reads_the_file(tmp_path: Path) -> None:
    entries = read_published(repetitions(tmp_path), "all")
    assert [entry.place for entry in entries] == ["set 1 of 3", "set 2 of 3", "set 3 of 3"]
    assert all(torch.equal(entry.tensors["images"], IMAGES + entry.number) for entry in entries)
    assert torch.equal(entries[0].tensors["labels"], LABELS)


def test_another_process_refuses_a_file_with_code(tmp_path: Path) -> None:
    saved(tmp_path, {"data": [[IMAGES, LABELS]], "more": Bomb(tmp_path / "exploded")})
    with pytest.raises(InputError, match=r"set.pt is refused: it contains code or objects \(.*\) .* none of it was run: ask its"):
        read_published(tmp_path / "set.pt")
    assert not (tmp_path / "exploded").exists()


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_import, "SECONDS", 0.01)
    with pytest.raises(InputError, match=r"reading .*set.pt took more than 0.01 seconds and was stopped: check the file"):
        read_published(saved(tmp_path, IMAGES))


def test_a_reader_that_dies_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(InputError, match=r"set.pt is refused: reading it failed with exit code 1: no message"):
        read_published(saved(tmp_path, IMAGES))


def test_a_list_that_contains_itself_is_refused(tmp_path: Path) -> None:
    content: dict[str, Any] = {"data": []}
    content["data"].append(content["data"])
    with pytest.raises(RefusedError, match=r"its entries are not \(images, labels\)"):
        read_tensors(saved(tmp_path, content))


TWO_CLASSES: Any = SimpleNamespace(class_names=("a", "b"), shape=(1, 2, 3))


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (IMAGES.to(torch.float8_e4m3fn), LABELS, "type torch.float8_e4m3fn; expected shape"),
        (IMAGES.to(torch.complex64), LABELS, "type torch.complex64; expected shape"),
        (IMAGES, LABELS.to(torch.uint16), "type torch.uint16; expected shape"),
        (IMAGES, LABELS.to(torch.complex64), "type torch.complex64; expected shape"),
        (IMAGES, torch.eye(2).to(torch.float8_e4m3fn), "type torch.float8_e4m3fn; expected shape"),
        (IMAGES[:0], LABELS[:0], "has 0 images for 2 classes"),
        (IMAGES * float("nan"), LABELS, "values that are not finite"),
        (IMAGES, torch.tensor([0, 2**62]), "does not have 1 labels of each class"),
        (IMAGES, torch.tensor([0, -1]), "does not have 1 labels of each class"),
    ],
)
def test_tensors_that_a_set_cannot_hold_are_refused(images: torch.Tensor, labels: torch.Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        order_by_class({"images": images, "labels": labels}, TWO_CLASSES, Path("set.pt"), None)


@pytest.mark.parametrize("lr", [torch.tensor(1j), torch.tensor([]), torch.tensor(float("nan")), torch.tensor(-1.0)])
def test_a_learned_rate_that_is_none_is_refused(lr: torch.Tensor) -> None:
    with pytest.raises(InputError, match="expected one number above 0"):
        set_import._learned_lr(lr, Path("set.pt"))
