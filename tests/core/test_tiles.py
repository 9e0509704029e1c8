"""Tiles of stored images: by hand, there and back, and through a gradient."""

from __future__ import annotations

import pytest
import torch

from raydistill.core.tiles import enlarge_tiles, pack_tiles


def test_each_quarter_of_a_4_by_4_image_is_enlarged_by_hand() -> None:
    """The upper left tile is (0, 4; 8, 12). The centres of the four pixels of an enlarged row lie at 0, 1/4, 3/4 and 1 between
    those of the two small ones (clipped at the ends): 0, 1, 3, 4 in the first row, and 2 more for each quarter further down."""
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, :2, :2] = torch.tensor([[0.0, 4.0], [8.0, 12.0]])
    image[0, 0, 2:, 2:] = 7.0
    first, second, third, fourth = enlarge_tiles(image, 2)
    assert first[0].tolist() == [[0, 1, 3, 4], [2, 3, 5, 6], [6, 7, 9, 10], [8, 9, 11, 12]]
    assert bool((second == 0).all())
    assert bool((third == 0).all())
    assert bool((fourth == 7).all())


def test_tiles_are_counted_along_the_rows_and_images_stay_together() -> None:
    """Two images of 2 x 2 pixels: each pixel is a tile."""
    images = torch.arange(8.0).view(2, 1, 2, 2)
    assert enlarge_tiles(images, 2).mean(dim=(1, 2, 3)).tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_packing_takes_the_mean_of_the_pixels_that_a_small_one_covers() -> None:
    """Four images of 2 x 2 with the means 1, 5, 9 and 13 become the four pixels of one."""
    images = torch.arange(16.0).view(4, 1, 2, 2) - 0.5
    assert pack_tiles(images, 2)[0, 0].tolist() == [[1, 5], [9, 13]]


@pytest.mark.parametrize(("side", "factor"), [(28, 2), (8, 3), (7, 4), (4, 4), (5, 1)])
def test_constant_images_come_back_as_they_were(side: int, factor: int) -> None:
    values = torch.arange(2.0 * factor**2) + 1
    images = values.view(-1, 1, 1, 1).expand(-1, 3, side, side).contiguous()
    stored = pack_tiles(images, factor)
    assert stored.shape == (2, 3, side, side)
    torch.testing.assert_close(enlarge_tiles(stored, factor), images)


def test_every_stored_pixel_belongs_to_a_tile_where_the_factor_does_not_divide_the_side() -> None:
    """8 / 3: tiles of 2, 3 and 3 pixels. A pixel that no tile holds would have no gradient."""
    images = torch.randn(1, 1, 8, 8, requires_grad=True)
    enlarge_tiles(images, 3).sum().backward()
    assert images.grad is not None
    assert bool((images.grad > 0).all())


def test_the_gradient_of_a_stored_pixel_is_the_number_of_pixels_it_becomes() -> None:
    """A tile of one pixel becomes 2 x 2, so the sum of all of them has the gradient 4 everywhere."""
    images = torch.zeros(1, 1, 2, 2, requires_grad=True)
    enlarge_tiles(images, 2).sum().backward()
    assert images.grad is not None
    assert images.grad.flatten().tolist() == [4, 4, 4, 4]


def test_with_factor_1_nothing_is_copied() -> None:
    images = torch.randn(2, 1, 4, 4)
    assert enlarge_tiles(images, 1) is images
    assert pack_tiles(images, 1) is images
