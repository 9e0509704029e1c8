"""A set as a Hugging Face data set: opened by their own library, with a card that says what was found and how."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hand_made import FIXED, SMALL, HandMade
from PIL import Image

import raydistill
from raydistill.core.synthetic import decode, encode
from raydistill.data.datasets import NAMES
from raydistill.data.licences import LICENCES
from raydistill.errors import InputError
from raydistill.sets.exporting import export_set
from raydistill.sets.set_file import read_set_file
from raydistill.storage.result import Finding

RANDOM = [FIXED[0], *FIXED[2:], "method={name: random}"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Three random digits of each class."""
    raydistill.distill(SMALL, overrides=RANDOM, out=tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens an exported folder with `datasets`, offline."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    from datasets import load_dataset

    return lambda folder: load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))


def export(saved: Path, out: Path) -> tuple[dict[str, Any], str]:
    """The header and the text of the card."""
    export_set(str(saved), out, "hf", accuracy=False)
    _, header, text = (out / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(header), text


def soften(saved: Path) -> torch.Tensor:
    """Give the set soft labels and a learned rate."""
    synthetic, manifest = decode((saved / "images.safetensors").read_bytes())
    soft = replace(synthetic, labels=torch.randn(30, 10), learned_lr=0.125)
    (saved / "images.safetensors").write_bytes(encode(soft, manifest))
    return soft.labels


def test_images_and_classes_are_opened_as_they_were(saved: Path, tmp_path: Path, opened: Any) -> None:
    export(saved, tmp_path / "hf-set")
    rows = opened(tmp_path / "hf-set")
    found = raydistill.load_set(saved)
    assert rows.features["label"].names == list("0123456789")
    assert rows["label"] == found.labels.tolist()
    pixels = torch.from_numpy(np.stack([np.array(image) for image in rows["image"]])).unsqueeze(1) / 255
    torch.testing.assert_close(pixels, found.pixels(), atol=0.5 / 255 + 1e-6, rtol=0)
    assert set(rows.column_names) == {"image", "label"}


def test_soft_labels_are_a_column_of_logits(saved: Path, tmp_path: Path, opened: Any) -> None:
    logits = soften(saved)
    _, text = export(saved, tmp_path / "hf-set")
    torch.testing.assert_close(torch.tensor(opened(tmp_path / "hf-set")["logits"]), logits)
    assert "- `logits`: its soft label; train on their softmax, not on `label`" in text
    assert "Train a network with the learning rate 0.125, which was learned with the images." in text


def test_the_card_says_licence_size_and_making(saved: Path, tmp_path: Path) -> None:
    header, text = export(saved, tmp_path / "hf-set")
    assert (header["license"], header["size_categories"]) == ("cc-by-4.0", ["n<1K"])
    assert header["pretty_name"] == "digits, 3 images per class, made by random"
    assert "30 images of 8x8 pixels, grey, in 10 classes:" in text
    assert "8-bit pixels; 0.0 % of the values were below black or above white and are clipped; what that does" in text
    assert "The set was not found by a search, so nothing is claimed about it beside the accuracy below." in text
    assert "Data set digits, network convnet" in text
    assert '"ipc": 3' in text


def test_a_set_of_own_images_is_handed_on_without_their_path(tmp_path: Path) -> None:
    """Two classes of 60 grey images each."""
    generator = np.random.default_rng(0)
    for number in range(120):
        path = tmp_path / "private" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    own = {"name": "image_folder", "path": str(tmp_path / "private"), "size": 8}
    raydistill.distill({**SMALL, "dataset": own}, overrides=[*RANDOM, "goal.margin_fraction=0.5"], out=tmp_path / "set")
    header, text = export(tmp_path / "set", tmp_path / "hf-set")
    assert (header["license"], "say here what their licence is before you publish" in text) == ("unknown", True)
    assert "private" not in text + (tmp_path / "hf-set" / "about.json").read_text()


def winner(by_hand: HandMade, saved: Path, **changes: Any) -> Path:
    """The set as the winner of a study; returns its folder in it."""
    trial_id = read_set_file(str(saved))[1].trial_id
    by_hand.study.write("winner/images.safetensors", (saved / "images.safetensors").read_bytes())
    by_hand.study.write(f"trials/{trial_id}/config.json", "{}")
    by_hand.result(**{"winner_trial_id": trial_id, **changes})
    return Path(by_hand.study.root, "winner")


def test_the_card_of_a_winner_has_the_finding(by_hand: HandMade, saved: Path, tmp_path: Path) -> None:
    finding = Finding(
        claim="needed",
        sentence="distilling is needed: so it was said",
        decides=None,
        distilled=None,
        control=None,
        ratio_images=None,
        ratio_float_bytes=None,
        ratio_byte_bytes=None,
        confidence=0.95,
    )
    _, text = export(winner(by_hand, saved, finding=finding), tmp_path / "hf-set")
    assert "\nLossless: the bound is within the margin.\n" in text
    assert "The race against real images: distilling is needed: so it was said." in text
    assert "Both are about the set as it is stored" in text


def test_the_card_of_another_trial_claims_nothing(by_hand: HandMade, saved: Path, tmp_path: Path) -> None:
    _, text = export(winner(by_hand, saved, winner_trial_id="0123456789ab"), tmp_path / "hf-set")
    assert "named another as the smallest lossless one (0123456789ab), so nothing is claimed" in text


def test_the_card_of_a_search_without_an_end_claims_nothing(by_hand: HandMade, saved: Path, tmp_path: Path) -> None:
    place = winner(by_hand, saved)
    by_hand.study.delete("result.json")
    assert "of a search that has not ended, so nothing is claimed" in export(place, tmp_path / "hf-set")[1]


def test_without_pyarrow_the_line_that_installs_it_is_named(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"needs pyarrow, which is not installed: pip install 'raydistill\[hf\]'"):
        export_set(str(saved), tmp_path / "hf-set", "hf")
    assert not (tmp_path / "hf-set").exists()


def test_every_data_set_has_a_licence() -> None:
    assert set(LICENCES) == set(NAMES)
