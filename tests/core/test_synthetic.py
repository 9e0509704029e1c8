"""A synthetic set: its size, its file, and the same bytes from every process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save

from raydistill.core.synthetic import FORMAT, Manifest, SyntheticSet, decode, encode, hard_labels, sha256, tiles_in_words
from raydistill.data.preprocess import Standardise, Whiten

MANIFEST = Manifest(
    preprocess=Standardise(mean=(0.1307,), std=(0.3081,)),
    class_names=("zero", "öne", "two"),
    config={"seed": 7, "method": {"name": "datadam"}},
    code_sha256="c" * 64,
)


def some_set(soft: bool = False, learned_lr: float | None = None) -> SyntheticSet:
    """Three classes of two 1 x 4 x 5 images."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(6, 1, 4, 5, generator=generator)
    labels = torch.randn(6, 3, generator=generator) if soft else hard_labels(3, 2)
    return SyntheticSet(images=images, labels=labels, ipc=2, learned_lr=learned_lr)


def test_hard_labels_run_class_after_class() -> None:
    assert hard_labels(3, 2).tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("soft", "learned_lr", "size"), [(False, None, 486), (True, None, 552), (False, 0.5, 490), (True, 0.5, 556)]
)
def test_size_counts_images_labels_and_rate(soft: bool, learned_lr: float | None, size: int) -> None:
    """6 * 20 pixels of 4 bytes are 480; 6 classes of one byte, or 6 * 3 logits of 4 bytes, 72; a rate of 4 bytes."""
    assert some_set(soft, learned_lr).size_bytes == size


def test_a_set_is_printed_in_a_line() -> None:
    assert repr(some_set()) == "SyntheticSet(IPC 2: images (6, 1, 4, 5), hard labels, 486 bytes, cpu)"
    assert ", soft labels, learned lr 0.5, 556 bytes" in repr(some_set(soft=True, learned_lr=0.5))


@pytest.mark.parametrize(("classes", "size"), [(256, 256 * 5), (257, 257 * 6)])
def test_a_class_takes_two_bytes_above_256_classes(classes: int, size: int) -> None:
    """One pixel of 4 bytes and one label each."""
    assert SyntheticSet(images=torch.zeros(classes, 1, 1, 1), labels=hard_labels(classes, 1), ipc=1).size_bytes == size


def test_labels_with_logits_are_soft() -> None:
    assert (some_set().label_kind, some_set(soft=True).label_kind) == ("hard", "soft")


@pytest.mark.parametrize("learned_lr", [None, 0.5])
@pytest.mark.parametrize("soft", [False, True])
def test_a_set_is_read_as_it_was_written(soft: bool, learned_lr: float | None) -> None:
    given = some_set(soft, learned_lr)
    found, manifest = decode(encode(given, MANIFEST))
    assert torch.equal(found.images, given.images)
    assert torch.equal(found.labels, given.labels)
    assert found.labels.dtype == given.labels.dtype
    assert (found.ipc, found.learned_lr) == (2, learned_lr)
    assert manifest == MANIFEST


def test_a_learned_rate_keeps_the_digits_of_single_precision() -> None:
    found, _ = decode(encode(some_set(learned_lr=0.1), MANIFEST))
    assert found.learned_lr == pytest.approx(0.1, rel=1e-7)


def test_what_is_under_way_in_a_gradient_can_be_written() -> None:
    given = some_set()
    grown = replace(given, images=given.images.transpose(2, 3).requires_grad_())
    found, _ = decode(encode(grown, MANIFEST))
    assert torch.equal(found.images, given.images.transpose(2, 3))


def test_the_file_is_one_that_others_read() -> None:
    """safetensors itself finds the tensors."""
    tensors = load(encode(some_set(learned_lr=0.5), MANIFEST))
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "images": (6, 1, 4, 5),
        "labels": (6,),
        "learned_lr": (),
    }


CODE = """
import sys
sys.path[:0] = sys.argv[1:]
from test_synthetic import MANIFEST, encode, some_set
sys.stdout.buffer.write(encode(some_set(soft=True, learned_lr=0.5), MANIFEST))
"""


def test_every_process_writes_the_same_bytes() -> None:
    """The library writes its metadata in an order that changes with the process; ours is sorted."""
    here = encode(some_set(soft=True, learned_lr=0.5), MANIFEST)
    there = subprocess.run(
        [sys.executable, "-c", CODE, os.path.dirname(__file__), os.getcwd()],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        check=True,
    )
    assert hashlib.sha256(there.stdout).hexdigest() == sha256(here)


def test_every_call_writes_the_same_bytes() -> None:
    """The library's own order of seven metadata keys would stay the same over 20 calls with probability (1 / 5,040)^19."""
    files = {encode(some_set(soft=True, learned_lr=0.5), MANIFEST) for _ in range(20)}
    assert len(files) == 1


def test_tensors_begin_at_a_multiple_of_eight_bytes() -> None:
    """As the format asks of its header."""
    assert int.from_bytes(encode(some_set(), MANIFEST)[:8], "little") % 8 == 0


def written(**changes: object) -> bytes:
    """The file of a set with some of its metadata replaced (None: left out), or its tensors."""
    tensors = {"images": some_set().images, "labels": some_set().labels}
    text = {
        "format": FORMAT,
        "ipc": "2",
        "mean": "[0.5]",
        "std": "[0.5]",
        "class_names": '["a", "b", "c"]',
        "config": "{}",
        "code_sha256": "c",
    }
    for name, value in changes.items():
        if isinstance(value, torch.Tensor):
            tensors[name] = value
        elif value is None:
            text.pop(name, None)
            tensors.pop(name, None)
        else:
            text[name] = str(value)
    return save(tensors, text)


def test_a_file_written_by_hand_is_read() -> None:
    found, manifest = decode(written())
    assert (found.ipc, manifest.class_names) == (2, ("a", "b", "c"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a set at all",
        encode(some_set(), MANIFEST)[:-1],
        save({"weight": torch.zeros(3)}),
        save({"weight": torch.zeros(3)}, {"format": "pt"}),
        written(ipc="two"),
        written(images=None),
        written(labels=None),
        written(class_names=None),
        written(mean=None),
        written(config="{"),
    ],
    ids=["empty", "text", "truncated", "other", "pytorch", "ipc", "no images", "no labels", "no classes", "no mean", "config"],
)
def test_a_file_that_is_no_set_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not a synthetic set \(.*\); give an images.safetensors that raydistill wrote$"):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        written(ipc=3),
        written(class_names=json.dumps(["a", "b"])),
        written(labels=torch.zeros(5, dtype=torch.int64)),
        written(labels=torch.zeros(6, 4)),
        written(images=torch.zeros(6, 20)),
    ],
    ids=["ipc", "classes", "hard labels", "soft labels", "images"],
)
def test_a_set_whose_parts_do_not_fit_together_is_refused(data: bytes) -> None:
    with pytest.raises(
        ValueError, match=r"^images \(.*\) and labels \(.*\) for \d classes, IPC \d; expected .*: make the file again"
    ):
        decode(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (written(format="raydistill-set-99"), r"format 'raydistill-set-99', expected 'raydistill-set-1' with one learned"),
        (written(learned_lr=torch.zeros(2)), r"expected 'raydistill-set-1' with one learned learning rate or none"),
        (written(learned_lr=torch.tensor(-1.0)), r"the learned learning rate is not a finite number"),
        (written(images=torch.full((6, 1, 8, 8), torch.nan)), r"an image, a label or the learned learning rate is not a finite"),
        (
            written(images=torch.zeros(6, 1, 8, 8, dtype=torch.int32)),
            r"images of torch.int32 and labels of torch.int64",
        ),
        (written(labels=torch.tensor([0, 0, 1, 1, 2, 9])), r"its labels are not 2 of each class in the order of the classes"),
        (written(mean="[0.5, 0.5]"), r"mean \(0.5, 0.5\) and std \(0.5,\) for 1 channels; expected a finite number for each"),
        (written(std="[NaN]"), r"std \(nan,\) for 1 channels"),
        (written(config="[]"), r"the set does not say by which method it was made"),
        (written(config='{"method": 3}'), r"the set does not say by which method it was made"),
        (written(config="[" * 5000), r"too deep"),
    ],
)
def test_a_set_with_hostile_values_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode(data)


def test_a_whitened_set_names_its_matrices_and_does_not_hold_them() -> None:
    data = encode(some_set(), replace(MANIFEST, preprocess=Whiten(key="abc")))
    assert decode(data)[1].preprocess == Whiten(key="abc")
    assert len(data) < len(encode(some_set(), MANIFEST))


def test_the_hash_is_that_of_the_bytes() -> None:
    """By `printf abc | sha256sum`."""
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def packed_set(soft: bool = False) -> SyntheticSet:
    """Three classes of two 1 x 4 x 6 images with four tiles each."""
    labels = torch.randn(24, 3, generator=torch.Generator().manual_seed(1)) if soft else hard_labels(3, 2)
    images = torch.randn(6, 1, 4, 6, generator=torch.Generator().manual_seed(0))
    return SyntheticSet(images=images, labels=labels, ipc=2, factor=2)


def of_factor(factor: int) -> Manifest:
    return replace(MANIFEST, config={**MANIFEST.config, "method": {"name": "random", "factor": factor}})


def test_tiles_cost_no_bytes_with_hard_labels_and_a_row_each_with_soft_ones() -> None:
    """6 * 24 pixels of 4 bytes are 576; one byte for each stored image, or 3 logits of 4 bytes for each of 24 tiles."""
    assert packed_set().size_bytes == replace(packed_set(), factor=1).size_bytes == 576 + 6
    assert packed_set(soft=True).size_bytes == 576 + 24 * 3 * 4


def test_a_packed_set_is_decoded_to_one_image_and_one_label_for_each_tile() -> None:
    seen = packed_set().decoded()
    assert seen.images.shape == (24, 1, 4, 6)
    assert seen.labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert (seen.ipc, seen.factor) == (8, 1)
    assert torch.equal(packed_set(soft=True).decoded().labels, packed_set(soft=True).labels)


def test_a_set_without_tiles_is_its_own_decoded_set() -> None:
    given = some_set()
    assert given.decoded() is given


@pytest.mark.parametrize("soft", [False, True])
def test_the_factor_is_in_the_file_where_it_is_above_1(soft: bool) -> None:
    found, _ = decode(encode(packed_set(soft), of_factor(2)))
    assert found.factor == 2
    assert torch.equal(found.labels, packed_set(soft).labels)
    assert b'"factor"' not in encode(some_set(), MANIFEST)


@pytest.mark.parametrize(("factor", "configured"), [(2, 3), (2, 1), (1, 2)])
def test_a_factor_other_than_that_of_the_config_is_refused(factor: int, configured: int) -> None:
    data = encode(replace(packed_set(), factor=factor), of_factor(configured))
    with pytest.raises(ValueError, match=f"the set has factor {factor}, but its config has factor {configured}; they must be"):
        decode(data)


def test_a_row_of_soft_labels_for_each_stored_image_is_too_few_for_tiles() -> None:
    short = replace(packed_set(), labels=torch.randn(6, 3))
    with pytest.raises(ValueError, match=r"\(4 soft labels for each image, by factor 2\): make the file again"):
        decode(encode(short, of_factor(2)))


def test_a_packed_set_says_what_it_holds() -> None:
    assert "images (6, 1, 4, 6) of 2 x 2 smaller ones, hard labels" in repr(packed_set())
    assert tiles_in_words(packed_set()) == (
        "the set stores 6 images (2 per class), each with 2 x 2 smaller ones, which are enlarged: "
        "24 images to train on (8 per class)"
    )
