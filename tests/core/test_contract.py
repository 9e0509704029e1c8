"""The interface of methods: the check for finite losses, and the checkpoint that saves nothing."""

from __future__ import annotations

import pickle

import pytest
import torch

from raydistill.core.contract import LossWatch, TrainPart
from raydistill.errors import DivergedError


def losses(*values: float) -> list[torch.Tensor]:
    return [torch.tensor(value) for value in values]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_is_named_with_its_step(value: float) -> None:
    watch = LossWatch(every=2)
    watch.add(1, torch.tensor(1.0))
    with pytest.raises(DivergedError, match=f"the loss is {value} at step 2; lower the learning rates") as caught:
        watch.add(2, torch.tensor(value))
    assert caught.value.step == 2


def test_the_first_of_several_is_named() -> None:
    watch = LossWatch(every=100)
    for step, loss in enumerate(losses(1.0, float("nan"), 2.0, float("inf")), start=11):
        watch.add(step, loss)
    with pytest.raises(DivergedError, match="the loss is nan at step 12"):
        watch.check()


def test_the_step_is_right_after_earlier_checks() -> None:
    """Checks after steps 3 and 6; the bad loss of step 8 is found at step 9."""
    watch = LossWatch(every=3)
    for step in range(1, 9):
        watch.add(step, torch.tensor(float("nan") if step == 8 else 1.0))
    with pytest.raises(DivergedError, match="at step 8"):
        watch.add(9, torch.tensor(1.0))


def test_the_step_is_right_after_a_resume() -> None:
    watch = LossWatch(every=100)
    for step, loss in enumerate(losses(1.0, float("nan")), start=5001):
        watch.add(step, loss)
    with pytest.raises(DivergedError, match="at step 5002"):
        watch.check()


def test_losses_are_looked_at_once_in_a_while() -> None:
    """Reading a loss waits for the GPU, so losses are checked at every 25th step."""
    watch = LossWatch()
    for step in range(1, 25):
        watch.add(step, torch.tensor(float("nan")))
    with pytest.raises(DivergedError, match="at step 1;"):
        watch.add(25, torch.tensor(1.0))


def test_finite_losses_pass() -> None:
    watch = LossWatch(every=2)
    watch.check()
    for step in range(1, 8):
        watch.add(step, torch.tensor(1e30))
    watch.check()


def test_a_watched_loss_keeps_no_graph() -> None:
    watch = LossWatch()
    watch.add(1, torch.ones(1, requires_grad=True).sum())
    assert not watch._losses[0].requires_grad


def test_a_train_part_knows_the_shape_of_an_image() -> None:
    part = TrainPart(images=torch.zeros(5, 3, 4, 6), labels=torch.zeros(5, dtype=torch.int64), classes=1, mirror_keeps_class=True)
    assert part.shape == (3, 4, 6)


def test_divergence_travels_between_processes() -> None:
    sent = pickle.loads(pickle.dumps(DivergedError(3, -0.5, what="the learned rate")))
    assert str(sent) == "the learned rate is -0.5 at step 3; lower the learning rates"
    sent = pickle.loads(pickle.dumps(DivergedError(3, 9.0, "a weight", "name another recipe")))
    assert str(sent) == "a weight is 9 at step 3; name another recipe"
