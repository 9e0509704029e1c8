"""What every method promises, kept on a device that is not the CPU; these tests run on a new method unasked."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from pretend_device import NAME, to_host
from short_runs import CASES, NAMES, DyingCheckpoint, Killed, distil, has_steps, part_on
from three_classes import small_part

from raydistill.core.contract import TrainPart
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import SyntheticSet

WITH_STEPS = [i for i, (name, fields) in enumerate(CASES) if has_steps(name, fields)]
EVERY_METHOD = pytest.mark.parametrize("case", range(len(CASES)), ids=NAMES)


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that trains a network for its features takes three steps, not a thousand."""
    monkeypatch.setitem(RECIPES, "default", replace(RECIPES["default"], steps=3))


def assert_equal_sets(one: SyntheticSet, other: SyntheticSet) -> None:
    """Up to the rounding of some steps: pooling and chunks of real images differ between the CPU and other devices."""
    torch.testing.assert_close(to_host(one.images), to_host(other.images), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(to_host(one.labels), to_host(other.labels), rtol=1e-3, atol=1e-3)
    assert one.learned_lr == (other.learned_lr and pytest.approx(other.learned_lr, rel=1e-3))


@functools.cache
def made(index: int) -> tuple[TrainPart, SyntheticSet]:
    """The images that a case is given on the device, and the set that it makes of them."""
    part = part_on(torch.device(NAME, 0))
    return part, distil(*CASES[index], part.images.device, part=part)


@EVERY_METHOD
def test_the_set_is_that_of_the_cpu(case: int, device: torch.device) -> None:
    assert_equal_sets(made(case)[1], distil(*CASES[case], torch.device("cpu")))


@EVERY_METHOD
def test_the_set_lies_on_the_device(case: int, device: torch.device) -> None:
    _, synthetic = made(case)
    assert (synthetic.images.device, synthetic.labels.device) == (device, device)


@EVERY_METHOD
def test_training_data_is_unchanged(case: int, device: torch.device) -> None:
    part, _ = made(case)
    assert torch.equal(to_host(part.images), small_part().images)
    assert torch.equal(part.labels, small_part().labels)


@pytest.mark.parametrize("case", WITH_STEPS, ids=[NAMES[i] for i in WITH_STEPS])
def test_a_kill_and_a_resume_give_the_same_set(case: int, device: torch.device) -> None:
    checkpoint = DyingCheckpoint(die_after=1)
    with pytest.raises(Killed):
        distil(*CASES[case], device, checkpoint=checkpoint)
    assert_equal_sets(made(case)[1], distil(*CASES[case], device, seed=99, checkpoint=checkpoint))
