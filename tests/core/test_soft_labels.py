"""Soft labels by experts whose logits are written by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from raydistill.core import soft_labels as module
from raydistill.core.contract import TrainPart
from raydistill.core.soft_labels import images_classified_right, soft_labels
from raydistill.spaces.network import MLPConfig

NETWORK = MLPConfig(name="mlp", width=1)


class Scripted:
    """Experts that are distinguished by the number in their only snapshot."""

    epochs = 7

    def __init__(self, count: int) -> None:
        self.count = count

    def snapshot(self, expert: int, epoch: int) -> torch.Tensor:
        assert epoch == self.epochs
        return torch.tensor([float(expert)])


def answer(monkeypatch: pytest.MonkeyPatch, logits: list[list[list[float]]]) -> Scripted:
    """Experts whose logits are given: per expert, per image (its pixel is its place), per class."""
    table = torch.tensor(logits)

    def logits_of(snapshot: torch.Tensor, network: Any, part: Any, images: torch.Tensor) -> torch.Tensor:
        return table[int(snapshot)][images.flatten().long()]

    monkeypatch.setattr(module, "logits_of", logits_of)
    return Scripted(len(logits))


def part(classes: list[int]) -> TrainPart:
    images = torch.arange(len(classes), dtype=torch.float32).view(-1, 1, 1, 1)
    return TrainPart(images=images, labels=torch.tensor(classes), classes=2, mirror_keeps_class=True)


def test_only_experts_that_are_right_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of class 0: the first two are right, their mean is (4, 1); the third predicts class 1 and is ignored."""
    experts = answer(monkeypatch, [[[3.0, 0.0]], [[5.0, 2.0]], [[0.0, 9.0]]])
    train = part([0])
    assert soft_labels(experts, NETWORK, train, train.images, train.labels).tolist() == [[4.0, 1.0]]


def test_where_none_is_right_the_mean_is_turned_to_the_right_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both say class 1, on average (1, 6); of class 0 the label is (6, 1)."""
    experts = answer(monkeypatch, [[[0.0, 4.0]], [[2.0, 8.0]]])
    train = part([0])
    assert soft_labels(experts, NETWORK, train, train.images, train.labels).tolist() == [[6.0, 1.0]]


RIGHT, WRONG = [2.0, 0.0], [0.0, 2.0]


def test_images_that_the_first_expert_gets_right_come_first_then_the_seconds_then_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Class 0 has images 0 to 3: the first expert knows 2, the second 1 too, nobody 0 and 3. Class 1 has 4 to 7, all known."""
    first = [WRONG, WRONG, RIGHT, WRONG, WRONG, WRONG, WRONG, WRONG]
    second = [WRONG, RIGHT, RIGHT, WRONG, WRONG, WRONG, WRONG, WRONG]
    experts = answer(monkeypatch, [first, second])
    train = part([0, 0, 0, 0, 1, 1, 1, 1])
    chosen = images_classified_right(experts, NETWORK, train, 3, torch.Generator().manual_seed(0)).flatten().tolist()
    assert chosen[:2] == [2.0, 1.0]
    assert chosen[2] in (0.0, 3.0)
    assert set(chosen[3:]) < {4.0, 5.0, 6.0, 7.0}
    assert len(set(chosen)) == 6


def test_another_seed_takes_other_images(monkeypatch: pytest.MonkeyPatch) -> None:
    experts = answer(monkeypatch, [[RIGHT] * 20 + [WRONG] * 20])
    train = part([0] * 20 + [1] * 20)
    first, other = (images_classified_right(experts, NETWORK, train, 3, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert not torch.equal(first, other)
