"""Images stored as bytes: they give the values of the float tensor, and stay bytes when images are only selected or moved."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from raydistill.data.byte_images import ByteImages, byte_images
from raydistill.data.preprocess import Standardise

PREPROCESS = Standardise(mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


@pytest.fixture
def stored() -> Tensor:
    return torch.randint(256, (50, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture
def images(stored: Tensor) -> ByteImages:
    return byte_images(stored, 255, PREPROCESS)


@pytest.fixture
def floats(stored: Tensor) -> Tensor:
    return PREPROCESS.apply(stored.to(torch.float32) / 255)


def test_a_byte_reads_as_its_standardised_value() -> None:
    """(51 / 255 - 0.1) / 0.5 = 0.2."""
    image = byte_images(torch.full((1, 1, 1, 1), 51, dtype=torch.uint8), 255, Standardise(mean=(0.1,), std=(0.5,)))
    assert float(image[0]) == pytest.approx(0.2)


def test_it_looks_like_the_float_tensor(images: ByteImages, floats: Tensor) -> None:
    assert (images.shape, images.dtype, images.device, len(images)) == (floats.shape, torch.float32, floats.device, 50)
    assert repr(images) == "ByteImages((50, 3, 8, 8), device=cpu)"


@pytest.mark.parametrize(
    "pick",
    [
        lambda x: x[torch.tensor([3, 1, 4])],
        lambda x: x[torch.tensor([[1, 2], [3, 4]])],
        lambda x: x[torch.arange(50) % 2 == 0],
        lambda x: x[5],
        lambda x: x[[1, 2]],
    ],
    ids=["indices", "table of indices", "mask", "one", "list"],
)
def test_a_picked_batch_is_floats_with_the_very_same_bits(
    pick: Callable[[Tensor], Tensor], images: ByteImages, floats: Tensor
) -> None:
    assert type(pick(images)) is Tensor
    assert torch.equal(pick(images), pick(floats))


@pytest.mark.parametrize(
    "pick",
    [lambda x: x[2:9], lambda x: x.split(20)[2], lambda x: x.index_select(0, torch.tensor([7])), lambda x: x.detach()],
    ids=["slice", "split", "index_select", "detach"],
)
def test_parts_of_it_are_still_bytes(pick: Callable[[Tensor], Tensor], images: ByteImages, floats: Tensor) -> None:
    assert type(pick(images)) is ByteImages
    assert torch.equal(pick(images), pick(floats))


def test_a_batch_is_made_of_its_own_bytes_alone(monkeypatch: pytest.MonkeyPatch, images: ByteImages) -> None:
    made: list[int] = []
    original = ByteImages._as_floats

    def count(self: ByteImages, stored: Tensor) -> Tensor:
        made.append(len(stored))
        return original(self, stored)

    monkeypatch.setattr(ByteImages, "_as_floats", count)
    _ = images[torch.tensor([3, 1, 4])]
    _ = [chunk.mean() for chunk in images.split(20)]
    assert made == [3, 20, 20, 10]


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x.mean(),
        lambda x: x.flatten(1),
        lambda x: x[torch.tensor([1, 2]), 0],
        lambda x: x[1:3, 0],
        lambda x: x.split(2, dim=1)[0],
        lambda x: x.double(),
        lambda x: torch.cat(x.split(20)),
        lambda x: torch.func.vmap(torch.sum)(x),
    ],
    ids=["mean", "flatten", "pixels", "channel", "channels", "float64", "cat", "vmap"],
)
def test_anything_else_is_done_with_floats(compute: Callable[[Tensor], Tensor], images: ByteImages, floats: Tensor) -> None:
    assert type(compute(images)) is Tensor
    assert torch.equal(compute(images), compute(floats))


def test_it_is_not_changed_in_place(images: ByteImages, floats: Tensor) -> None:
    with pytest.raises(TypeError, match="would change real images in place, which are stored as bytes; change a clone instead"):
        images.add_(1)
    assert torch.equal(images.clone().add_(1), floats + 1)
    assert torch.equal(torch.zeros(50, 3, 8, 8).copy_(images), floats)


def test_gradients_of_a_network_are_those_on_floats(images: ByteImages, floats: Tensor) -> None:
    layer = torch.nn.Conv2d(3, 2, 3)
    gradients = [torch.autograd.grad(layer(x[:20]).square().mean(), layer.weight)[0] for x in (images, floats)]
    assert torch.equal(*gradients)


def test_it_moves_to_a_device_as_bytes(images: ByteImages) -> None:
    moved = images.to(torch.device("meta"))
    assert isinstance(moved, ByteImages)
    assert (moved.stored.device.type, moved.stored.dtype) == ("meta", torch.uint8)


def test_it_travels_to_another_process_as_bytes(images: ByteImages, floats: Tensor) -> None:
    build, parts = images.__reduce_ex__(4)
    again = build(*parts)
    assert type(again) is ByteImages
    assert torch.equal(again, floats)
