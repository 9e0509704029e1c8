"""A saved set as PyTorch takes it. Data set: digits, 10 real images of each class."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch
from documents import fenced, text_of
from hand_made import SMALL, baseline
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

import raydistill
from raydistill.catalogue import load_space
from raydistill.core.recipes import RECIPES, Schedule
from raydistill.core.synthetic import decode, encode
from raydistill.core.train import train
from raydistill.data.preprocess import Whiten
from raydistill.errors import InputError
from raydistill.sets.distilling import only_trial
from raydistill.storage.record import read_record
from raydistill.storage.store import Store
from raydistill.trial import run as trial
from raydistill.trial.run import run_trial

RANDOM = ["ipc=10", "method={name: random}", "evaluation.recipe=plain", "evaluation.networks=4"]


def change(folder: Path, **changes: object) -> None:
    """Save the set again with some of it replaced."""
    synthetic, manifest = decode((folder / "images.safetensors").read_bytes())
    manifest = dataclasses.replace(manifest, preprocess=changes.pop("preprocess", manifest.preprocess))
    (folder / "images.safetensors").write_bytes(encode(dataclasses.replace(synthetic, **changes), manifest))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    raydistill.distill(SMALL, overrides=RANDOM, out=tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with one finished trial, whose set is the winner."""
    folder = tmp_path_factory.mktemp("store") / "studies" / "digits"
    store = Store(str(folder))
    store.write("baseline/baseline.json", baseline().model_dump_json())
    store.write("search_space.yaml", "{}")
    config = only_trial(load_space(SMALL, RANDOM, None, for_search=False), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "is_hopeless", lambda *_: False)
        run_trial(config, store, lambda _: None)
    store.write("winner/images.safetensors", store.read(f"trials/{config.trial_id}/images.safetensors"))
    return folder


def test_the_lines_of_the_guide_train_a_network_to_the_accuracy_in_the_record(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean of two networks trained so, and of the four of the record, whose standard deviation is about one point."""
    lines = next(code for code in fenced(text_of("docs/sets.md"), "python") if "as_torch_dataset" in code)
    monkeypatch.chdir(study.parent.parent)
    read = []
    for seed in (0, 1):
        seeded = re.sub(r"(new_network|batches)\(\)", rf"\1({seed})", lines)
        names: dict[str, object] = {}
        exec(compile(seeded, "docs/sets.md", "exec"), names)
        read.append(names["accuracy"])
    (record,) = (read_record(Store(str(study)), path.name) for path in (study / "trials").iterdir())
    assert record is not None
    assert record.final is not None
    assert raydistill.load_set(study / "winner").recorded_accuracy_fraction == record.final.accuracy_fraction > 0.8
    assert sum(read) / 2 == pytest.approx(record.final.accuracy_fraction, abs=0.03)


def test_images_and_labels_are_those_of_the_set(saved: Path) -> None:
    found = raydistill.load_set(saved / "images.safetensors")
    synthetic, manifest = decode((saved / "images.safetensors").read_bytes())
    assert torch.equal(found.images, synthetic.images)
    assert (found.labels_are, found.labels.tolist()) == ("class indices", torch.arange(10).repeat_interleave(10).tolist())
    assert (found.mean, found.std) == (manifest.preprocess.mean, manifest.preprocess.std)
    assert (found.ipc, found.class_names, found.learned_training_lr) == (10, tuple("0123456789"), None)
    assert found.recorded_accuracy_fraction is None


def test_soft_labels_are_logits_and_their_targets_probabilities(saved: Path) -> None:
    change(saved, labels=torch.randn(100, 10), learned_lr=0.125)
    found = raydistill.load_set(saved)
    assert found.labels_are == "logits"
    torch.testing.assert_close(found.targets.sum(dim=1), torch.ones(100))
    assert (found.learned_training_lr, found.recipe.lr) == (0.125, 0.125)


def test_the_data_set_is_one_that_torch_loads(saved: Path) -> None:
    found = raydistill.load_set(saved)
    dataset = found.as_torch_dataset()
    assert isinstance(dataset, Dataset)
    images, targets = next(iter(DataLoader(dataset, batch_size=100)))
    assert torch.equal(images, found.images)
    assert torch.equal(targets, found.labels)


def test_the_batches_are_those_of_the_recipe(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps of 64 of 100 images, each a pass of its own without the incomplete last batch: no image twice in one."""
    monkeypatch.setitem(RECIPES, "plain", dataclasses.replace(RECIPES["plain"], steps=3))
    change(saved, images=torch.arange(100.0).view(100, 1, 1, 1).expand(100, 1, 8, 8).clone())
    batches = list(raydistill.load_set(saved).batches())
    assert [tuple(images.shape) for images, _ in batches] == [(64, 1, 8, 8)] * 3
    for images, targets in batches:
        drawn = images[:, 0, 0, 0].long()
        assert len(set(drawn.tolist())) == 64
        assert torch.equal(targets, drawn // 10)


@pytest.mark.parametrize("schedule", ["cosine", "drop", "triangle"])
def test_the_loop_trains_as_the_evaluation_does(saved: Path, monkeypatch: pytest.MonkeyPatch, schedule: Schedule) -> None:
    """From the same network, with the same batches: the parameters agree up to rounding. A drop forgets the momentum."""
    recipe = dataclasses.replace(RECIPES["plain"], steps=20, label_smoothing=0.1, schedule=schedule)
    monkeypatch.setitem(RECIPES, "plain", recipe)
    found = raydistill.load_set(saved)
    ours, theirs = found.new_network(), found.new_network()
    optimiser = found.new_optimiser(ours)
    for images, targets in found.batches(seed=5):
        optimiser.zero_grad()
        cross_entropy(ours(images), targets).backward()
        optimiser.step()
    generator = torch.Generator().manual_seed(5)
    train(theirs, found.images, found.labels, found.recipe, generator, mirror_keeps_class=False)
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own, other, atol=1e-4, rtol=1e-3)


def test_the_batches_are_augmented_where_the_recipe_says_so(saved: Path) -> None:
    found = raydistill.load_set(saved)
    augmented = dataclasses.replace(
        found,
        config=found.config.model_copy(update={"evaluation": found.config.evaluation.model_copy(update={"recipe": "long"})}),
    )
    for one, is_kept in ((found, True), (augmented, False)):
        images, _ = next(one.batches())
        known = {tuple(image.flatten().tolist()) for image in found.images}
        assert all(tuple(image.flatten().tolist()) in known for image in images) is is_kept


@pytest.mark.parametrize("is_soft", [False, True])
def test_the_targets_are_smoothed_where_the_recipe_says_so(saved: Path, monkeypatch: pytest.MonkeyPatch, is_soft: bool) -> None:
    """Their loss is that of `cross_entropy` with the recipe's smoothing on the targets as they are."""
    if is_soft:
        change(saved, labels=torch.randn(100, 10))
    found = raydistill.load_set(saved)
    _, plain = next(found.batches())
    monkeypatch.setitem(RECIPES, "plain", dataclasses.replace(RECIPES["plain"], label_smoothing=0.1))
    _, smoothed = next(found.batches())
    logits = torch.randn(64, 10)
    torch.testing.assert_close(cross_entropy(logits, smoothed), cross_entropy(logits, plain, label_smoothing=0.1))


def test_the_optimiser_follows_the_schedule_of_the_recipe(saved: Path) -> None:
    """Cosine over 500 steps: the full rate at first, next to nothing in the last, and no more after it."""
    found = raydistill.load_set(saved)
    weight = torch.nn.Linear(1, 1)
    optimiser = found.new_optimiser(weight)
    rates = []
    for _ in range(502):
        optimiser.step()
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates[:500] == [found.recipe.rate(step) for step in range(500)]
    assert rates[500:] == rates[499:500] * 2


def test_networks_of_one_seed_are_alike_and_of_another_not(saved: Path) -> None:
    found = raydistill.load_set(saved)
    first, again, other = (found.new_network(seed)(found.images) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_own_pixels_are_brought_to_the_values_of_the_set(saved: Path) -> None:
    """Real digits: the set's own pixels lie in 0 to 1, and go back to its images."""
    found = raydistill.load_set(saved)
    assert 0 <= float(found.pixels().min()) + 1e-6 < float(found.pixels().max()) < 1 + 1e-6
    torch.testing.assert_close(found.normalise(found.pixels()), found.images)


def test_a_whitened_set_has_no_mean_and_says_so(saved: Path) -> None:
    change(saved, preprocess=Whiten(key="abc"))
    found = raydistill.load_set(saved)
    assert (found.mean, found.std) == (None, None)
    assert ", whitened\n" in repr(found)


def test_a_set_is_printed_in_three_lines(study: Path, saved: Path) -> None:
    change(saved, labels=torch.randn(100, 10), learned_lr=0.125)
    assert repr(raydistill.load_set(saved)) == (
        "LoadedSet(digits, random: 100 images, 10 per class, (1, 8, 8), standardised\n"
        "  labels: logits, learned training lr 0.125\n"
        "  recipe: plain; no record)"
    )
    assert re.search(
        r"recipe: plain; recorded accuracy \d\d\.\d\d % on select images\)$", repr(raydistill.load_set(study / "winner"))
    )


def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no set at .*images.safetensors; give an images.safetensors, or the folder"):
        raydistill.load_set(tmp_path)
