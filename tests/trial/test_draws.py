"""New draws of a control: each its own set and network, made once, and the interval of their mean gap."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from resealed import content

from raydistill.core.evaluate import network_seeds
from raydistill.core.lossless import gap_interval
from raydistill.core.recipes import RECIPES
from raydistill.data.splits import load_splits
from raydistill.errors import StoreError
from raydistill.methods.configs.coreset import RandomConfig
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import DatasetConfig, EvaluationConfig, GoalConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import read_baseline
from raydistill.storage.record import pack_bits, unpack_bits
from raydistill.storage.store import Store
from raydistill.storage.versioned import write_stored
from raydistill.trial import baseline, draws
from raydistill.trial.draws import DrawReading, draw_file, gap_of_draws, make_draw, missing_draws


def shorten(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(RECIPES, "default", replace(RECIPES["plain"], name="default", steps=20))


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)


def control(**fields: Any) -> TrialConfig[RandomConfig]:
    given: dict[str, Any] = {
        "seed": 5,
        "dataset": DatasetConfig(name="digits"),
        "data_sha256": load_splits(DatasetConfig(name="digits")).sha256,
        "network": ConvNetConfig(name="convnet", depth=2, width=8),
        "method": RandomConfig(name="random"),
        "ipc": 3,
        "evaluation": EvaluationConfig(networks=2, baseline_networks=2, confirm_networks=3),
        "goal": GoalConfig(margin_fraction=0.1),
    }
    return TrialConfig[RandomConfig](**{**given, **fields})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a baseline of two networks, not to be written; `study` copies it."""
    folder = tmp_path_factory.mktemp("built")
    store = Store(str(folder))
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        for index in range(2):
            baseline.train_baseline_networks(control(), [index], store)
        baseline.finish_baseline(control(), store)
    return folder


@pytest.fixture
def study(built: Path, tmp_path: Path) -> Store:
    """With a baseline of two networks."""
    return Store(str(shutil.copytree(built, tmp_path / "study")))


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "study"))


def reading(study: Store, index: int) -> DrawReading:
    return DrawReading.model_validate(content(study, draw_file(control(), index)))


def test_a_draw_is_made_once(empty: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_draws(control(), empty) == [0, 1, 2]
    make_draw(control(), 1, empty)
    assert missing_draws(control(), empty) == [0, 2]
    before = empty.read(draw_file(control(), 1))
    monkeypatch.setattr(draws, "distil", lambda *_: pytest.fail("drawn again"))
    make_draw(control(), 1, empty)
    assert empty.read(draw_file(control(), 1)) == before


def test_every_draw_has_a_set_and_a_network_of_its_own(empty: Store) -> None:
    for index in range(3):
        make_draw(control(), index, empty)
    made = [reading(empty, index) for index in range(3)]
    for field in ("set_seed", "images_sha256", "network_seed"):
        assert len({getattr(draw, field) for draw in made}) == 3
    assert control().seed not in {draw.set_seed for draw in made}
    images = len(load_splits(DatasetConfig(name="digits")).confirm.labels)
    assert unpack_bits([draw.confirm_correct for draw in made], images).shape == (3, images)
    assert empty.read(f"controls/{control().trial_id}/config.json").decode() == control().canonical_json() + "\n"


def test_a_draw_depends_on_its_number_and_on_no_other_draw(empty: Store, tmp_path: Path) -> None:
    make_draw(control(), 2, empty)
    other = Store(str(tmp_path / "other"))
    for index in range(3):
        make_draw(control(), index, other)
    assert reading(other, 2) == reading(empty, 2)


def test_seeds_of_draws_are_not_those_of_the_confirmation(empty: Store) -> None:
    make_draw(control(), 0, empty)
    data = control().data_sha256
    assert reading(empty, 0).network_seed not in {*network_seeds("confirm", data, 10), *network_seeds("baseline", data, 10)}


def write_draws(study: Store, right: list[int]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """One draw per number, which gets the first so many confirm images right."""
    built = read_baseline(study)
    assert built is not None
    correct = np.array([np.arange(built.confirm_images) < count for count in right])
    for index, bits in enumerate(pack_bits(correct)):
        draw = DrawReading(set_seed=index, images_sha256="a", network_seed=index, confirm_correct=bits, code_sha256="c" * 64)
        write_stored(study, draw_file(control(), index), draw)
    return correct


def test_the_gap_of_draws_is_that_of_their_networks_to_the_baseline(study: Store) -> None:
    correct = write_draws(study, [150, 180, 210])
    built = read_baseline(study)
    assert built is not None
    full = built.confirm_correct
    found = gap_of_draws(control(), study, 0.9)
    assert found == gap_interval(full, correct, 0.9)
    assert found.gap == pytest.approx(full.mean() - 180 / built.confirm_images)
    assert (found.networks, found.images, found.confidence) == (3, built.confirm_images, 0.9)


def test_draws_that_differ_widen_the_interval(study: Store) -> None:
    write_draws(study, [180, 180, 180])
    alike = gap_of_draws(control(), study, 0.9)
    write_draws(study, [120, 180, 240])
    apart = gap_of_draws(control(), study, 0.9)
    assert apart.gap == pytest.approx(alike.gap)
    assert apart.upper - apart.lower > 1.5 * (alike.upper - alike.lower)


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (None, "is missing; run the same command again, which makes it"),
        (b"{", "delete it and run the search again, which makes the draw again"),
        (b'{"set_seed": 1}', "delete it and run the search again, which makes the draw again"),
    ],
    ids=["missing", "no json", "fields lack"],
)
def test_a_draw_that_is_missing_or_damaged_is_named_with_what_to_do(study: Store, content: bytes | None, remedy: str) -> None:
    write_draws(study, [150, 180, 210])
    name = draw_file(control(), 1)
    if content is None:
        study.delete(name)
    else:
        study.write(name, content)
    with pytest.raises(StoreError) as caught:
        gap_of_draws(control(), study, 0.9)
    assert study.path(name) in str(caught.value)
    assert remedy in str(caught.value)


def test_a_study_without_a_baseline_says_so(empty: Store) -> None:
    with pytest.raises(StoreError, match="has no baseline; run the search again to build it"):
        gap_of_draws(control(), empty, 0.9)
