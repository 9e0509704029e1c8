"""Published sets in this project's form: spaces undone, labels sorted, what does not fit refused. Data set: digits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import raydistill
from raydistill.data import zca
from raydistill.data.datasets import load_raw
from raydistill.data.preprocess import Whiten
from raydistill.data.splits import load_splits
from raydistill.errors import InputError
from raydistill.sets import importing as set_import
from raydistill.sets.exporting import export_set
from raydistill.sets.importing import Given, Imported, import_sets
from raydistill.sets.set_file import read_set_file, write_set
from raydistill.sets.value_spaces import CONSTANTS
from raydistill.sets.weights_only import read_entries
from raydistill.spaces.sections import DatasetConfig
from raydistill.storage.store import Store

PIXELS = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(10).repeat_interleave(2)


@pytest.fixture(autouse=True)
def _read_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a process takes seconds; `test_weights_only` does."""
    monkeypatch.setattr(set_import, "read_published", lambda f, which="last": read_entries(set_import._existing(f), str(which)))


def file(folder: Path, name: str = "set.pt", **tensors: Tensor) -> Path:
    """Images and labels by name, or `tensor` alone."""
    torch.save(tensors.get("tensor", tensors), folder / name)
    return folder / name


def take(path: Path, space: str = "pixels", dataset: str = "digits", **given: Any) -> Imported:
    (imported,) = import_sets(path, Given(dataset=dataset, space=space, **given))
    return imported


def pixels_of(imported: Imported) -> Tensor:
    return imported.manifest.preprocess.invert(imported.synthetic.images)


def test_pixels_are_standardised_by_the_train_part(tmp_path: Path) -> None:
    imported = take(file(tmp_path, images=PIXELS, labels=LABELS))
    expected = load_splits(DatasetConfig(name="digits")).preprocess.apply(PIXELS)
    torch.testing.assert_close(imported.synthetic.images, expected)
    assert (imported.synthetic.ipc, imported.synthetic.labels.tolist()) == (2, LABELS.tolist())


def test_the_authors_constants_are_undone(tmp_path: Path) -> None:
    """MNIST's: (x - 0.1307) / 0.3081."""
    imported = take(file(tmp_path, images=(PIXELS - 0.1307) / 0.3081, labels=LABELS), "standardised:mnist")
    torch.testing.assert_close(pixels_of(imported), PIXELS)
    assert imported.manifest.config["method"]["space"] == "standardised:mnist"


def test_what_lies_outside_black_and_white_is_kept(tmp_path: Path) -> None:
    imported = take(file(tmp_path, images=3 * PIXELS - 1, labels=LABELS))
    torch.testing.assert_close(pixels_of(imported), 3 * PIXELS - 1)
    assert re.match(r"pixels from -1.00 to (1.99|2.00), mean 0.[45]\d \(if far outside of 0 to 1", imported.notes[-1])


def test_a_whitened_set_is_taken_from_its_authors_whitening_to_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs is fitted on all published train images, ours on the train part."""
    monkeypatch.setenv("RAYDISTILL_CACHE", str(tmp_path))
    load_splits.cache_clear()
    generator = np.random.default_rng(0)
    folder = tmp_path / "data"
    for number in range(60):
        path = folder / ("test" if number < 4 else "train") / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (4, 4), dtype=np.uint8)).save(path)
    overrides = [f"dataset.path={folder}", "dataset.size=4", "network.depth=2"]
    config = set_import._config_for("image_folder", "zca", overrides, None)["dataset"]
    raw = load_raw(config, None)
    pixels = torch.rand(4, 1, 4, 4)
    theirs = Whiten(key=zca.fit(raw.search.images, 255)).apply(pixels)
    imported = take(file(tmp_path, images=theirs, labels=torch.tensor([0, 0, 1, 1])), "zca", "image_folder", overrides=overrides)
    torch.testing.assert_close(pixels_of(imported), pixels, atol=1e-5, rtol=0)
    assert imported.manifest.preprocess == load_splits(config).preprocess
    assert imported.manifest.config["dataset"]["preprocess"] == "zca"


def test_whitening_takes_published_train_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYDISTILL_CACHE", str(tmp_path))
    load_splits.cache_clear()
    with pytest.raises(InputError, match="--space zca for digits, which has no published train images; give another --space"):
        take(file(tmp_path, images=PIXELS, labels=LABELS), "zca")


def test_hard_labels_are_brought_in_order(tmp_path: Path) -> None:
    """Classes come as 0, 1, ..., 9, 0, 1, ..., 9: item 10 is the second of class 0."""
    imported = take(file(tmp_path, images=PIXELS, labels=torch.arange(10).repeat(2)))
    torch.testing.assert_close(pixels_of(imported)[:2], PIXELS[[0, 10]])
    assert imported.synthetic.labels.tolist() == LABELS.tolist()


def test_logits_are_kept_as_they_are(tmp_path: Path) -> None:
    """All but those of class 0, items 0 and 1, are largest at their own class: 18 of 20."""
    logits = 3.0 * torch.nn.functional.one_hot(LABELS.clamp(min=1), 10) - 1
    imported = take(file(tmp_path, images=PIXELS, labels=logits))
    assert imported.notes[1].endswith(
        "logits; assumed to be ordered by class, which agrees with the largest label of 90 % of the images"
    )
    assert torch.equal(imported.synthetic.labels, logits)
    assert imported.synthetic.label_kind == "soft"
    assert imported.manifest.config["method"]["labels_are"] == "logits"


@pytest.mark.parametrize("rounded", ["exact", "half", "bfloat16", "four decimals"])
def test_probabilities_become_logits_of_the_same_softmax(tmp_path: Path, rounded: str) -> None:
    """Rounding moves a row's sum away from 1: by up to 0.004 in bfloat16, whose steps below 1 are 2 ** -8."""
    exact = torch.randn(20, 10, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    given = {"exact": exact, "half": exact.half(), "bfloat16": exact.bfloat16(), "four decimals": (exact * 1e4).round() / 1e4}
    imported = take(file(tmp_path, images=PIXELS, labels=given[rounded]))
    torch.testing.assert_close(imported.synthetic.labels.softmax(dim=1), exact, atol=0.003, rtol=0)
    assert "; probabilities, stored as their logarithms; " in imported.notes[1]
    assert imported.manifest.config["method"]["labels_are"] == "probabilities"


PERCENT = 100 * torch.randn(20, 10, generator=torch.Generator().manual_seed(1)).softmax(dim=1)
DOUBTFUL = {
    "another sum": PERCENT,
    "sums that differ": PERCENT[:, :1] + PERCENT,
    "rounded below 0": PERCENT / 100 - PERCENT.min() / 100 - 1e-3,
    "one hot times 3": 3.0 * torch.nn.functional.one_hot(LABELS, 10),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_labels_that_may_be_either_are_refused(tmp_path: Path, case: str) -> None:
    with pytest.raises(
        InputError,
        match=r"set.pt: it is not clear whether its soft labels are probabilities or logits: values from .* to .*, rows that sum "
        r"to .* to .* \(probabilities: .*\): say it with --labels-are probabilities, or --labels-are logits",
    ):
        take(file(tmp_path, images=PIXELS, labels=DOUBTFUL[case]))


def test_what_the_user_says_of_the_labels_decides(tmp_path: Path) -> None:
    """In percent: the logarithms differ from those of the fractions by a constant, which softmax takes away."""
    path = file(tmp_path, images=PIXELS, labels=PERCENT)
    imported = take(path, labels_are="probabilities")
    torch.testing.assert_close(imported.synthetic.labels.softmax(dim=1), PERCENT / 100)
    assert "; probabilities (as --labels-are says), stored as their logarithms; " in imported.notes[1]
    imported = take(path, labels_are="logits")
    assert torch.equal(imported.synthetic.labels, PERCENT)
    assert "; logits (as --labels-are says); " in imported.notes[1]


@pytest.mark.parametrize("labels", [torch.randn(20, 10), torch.zeros(20, 10)], ids=["below 0", "all 0"])
def test_what_cannot_be_probabilities_is_none_whatever_is_said(tmp_path: Path, labels: Tensor) -> None:
    with pytest.raises(InputError, match=r"set.pt: --labels-are probabilities, but its soft labels go down to .*, or a row"):
        take(file(tmp_path, images=PIXELS, labels=labels), labels_are="probabilities")


def test_classes_are_neither_probabilities_nor_logits(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the labels in .*set.pt are classes, not logits: remove --labels-are"):
        take(file(tmp_path, images=PIXELS, labels=LABELS), labels_are="logits")


def three_repetitions(folder: Path) -> Path:
    torch.save({"data": [[PIXELS * number / 3, LABELS] for number in (1, 2, 3)]}, folder / "set.pt")
    return folder / "set.pt"


def test_of_several_sets_the_last_is_imported_and_the_others_are_named(tmp_path: Path) -> None:
    imported = take(three_repetitions(tmp_path))
    assert imported.notes[0] == "set.pt: set 3 of 3, the last; --entry N takes another, --entry all takes each"
    torch.testing.assert_close(pixels_of(imported), PIXELS)


def test_a_set_of_several_is_imported_by_its_number(tmp_path: Path) -> None:
    (imported,) = import_sets(three_repetitions(tmp_path), Given(dataset="digits", space="pixels"), entry=2)
    assert (imported.notes[0], imported.manifest.config["method"]["entry"]) == ("set.pt: set 2 of 3", 2)
    torch.testing.assert_close(pixels_of(imported), PIXELS * 2 / 3)


@pytest.mark.parametrize("entry", [0, -1, True, 1.5, "first"])
def test_what_is_no_number_of_a_set_is_refused(tmp_path: Path, entry: Any) -> None:
    """From the end, -1 is the last and -2 the one before."""
    with pytest.raises(InputError, match=rf"given {entry!r} as entry; allowed: a whole number from 1 on, 'last' or 'all'"):
        import_sets(three_repetitions(tmp_path), Given(dataset="digits", space="pixels"), entry=entry)


def test_all_sets_of_a_file_go_to_folders_of_their_own(tmp_path: Path) -> None:
    found = raydistill.import_sets(three_repetitions(tmp_path), out=tmp_path / "mine", dataset="digits", space="pixels")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["entry-1", "entry-2", "entry-3"]
    for number, synthetic in enumerate(found, start=1):
        saved, config = read_set_file(str(tmp_path / "mine" / f"entry-{number}"))
        assert (config.method.entry, torch.equal(saved.images, synthetic.images)) == (number, True)


def test_the_function_of_the_package_imports_one_of_several(tmp_path: Path) -> None:
    path = three_repetitions(tmp_path)
    one, last = (raydistill.import_set(path, dataset="digits", space="pixels", entry=entry) for entry in (1, None))
    assert float(one.images.max()) < float(last.images.max())


def test_labels_and_rate_come_from_files_of_their_own(tmp_path: Path) -> None:
    """As MTT and DATM write them."""
    images = file(tmp_path, "images.pt", tensor=PIXELS)
    labels, lr = file(tmp_path, "labels.pt", tensor=LABELS), file(tmp_path, "lr.pt", tensor=torch.tensor(0.02))
    imported = take(images, labels_file=labels, lr_file=lr)
    assert imported.synthetic.learned_lr == pytest.approx(0.02)
    assert imported.notes[:3] == ("images.pt: a single tensor", "labels from labels.pt", "lr from lr.pt")
    assert "learned learning rate 0.02" in imported.notes


@pytest.mark.parametrize("override", ["seed=7", "ipc=3", "method.name=datadam"])
def test_an_override_that_would_change_nothing_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(InputError, match=f"--set {override} has no effect on an imported set; .*: remove it"):
        take(file(tmp_path, images=PIXELS, labels=LABELS), overrides=[override])


def test_an_imported_set_is_saved_evaluated_and_exported(tmp_path: Path) -> None:
    settings = ["network.depth=1", "network.width=4", "evaluation.recipe=plain", "evaluation.networks=1"]
    imported = take(file(tmp_path, images=PIXELS, labels=LABELS), overrides=settings)
    write_set(imported.synthetic, imported.manifest, Store(str(tmp_path / "mine")))
    assert read_set_file(str(tmp_path / "mine"))[1].method.source == "set.pt"
    (accuracy,) = raydistill.evaluate(tmp_path / "mine").accuracy_fractions
    assert 0 < accuracy < 1
    assert (
        json.loads(
            (Path(export_set(str(tmp_path / "mine"), tmp_path / "png", "folder", accuracy=False).path) / "about.json").read_text()
        )["ipc"]
        == 2
    )


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"images": PIXELS}, r"set.pt contains only images; give the file of their labels with --labels"),
        ({"images": PIXELS[:, :, :4], "labels": LABELS}, r"set.pt: images have shape \(20, 1, 4, 8\) and type torch.float32; "),
        ({"images": PIXELS[0], "labels": LABELS}, r"set.pt: images have shape \(1, 8, 8\) and type torch.float32"),
        ({"images": PIXELS.long(), "labels": LABELS}, r"set.pt: images have shape \(20, 1, 8, 8\) and type torch.int64"),
        ({"images": PIXELS[:19], "labels": LABELS[:19]}, r"set.pt has 19 images for 10 classes; expected the same number"),
        ({"images": PIXELS[:0], "labels": LABELS[:0]}, r"set.pt has 0 images for 10 classes"),
        ({"images": PIXELS / 0, "labels": LABELS}, r"set.pt has images with values that are not finite"),
        ({"images": PIXELS, "labels": LABELS[:10]}, r"set.pt: labels have shape \(10,\) .*; expected shape \(20,\) and whole"),
        ({"images": PIXELS, "labels": LABELS.float()}, r"set.pt: labels have shape \(20,\) and type torch.float32"),
        ({"images": PIXELS, "labels": torch.zeros(20, 9)}, r"set.pt: labels have shape \(20, 9\) .* shape \(20, 10\) and floats"),
        ({"images": PIXELS, "labels": torch.full((20, 10), torch.nan)}, r"set.pt has soft labels that are not finite"),
        ({"images": PIXELS, "labels": LABELS + 1}, r"set.pt does not have 2 labels of each class from 0 to 9"),
        ({"images": PIXELS, "labels": LABELS - 1}, r"set.pt does not have 2 labels of each class"),
        ({"images": PIXELS, "labels": LABELS * 10**12}, r"set.pt does not have 2 labels of each class"),
        ({"images": PIXELS, "labels": LABELS.clamp(max=8)}, r"set.pt does not have 2 labels of each class"),
        ({"images": PIXELS, "labels": LABELS, "lr": torch.tensor(-1.0)}, r"set.pt has the learned learning rate \[-1.0\]; exp"),
        ({"images": PIXELS, "labels": LABELS, "lr": torch.ones(2)}, r"set.pt has the learned learning rate \[1.0, 1.0\]"),
    ],
)  # fmt: skip
def test_a_set_that_does_not_fit_is_refused(tmp_path: Path, tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        take(file(tmp_path, **tensors))


@pytest.mark.parametrize("space", ["standardised", "standardised:digits", "whitened", "pixels:mnist"])
def test_an_unknown_space_is_refused(tmp_path: Path, space: str) -> None:
    with pytest.raises(
        InputError, match=rf"unknown --space {space}; allowed: pixels, zca, standardised \(if .* mnist, .*: give the value"
    ):
        take(file(tmp_path, images=PIXELS, labels=LABELS), space)


def test_constants_of_another_number_of_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="space standardised:cifar10 has constants for 3 channels, but digits has 1: give another"
    ):
        take(file(tmp_path, images=PIXELS, labels=LABELS), "standardised:cifar10")
    assert all(len(space.mean) == len(space.std) for space in CONSTANTS.values())


def test_labels_given_twice_are_refused(tmp_path: Path) -> None:
    both = file(tmp_path, images=PIXELS, labels=LABELS)
    with pytest.raises(InputError, match=r"set.pt already contains labels, but .*labels.pt is given too; remove one"):
        take(both, labels_file=file(tmp_path, "labels.pt", tensor=LABELS))


def test_a_file_of_labels_holds_one_tensor(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels.pt is not a single tensor; give the file of the labels"):
        take(file(tmp_path, tensor=PIXELS), labels_file=file(tmp_path, "labels.pt", images=PIXELS, labels=LABELS))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"file .*nowhere.pt does not exist; give the file of a published set"):
        take(tmp_path / "nowhere.pt")


@pytest.mark.parametrize(("dataset", "space"), [("", "pixels"), ("digits", "")])
def test_data_set_and_space_must_be_said(tmp_path: Path, dataset: str, space: str) -> None:
    with pytest.raises(
        InputError, match=r"set.pt does not contain the data set and the value space; give --dataset, and --space pixels,"
    ):
        take(file(tmp_path, images=PIXELS, labels=LABELS), space, dataset)
