"""The moving average of images: worked by hand, from a checkpoint, and in the methods that take it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from three_classes import NETWORK, Kept, small_part
from torch import Tensor

from raydistill.core.contract import NoCheckpoint
from raydistill.core.image_average import ImageAverage
from raydistill.core.synthetic import SyntheticSet
from raydistill.methods import METHODS

TAKES = {
    "dm": {"random_inits": 4},
    "datadam": {"random_inits": 2, "steps_per_init": 2, "model_steps": 1},
    "dc": {"random_inits": 2, "steps_per_init": 2, "model_steps": 1},
    "ncfm": {"random_inits": 4, "frequencies": 20, "pool": 0, "calibration_weight": 0.0},
}


def test_weights_fall_by_the_decay_and_the_start_has_none() -> None:
    # d = 1/2. After one update the images themselves; after two (1/2 * 12 + 3) / (3/2) = 6; after three
    # (1/4 * 12 + 1/2 * 3 + 6) / (7/4) = 6.
    images = torch.full((1, 1, 1, 1), 100.0)
    average = ImageAverage(images, 0.5, NoCheckpoint())
    for step, (learned, expected) in enumerate([(12.0, 12.0), (3.0, 6.0), (6.0, 6.0)], 1):
        images.fill_(learned)
        average.update(step)
        assert average.images.item() == pytest.approx(expected)
        assert images.item() == learned


def test_a_decay_of_almost_one_is_the_plain_mean() -> None:
    images = torch.zeros(2, 1, 1, 1)
    average = ImageAverage(images, 1 - 1e-9, NoCheckpoint())
    for step, learned in enumerate([3.0, 4.0, 8.0], 1):
        images.fill_(learned)
        average.update(step)
    assert average.images.flatten().tolist() == pytest.approx([5.0, 5.0])


def test_without_a_decay_it_is_the_images_themselves() -> None:
    images = torch.zeros(1, 1, 1, 1)
    average = ImageAverage(images, 0.0, NoCheckpoint())
    images.fill_(3.0)
    average.update(1)
    assert average.images.item() == 3.0
    assert average.state() == {}


def test_it_goes_on_from_a_checkpoint() -> None:
    images = torch.zeros(1, 1, 1, 1)
    average = ImageAverage(images, 0.5, NoCheckpoint())
    images.fill_(2.0)
    average.update(1)
    images.fill_(9.0)
    again = ImageAverage(images, 0.5, Kept({name: value.clone() for name, value in average.state().items()}))
    assert again.images.item() == average.images.item() == 2.0


def images_after_each_update(name: str, **fields: Any) -> list[Tensor]:
    """Those of the set that a method reports, from its start on."""
    kept: list[Tensor] = []

    def report(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        kept.append(synthetic.images.clone())

    METHODS[name].distill(
        small_part(),
        NETWORK,
        METHODS[name].config.model_validate({"name": name, "batch_real": 4, **TAKES[name], **fields}),
        2,
        generator=torch.Generator().manual_seed(7),
        device=torch.device("cpu"),
        report=report,
        checkpoint=NoCheckpoint(),
    )
    return kept


@pytest.mark.parametrize("name", TAKES)
def test_a_method_learns_the_same_images_and_scores_their_average(name: str) -> None:
    plain, averaged = images_after_each_update(name), images_after_each_update(name, ema_decay=0.3)
    for step in range(1, len(plain)):
        weights = [0.3 ** (step - update) for update in range(1, step + 1)]
        summed = sum((w * images for w, images in zip(weights, plain[1:], strict=False)), torch.zeros_like(plain[0]))
        torch.testing.assert_close(averaged[step], summed / sum(weights))
    torch.testing.assert_close(averaged[0], plain[0])
    assert len(plain) == 5
    assert not torch.equal(averaged[-1], plain[-1])
