"""DC-Bench's augmentations: bytes, one draw per batch, an explicit generator."""

from __future__ import annotations

import pytest
import torch
from torchvision import transforms

from raydistill.core.batch_augment import MAKERS, Cutout, _crop_and_flip, batch_augmentation
from raydistill.data.preprocess import Standardise

SPACE = {channels: Standardise(mean=(0.5,) * channels, std=(0.25,) * channels) for channels in (1, 3)}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(channels: int) -> torch.Tensor:
    """Four times the same image."""
    one = torch.randn(1, channels, 32, 32, generator=seeded(1))
    return one.expand(4, channels, 32, 32).clone()


@pytest.mark.parametrize("name", list(MAKERS))
@pytest.mark.parametrize("channels", [1, 3])
def test_the_whole_batch_takes_one_draw(name: str, channels: int) -> None:
    moved = batch_augmentation(name, SPACE[channels], (32, 32), mirror_keeps_class=True)(images(channels), generator=seeded(3))
    assert moved.shape == (4, channels, 32, 32)
    # A byte is 4 / 255 here. A kernel may do the last images in another way than the first, and so round one to the next byte.
    torch.testing.assert_close(moved, moved[:1].expand_as(moved), atol=1.01 * 4 / 255, rtol=0)


@pytest.mark.parametrize("name", list(MAKERS))
def test_the_generator_alone_decides_and_the_global_one_is_left_as_it_was(name: str) -> None:
    augment = batch_augmentation(name, SPACE[3], (32, 32), mirror_keeps_class=True)
    state = torch.get_rng_state()
    first = [augment(images(3), generator=seeded(seed)) for seed in range(6)]
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    assert all(torch.equal(a, augment(images(3), generator=seeded(seed))) for seed, a in enumerate(first))
    assert any(not torch.equal(first[0], other) for other in first[1:])


@pytest.mark.parametrize("mirror_keeps_class", [True, False])
def test_a_crop_is_mirrored_only_where_that_keeps_the_class(mirror_keeps_class: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ramp that is dark on the left, in crops of the whole image: without a mirror it never becomes dark on the right."""
    monkeypatch.setitem(MAKERS, "crop", lambda size, flips: transforms.Compose(_crop_and_flip(size, flips=flips)))
    ramp = torch.linspace(-2, 2, 32).expand(2, 3, 32, 32).clone()
    augment = batch_augmentation("crop", SPACE[3], (32, 32), mirror_keeps_class=mirror_keeps_class)
    moved = [augment(ramp, generator=seeded(seed)) for seed in range(20)]
    assert any((one[..., 8] > one[..., 24]).all() for one in moved) == mirror_keeps_class


def test_pixels_are_bytes_between_black_and_white() -> None:
    """In this space black is -2 and white 2, and a step of a byte is 4 / 255."""
    moved = batch_augmentation("cifar_aug", SPACE[1], (32, 32), mirror_keeps_class=True)(10 * images(1), generator=seeded(0))
    assert moved.min() >= -2
    assert moved.max() <= 2
    steps = (moved + 2) * 255 / 4
    assert torch.allclose(steps, steps.round(), atol=1e-3)


def test_cutout_takes_a_square_of_16_pixels_clipped_at_the_border() -> None:
    cut = Cutout()(torch.full((2, 1, 64, 64), 255, dtype=torch.uint8))
    black = (cut[0, 0] == 0).nonzero()
    rows, columns = black.amax(dim=0) - black.amin(dim=0) + 1
    assert len(black) == int(rows * columns)
    assert 8 <= int(rows) <= 16
    assert 8 <= int(columns) <= 16
