"""Sets for other programs: npz to the last bit and back, PNG within half a step of 255 and clipped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hand_made import FIXED, SMALL
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import pil_to_tensor

import raydistill
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import SyntheticSet, decode, encode
from raydistill.data import zca
from raydistill.data.preprocess import Whiten
from raydistill.data.splits import load_splits
from raydistill.errors import DataError, InputError
from raydistill.sets import eight_bit, exporting
from raydistill.sets.exporting import class_folders, export_set
from raydistill.sets.importing import Given, import_sets
from raydistill.sets.npz import from_npz, to_npz
from raydistill.sets.set_file import write_set
from raydistill.storage.store import Store

RANDOM = [FIXED[0], *FIXED[2:], "method={name: random}"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Three random digits of each class."""
    raydistill.distill(SMALL, overrides=RANDOM, out=tmp_path / "set")
    return tmp_path / "set"


def read(folder: Path) -> tuple[SyntheticSet, Any]:
    return decode((folder / "images.safetensors").read_bytes())


def change(folder: Path, **changes: Any) -> None:
    """Save the set again with some of it replaced."""
    synthetic, manifest = read(folder)
    preprocess = changes.pop("preprocess", manifest.preprocess)
    data = encode(replace(synthetic, **changes), replace(manifest, preprocess=preprocess))
    (folder / "images.safetensors").write_bytes(data)


@pytest.mark.parametrize("kind", ["hard", "soft with a rate"])
def test_npz_and_back_gives_the_same_bytes(saved: Path, tmp_path: Path, kind: str) -> None:
    if kind != "hard":
        change(saved, labels=torch.randn(30, 10), learned_lr=0.125)
    export_set(str(saved), tmp_path / "set.npz", "npz")
    (imported,) = import_sets(tmp_path / "set.npz")
    write_set(imported.synthetic, imported.manifest, Store(str(tmp_path / "again")))
    assert (tmp_path / "again/images.safetensors").read_bytes() == (saved / "images.safetensors").read_bytes()


def test_npz_of_a_whitened_set_names_its_matrices(saved: Path) -> None:
    synthetic, manifest = read(saved)
    named = replace(manifest, preprocess=Whiten(key="abc"))
    assert from_npz(to_npz(synthetic, named))[1].preprocess == Whiten(key="abc")


def test_npz_is_read_without_this_project(saved: Path, tmp_path: Path) -> None:
    export_set(str(saved), tmp_path / "set.npz", "npz")
    with np.load(tmp_path / "set.npz", allow_pickle=False) as arrays:
        assert (arrays["images"].shape, arrays["labels"].shape, int(arrays["ipc"])) == ((30, 1, 8, 8), (30,), 3)
        assert arrays["class_names"].tolist() == list("0123456789")


@pytest.mark.parametrize("data", [b"", b"no", b"PK\x03\x04"], ids=["empty", "text", "zip"])
def test_a_damaged_npz_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "set.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"not a set in npz format \(.*\); give a file written by raydistill export"):
        import_sets(tmp_path / "set.npz")


def test_an_npz_of_other_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.zeros(3))
    with pytest.raises(InputError, match=r"not a set in npz format \(KeyError: .*\)"):
        import_sets(tmp_path / "set.npz")


def test_an_npz_says_itself_what_it_is(saved: Path, tmp_path: Path) -> None:
    export_set(str(saved), tmp_path / "set.npz", "npz")
    with pytest.raises(
        InputError,
        match=r"set.npz already contains its settings, and one set; remove --dataset, --space, --labels, --",
    ):
        import_sets(tmp_path / "set.npz", Given(dataset="digits"))


def test_png_files_are_the_pixels_as_imagefolder_reads_them(saved: Path, tmp_path: Path) -> None:
    """Real digits lie within 0 to 1, so only rounding is lost: at most half of 1 / 255."""
    exported = export_set(str(saved), tmp_path / "png", "folder", accuracy=False)
    folder = ImageFolder(tmp_path / "png")
    synthetic, manifest = read(saved)
    pixels = manifest.preprocess.invert(synthetic.images)
    found = torch.stack([pil_to_tensor(image)[:1] / 255 for image, _ in folder])
    assert [label for _, label in folder.samples] == synthetic.labels.tolist()
    assert float((found - pixels).abs().max()) <= 0.5 / 255 + 1e-6
    assert exported.note == (
        "8-bit pixels; 0.0 % of the values were below black or above white and are clipped; what that does to accuracy was not "
        "measured"
    )


def test_pixels_outside_black_and_white_are_clipped_and_counted(saved: Path, tmp_path: Path) -> None:
    """All values of one of three images of each class are far above white."""
    images = read(saved)[0].images.clone()
    images[::3] = 100.0
    images[1::3] = images[2::3] = 0.0
    change(saved, images=images)
    exported = export_set(str(saved), tmp_path / "png", "folder", accuracy=False)
    assert "33.3 % of the values were below black or above white and are clipped" in exported.note
    image = ImageFolder(tmp_path / "png")[0][0]
    assert image.getextrema() == ((255, 255),) * 3
    about = json.loads((tmp_path / "png" / "about.json").read_text())
    assert about["clipped_fraction"] == pytest.approx(1 / 3)
    assert (about["ipc"], about["class_names"][:2], about["config"]["dataset"]["name"]) == (3, ["0", "1"], "digits")


def test_the_older_name_of_a_format_is_known(saved: Path, tmp_path: Path) -> None:
    export_set(str(saved), tmp_path / "png", "png", accuracy=False)
    assert (tmp_path / "png" / "000-0" / "00000.png").is_file()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty steps where the recipe has five hundred."""
    monkeypatch.setitem(RECIPES, "plain", replace(RECIPES["plain"], steps=30))


@pytest.mark.usefixtures("short")
def test_what_8_bits_cost_is_measured_with_the_same_networks(saved: Path, tmp_path: Path) -> None:
    """Real digits far above white: clipped, all images are white and teach nothing; by chance one of ten is right."""
    images = read(saved)[0].images.clone()
    change(saved, images=images + 100.0)
    note = export_set(str(saved), tmp_path / "out", "folder").note
    given = json.loads((tmp_path / "out" / "about.json").read_text())["accuracy_fractions"]
    assert tuple(given["as_stored"]) == raydistill.evaluate(saved).accuracy_fractions
    assert (given["split"], given["images"], given["recipe"], len(given["with_8_bits"])) == ("select", 250, "plain", 2)
    before, after = (100 * sum(given[name]) / 2 for name in ("as_stored", "with_8_bits"))
    assert after < 30
    assert note.endswith(
        f"; accuracy of 2 networks on 250 select images: {before:.2f} % with the set as it is stored, {after:.2f} % with 8-bit "
        f"pixels ({'+' if after > before else ''}{after - before:.2f} points)"
    )


@pytest.mark.usefixtures("short")
def test_real_digits_lose_next_to_nothing_to_8_bits(saved: Path, tmp_path: Path) -> None:
    """Their pixels are sixteenths of white; rounding moves them by at most half of 1 / 255."""
    export_set(str(saved), tmp_path / "out", "folder")
    given = json.loads((tmp_path / "out" / "about.json").read_text())
    before, after = (given["accuracy_fractions"][name] for name in ("as_stored", "with_8_bits"))
    assert after == pytest.approx(before, abs=0.05)
    assert given["mean"] == list(read(saved)[1].preprocess.mean)


def test_a_packed_set_takes_as_many_steps_over_its_8_bit_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch is one batch of 64 over 30 stored images, and two over the 120 smaller ones that lie apart among the PNG files."""
    taken = []

    def accuracies(synthetic: SyntheticSet, *_: object, recipe: Any) -> list[float]:
        taken.append((len(synthetic.images), recipe.for_set(len(synthetic.images)).steps))
        return [0.5, 0.5]

    monkeypatch.setattr(eight_bit, "accuracies", accuracies)
    packed = [*RANDOM[:-1], "method={name: random, factor: 2}", "evaluation.recipe=datadam"]
    raydistill.distill(SMALL, overrides=packed, out=tmp_path / "set")
    export_set(str(tmp_path / "set"), tmp_path / "out", "folder")
    steps = RECIPES["datadam"].for_set(30).steps
    assert taken == [(30, steps), (120, steps)]
    assert RECIPES["datadam"].for_set(120).steps == 2 * steps


def test_without_its_data_the_accuracy_can_be_left_out(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise DataError("no data")

    monkeypatch.setattr(eight_bit, "splits_of", missing)
    with pytest.raises(DataError, match="no data; or leave the accuracy of the 8-bit set out: --no-accuracy"):
        export_set(str(saved), tmp_path / "out", "folder")
    assert export_set(str(saved), tmp_path / "out", "folder", accuracy=False).path == str(tmp_path / "out")


@pytest.mark.parametrize("form", ["hf", "folder", "npz"])
def test_an_export_that_fails_leaves_nothing(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    for name in ("_write_pngs", "to_npz", "write_card"):
        monkeypatch.setattr(exporting, name, full)
    out = tmp_path / "new" / "set.npz"
    with pytest.raises(InputError, match=r"cannot write .*set.npz: .*No space left on device; give another --out"):
        export_set(str(saved), out, form, accuracy=False)
    assert list(out.parent.iterdir()) == []


def test_an_empty_folder_is_filled(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "png").mkdir()
    export_set(str(saved), tmp_path / "png", "folder", accuracy=False)
    assert len(list((tmp_path / "png").rglob("*.png"))) == 30


def test_soft_labels_and_the_rate_lie_beside_the_png_files(saved: Path, tmp_path: Path) -> None:
    logits = torch.randn(30, 10)
    change(saved, labels=logits, learned_lr=0.125)
    assert "soft labels (logits" in export_set(str(saved), tmp_path / "png", "folder", accuracy=False).note
    assert np.array_equal(np.load(tmp_path / "png" / "labels.npy", allow_pickle=False), logits.numpy())
    assert json.loads((tmp_path / "png" / "about.json").read_text())["learned_lr"] == 0.125


def test_a_whitened_set_is_shown_in_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random real digits, whitened and back: whole sixteenths of 255, but for rounding."""
    monkeypatch.setenv("RAYDISTILL_CACHE", str(tmp_path))
    load_splits.cache_clear()
    raydistill.distill(SMALL, overrides=[*RANDOM, "dataset.preprocess=zca"], out=tmp_path / "set")
    for path in (tmp_path / "zca").iterdir():
        path.unlink()
    zca.matrices.cache_clear()
    load_splits.cache_clear()
    export_set(str(tmp_path / "set"), tmp_path / "png", "folder", accuracy=False)
    pixels = torch.stack([pil_to_tensor(image)[0].float() for image, _ in ImageFolder(tmp_path / "png")])
    assert float((pixels * 16 / 255 - (pixels * 16 / 255).round()).abs().max()) < 0.05


def test_matrices_of_other_data_are_refused(saved: Path, tmp_path: Path) -> None:
    change(saved, preprocess=Whiten(key="0123456789abcdef"))
    with pytest.raises(
        DataError, match="the set was whitened with the ZCA matrices 0123456789ab, but its data now gives others; import"
    ):
        export_set(str(saved), tmp_path / "png", "folder", accuracy=False)


def test_class_folders_sort_as_the_classes_do_and_hold_no_slash() -> None:
    assert class_folders(["T-shirt/top"]) == ["000-T-shirt-top"]
    for count in (12, 1001):
        folders = class_folders([str(number) for number in range(count)])
        assert sorted(folders) == folders


def test_an_unknown_format_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown format 'jpeg'; allowed: hf, folder, npz: give one of these"):
        export_set(str(saved), tmp_path / "x", "jpeg")


def test_what_is_there_is_not_mixed_with(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"set exists; expected a new or an empty folder, so that no file is overwritten: give"):
        export_set(str(saved), saved, "png")
    (tmp_path / "taken.npz").write_text("keep")
    with pytest.raises(InputError, match=r"taken.npz exists; expected the path of a new file"):
        export_set(str(saved), tmp_path / "taken.npz", "npz")
    assert (tmp_path / "taken.npz").read_text() == "keep"


@pytest.mark.parametrize(
    ("out", "form", "message"),
    [
        ("thesis.txt", "npz", r"thesis.txt does not end in .npz, which raydistill import expects"),
        ("s3://bucket/x", "png", r"s3://bucket/x is a URI, but an export is written to a local path"),
        ("/proc/nope/x", "png", r"cannot write /proc/nope/x: .*; give another --out"),
        ("/proc/nope/x.npz", "npz", r"cannot write /proc/nope/x.npz: .*; give another --out"),
    ],
)
def test_a_place_that_cannot_serve_is_refused(saved: Path, out: str, form: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        export_set(str(saved), out, form, accuracy=False)


def test_an_npz_of_others_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "foreign.npz", images=np.zeros(3))
    with pytest.raises(InputError, match=r"foreign.npz: not a set in npz format \(KeyError"):
        import_sets(tmp_path / "foreign.npz")


def test_the_functions_of_the_package_export_and_import(saved: Path, tmp_path: Path) -> None:
    assert "bit for bit" in raydistill.export_set(saved, tmp_path / "set.npz", form="npz")
    imported = raydistill.import_set(tmp_path / "set.npz", out=tmp_path / "again")
    assert torch.equal(imported.images, read(saved)[0].images)
    assert (tmp_path / "again/images.safetensors").read_bytes() == (saved / "images.safetensors").read_bytes()
    assert raydistill.import_set(tmp_path / "set.npz").ipc == 3
