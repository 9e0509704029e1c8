"""Experts: GSAM by hand, the curriculum's shares, scores, snapshots that do not follow the network."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from raydistill.core.contract import TrainPart
from raydistill.core.expert_fields import Curriculum, ExpertSettings
from raydistill.core.experts import difficulty, easy_to_hard, el2n, gsam_direction, gsam_shift, images_seen, train_expert
from raydistill.data.splits import load_splits
from raydistill.errors import DivergedError
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import DatasetConfig

CPU = torch.device("cpu")
PUBLISHED = Curriculum(
    initial_fraction=0.75,
    all_from_epoch=20,
    drop_epochs=(40, 60),
    drop_fractions=(0.1, 0.2),
    score_networks=1,
    score_epochs=1,
)


def part() -> TrainPart:
    splits = load_splits(DatasetConfig(name="digits"))
    return TrainPart(images=splits.train.images, labels=splits.train.labels, classes=10, mirror_keeps_class=False)


def settings(**changes: Any) -> ExpertSettings:
    fields: dict[str, Any] = {
        "dataset": {"name": "digits"},
        "data_sha256": "d" * 64,
        "network": ConvNetConfig(name="convnet", depth=2, width=4),
        "operations": ("crop",),
        "epochs": 3,
        "lr": 0.05,
        "momentum": 0.0,
        "batch": 128,
        "rho": 0.01,
        "gap_weight": 0.3,
        "seed": 0,
        "curriculum": None,
    }
    return ExpertSettings(**{**fields, **changes})


def test_gsam_climbs_by_hand() -> None:
    """theta = (2, 1), g = (1, 2): |theta| g = (2, 2) of length sqrt(8); rho theta^2 g / sqrt(8) = 0.1 (4, 2) / 2.8284."""
    (shift,) = gsam_shift([torch.tensor([2.0, 1.0])], (torch.tensor([1.0, 2.0]),), 0.1)
    assert shift.tolist() == pytest.approx([0.141421, 0.070711], abs=1e-6)


def test_gsam_steps_by_hand() -> None:
    """g = (1, 2), g' = (2, 0): along g' lies (1, 0), across it (0, 2); g' - 0.3 (0, 2) = (2, -0.6)."""
    (step,) = gsam_direction((torch.tensor([1.0, 2.0]),), (torch.tensor([2.0, 0.0]),), 0.3)
    assert step.tolist() == pytest.approx([2.0, -0.6])


def test_gsam_takes_all_parameters_together() -> None:
    """The vector above cut in two: each half alone would have no part across."""
    cut = gsam_direction((torch.tensor([1.0]), torch.tensor([2.0])), (torch.tensor([2.0]), torch.tensor([0.0])), 0.3)
    assert torch.cat(cut).tolist() == pytest.approx([2.0, -0.6])


@pytest.mark.parametrize(
    ("epoch", "low", "high"),
    [(0, 0, 0.75), (10, 0, 0.875), (20, 0, 1), (40, 0, 1), (41, 0.1, 1), (60, 0.1, 1), (61, 0.2, 1), (99, 0.2, 1)],
)
def test_the_published_curriculum(epoch: int, low: float, high: float) -> None:
    """From 75 % all by epoch 20, linearly: half-way 87.5 %; after 40 without the easiest tenth, after 60 without two."""
    assert PUBLISHED.span(epoch) == pytest.approx((low, high))


def test_a_curriculum_that_starts_with_all() -> None:
    assert PUBLISHED.model_copy(update={"all_from_epoch": 0}).span(0) == (0.0, 1.0)


def test_a_class_must_be_large_enough_for_the_smallest_share() -> None:
    """A share of 0.25 of three images is none; four give one."""
    assert PUBLISHED.model_copy(update={"initial_fraction": 0.25}).smallest_class() == 4
    assert PUBLISHED.smallest_class() == 2


def test_el2n_by_hand() -> None:
    """Even logits leave (0.5, -0.5), sqrt(0.5); a sure and right answer leaves nothing, a sure and wrong one sqrt(2)."""
    logits = torch.tensor([[0.0, 0.0], [40.0, 0.0], [0.0, 40.0]])
    assert el2n(logits, torch.tensor([0, 0, 0])).tolist() == pytest.approx([math.sqrt(0.5), 0.0, math.sqrt(2)], abs=1e-6)


def test_each_class_goes_from_easy_to_hard() -> None:
    order = easy_to_hard(torch.tensor([0.3, 0.1, 0.2, 0.2]), torch.tensor([0, 0, 1, 1]), 2)
    assert [own.tolist() for own in order] == [[1, 0], [2, 3]]


def test_snapshots_are_kept_as_asked_and_do_not_follow_the_network() -> None:
    snapshots, accuracy = train_expert(part(), settings(), 0, {0, 2}, None, CPU)
    assert sorted(snapshots) == [0, 2, 3]
    assert not torch.equal(snapshots[0], snapshots[2])
    assert not torch.equal(snapshots[2], snapshots[3])
    assert 0.1 < accuracy <= 1


def test_the_same_expert_twice_is_the_same_and_another_differs() -> None:
    first, again, other = (train_expert(part(), settings(), index, (), None, CPU)[0][3] for index in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_is_kept_does_not_shape_the_path() -> None:
    wide, narrow = (train_expert(part(), settings(), 0, kept, None, CPU)[0] for kept in ({1, 2}, ()))
    assert torch.equal(wide[3], narrow[3])


@pytest.mark.parametrize("change", [{"rho": 0.0}, {"gap_weight": 0.0}, {"momentum": 0.5}, {"operations": ()}])
def test_a_setting_shapes_the_path_and_the_key(change: dict[str, Any]) -> None:
    first, other = (train_expert(part(), settings(**c), 0, (), None, CPU)[0][3] for c in ({}, change))
    assert not torch.equal(first, other)
    assert settings().key != settings(**change).key


def test_a_share_of_each_class_is_seen_from_its_easy_end() -> None:
    """Of 4 and 3 images 75 % are 3 and 2; after epoch 60 the easiest 20 %, rounded down to none, are gone."""
    order = [torch.tensor([3, 1, 0, 2]), torch.tensor([6, 5, 4])]
    assert images_seen(order, PUBLISHED, 0).tolist() == [3, 1, 0, 6, 5]
    assert images_seen(order, PUBLISHED, 61).tolist() == [3, 1, 0, 2, 6, 5, 4]


def test_a_curriculum_shapes_the_path() -> None:
    scores = torch.rand(797, generator=torch.Generator().manual_seed(0))
    filtered = train_expert(part(), settings(curriculum=PUBLISHED), 0, (), scores, CPU)[0][3]
    assert not torch.equal(filtered, train_expert(part(), settings(), 0, (), None, CPU)[0][3])


def test_difficulty_scores_every_image() -> None:
    scores = difficulty(part(), settings(curriculum=PUBLISHED), 0, CPU)
    assert scores.shape == (797,)
    assert 0 <= float(scores.min()) < float(scores.max()) <= math.sqrt(2) + 1e-6


def test_an_expert_that_diverges_says_when() -> None:
    with pytest.raises(DivergedError, match=r"the loss of expert 0 \(whose steps are epochs\) is (nan|inf) at step \d; lower"):
        train_expert(part(), settings(lr=1e30, rho=0.0), 0, (), None, CPU)
