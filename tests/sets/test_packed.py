"""Sets with several images in a stored one, through everything that trains on a set, shows it or hands it on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hand_made import FIXED, SMALL
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import pil_to_tensor

import raydistill
from raydistill.core.evaluate import evaluate_set, network_seeds
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import SyntheticSet, decode
from raydistill.data.splits import load_splits
from raydistill.errors import InputError
from raydistill.sets import protocols
from raydistill.sets.card import write_card
from raydistill.sets.exporting import export_set
from raydistill.sets.importing import import_sets
from raydistill.sets.npz import from_npz, to_npz
from raydistill.sets.place import ImagesToRead
from raydistill.sets.protocols import run_dc_bench, run_dd_ranking
from raydistill.sets.set_file import write_set
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.store import Store

PACKED = [FIXED[0], *FIXED[2:], "method={name: random, factor: 2}"]
HOLDS = "stores 30 images (3 per class), each with 2 x 2 smaller ones, which are enlarged: 120 images to train on (12 per class)"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Twelve random digits of each class in three stored images."""
    raydistill.distill(SMALL, overrides=PACKED, out=tmp_path / "set")
    return tmp_path / "set"


def read(folder: Path) -> tuple[SyntheticSet, Any]:
    return decode((folder / "images.safetensors").read_bytes())


def test_it_has_the_bytes_of_a_set_without_tiles(saved: Path, tmp_path: Path) -> None:
    raydistill.distill(SMALL, overrides=[*PACKED, "method.factor=1"], out=tmp_path / "plain")
    assert read(saved)[0].size_bytes == read(tmp_path / "plain")[0].size_bytes


def test_networks_are_trained_on_the_enlarged_images(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of the enlarged images themselves gives the same networks."""
    monkeypatch.setitem(RECIPES, "plain", RECIPES["quick_plain"])
    synthetic, manifest = read(saved)
    config = raydistill.load_set(saved).config
    splits = load_splits(config.dataset)
    given = (
        splits,
        splits.select,
        config.network,
        RECIPES["plain"],
        network_seeds("test", splits.sha256, 1),
        torch.device("cpu"),
    )
    packed, decoded = (evaluate_set(one, *given, diverged=None) for one in (synthetic, synthetic.decoded()))
    assert np.array_equal(packed, decoded)
    assert manifest.config["method"]["factor"] == 2


def test_a_loaded_set_has_the_enlarged_images_and_says_what_is_stored(saved: Path) -> None:
    found = raydistill.load_set(saved)
    assert found.images.shape == (120, 1, 8, 8)
    assert found.labels.tolist() == [j // 12 for j in range(120)]
    assert (found.ipc, found.factor, found.synthetic.images.shape) == (3, 2, (30, 1, 8, 8))
    assert "120 images, 3 per class stored, 2 x 2 images in each, (1, 8, 8)" in repr(found)


def test_a_folder_of_png_files_has_the_enlarged_images(saved: Path, tmp_path: Path) -> None:
    exported = export_set(str(saved), tmp_path / "png", "folder", accuracy=False)
    folder = ImageFolder(tmp_path / "png")
    synthetic, manifest = read(saved)
    found = torch.stack([pil_to_tensor(image)[:1] / 255 for image, _ in folder])
    pixels = manifest.preprocess.invert(synthetic.decoded().images)
    assert [label for _, label in folder.samples] == [j // 12 for j in range(120)]
    assert float((found - pixels).abs().max()) <= 0.5 / 255 + 1e-6
    assert exported.note.startswith(f"8-bit pixels; the set {HOLDS}; 0.0 % of the values")
    about = json.loads((tmp_path / "png/about.json").read_text())
    assert (about["ipc"], about["factor"], about["images_per_class"]) == (3, 2, 12)


def test_a_parquet_file_has_the_enlarged_images_and_the_card_says_so(saved: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (pip install 'raydistill[hf]')")
    export_set(str(saved), tmp_path / "hf", "hf", accuracy=False)
    table = parquet.read_table(tmp_path / "hf/data/train-00000-of-00001.parquet")
    assert table["label"].to_pylist() == [j // 12 for j in range(120)]
    assert f"In the study the set {HOLDS}. Here they are enlarged already." in (tmp_path / "hf/README.md").read_text()


def test_a_card_of_soft_labels_keeps_their_line_in_the_list(saved: Path, tmp_path: Path) -> None:
    synthetic, manifest = read(saved)
    soft = SyntheticSet(images=synthetic.images, labels=torch.zeros(120, 10), ipc=3, factor=2)
    config: TrialConfig[Any] = raydistill.load_set(saved).config
    write_card(tmp_path, str(saved), soft, manifest, config, "8-bit pixels", None)
    assert "- `label`: its class\n- `logits`: its soft label" in (tmp_path / "README.md").read_text()


def test_an_npz_file_has_the_stored_images_and_comes_back_as_it_was(saved: Path, tmp_path: Path) -> None:
    exported = export_set(str(saved), tmp_path / "set.npz", "npz")
    (imported,) = import_sets(tmp_path / "set.npz")
    write_set(imported.synthetic, imported.manifest, Store(str(tmp_path / "again")))
    assert (tmp_path / "again/images.safetensors").read_bytes() == (saved / "images.safetensors").read_bytes()
    assert exported.note.endswith(f"its images are the stored ones: the set {HOLDS}")


def test_an_npz_file_whose_factor_is_not_that_of_its_config_is_refused(saved: Path) -> None:
    synthetic, manifest = read(saved)
    data = to_npz(SyntheticSet(images=synthetic.images, labels=synthetic.labels, ipc=3, factor=3), manifest)
    with pytest.raises(InputError, match="the set has factor 3, but its config has factor 2"):
        from_npz(data)


def test_protocols_train_on_the_enlarged_images_and_draw_real_ones_for_the_stored(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    def train(subject: Any, images: Any, labels: Any, *_: Any, **__: Any) -> str:
        seen.append((len(images), len(labels)))
        return "network"

    monkeypatch.setattr(protocols._Subject, "train", train)
    monkeypatch.setattr(protocols._Subject, "read", lambda *_: 0.5)
    run_dc_bench(str(saved), ImagesToRead(), architectures=["mlp"], augmentations=["none"], networks=1)
    assert seen == [(120, 120)]
    seen.clear()
    run_dd_ranking(str(saved), ImagesToRead(), networks=1)
    full, *rest = sorted(seen, reverse=True)
    assert full[0] > 120
    assert rest == [(120, 120)] * 2 + [(30, 30)] * 2
