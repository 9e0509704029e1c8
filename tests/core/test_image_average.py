"""The moving average of images: worked by hand, from a checkpoint, and in the methods that take it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from three_classes import NETWORK, small_part
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


class Saved:
    """A checkpoint with a state."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._state = state

    def load(self) -> Mapping[str, Tensor]:
        return self._state

    def is_due(self) -> bool:
        return False

    def save(self, state: Mapping[str, Tensor]) -> None:
        raise AssertionError


def test_first_updates_keep_less_than_the_decay() -> None:
    # d is 2/11 after the first update and 3/12 after the second, both below 0.5:
    # 2/11 * 0 + 9/11 * 11 = 9, then 3/12 * 9 + 9/12 * 5 = 6.
    images = torch.zeros(1, 1, 1, 1)
    average = ImageAverage(images, 0.5, NoCheckpoint())
    images.fill_(11.0)
    average.update(1)
    assert average.images.item() == pytest.approx(9.0)
    images.fill_(5.0)
    average.update(2)
    assert average.images.item() == pytest.approx(6.0)
    assert images.item() == 5.0


def test_later_updates_keep_the_decay() -> None:
    # After update 98 d would be 99/108, above 0.75: 0.75 * 4 + 0.25 * 8 = 5.
    images = torch.full((2, 1, 1, 1), 4.0)
    average = ImageAverage(images, 0.75, NoCheckpoint())
    images.fill_(8.0)
    average.update(98)
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
    average.update(50)
    images.fill_(9.0)
    again = ImageAverage(images, 0.5, Saved({name: value.clone() for name, value in average.state().items()}))
    assert again.images.item() == average.images.item() == pytest.approx(1.0)


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
    expected = plain[0]
    for step, images in enumerate(plain):
        decay = min(0.3, (1 + step) / (10 + step)) if step else 1.0
        expected = decay * expected + (1 - decay) * images
        torch.testing.assert_close(averaged[step], expected)
    assert len(plain) == 5
    assert not torch.equal(averaged[-1], plain[-1])
