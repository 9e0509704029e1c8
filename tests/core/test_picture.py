"""The picture of a set: sizes and pixels worked by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.utils import save_image

from raydistill.core.picture import LARGEST_WIDTH, grid_png, set_png
from raydistill.core.synthetic import SyntheticSet
from raydistill.core.tiles import pack_tiles
from raydistill.data import zca
from raydistill.data.preprocess import Whiten
from raydistill.data.zca import Matrices


def pixels(png: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(png)))


def test_small_images_are_enlarged_by_a_whole_factor() -> None:
    """8 pixels become 32, so 2 rows of 3 with 2 pixels between are 2*34+2 high and 3*34+2 wide."""
    assert pixels(grid_png(torch.zeros(6, 1, 8, 8), columns=3)).shape == (70, 104, 3)


def test_large_images_keep_their_size() -> None:
    assert pixels(grid_png(torch.zeros(2, 3, 40, 40), columns=2)).shape == (44, 86, 3)


def test_a_wide_grid_is_not_enlarged_past_the_largest_width() -> None:
    columns = 400
    assert pixels(grid_png(torch.zeros(columns, 1, 8, 8), columns)).shape[1] <= LARGEST_WIDTH + 2 * (columns + 1)


def test_values_outside_black_and_white_are_clipped() -> None:
    images = torch.tensor([-3.0, 0.0, 1.0, 7.0]).reshape(4, 1, 1, 1).expand(4, 1, 32, 32)
    row = pixels(grid_png(images, columns=4))[16, :, 0]
    assert [int(row[2 + 34 * i + 16]) for i in range(4)] == [0, 0, 255, 255]


def test_images_run_from_left_to_right_and_then_down() -> None:
    images = torch.tensor([0.0, 0.2, 0.4, 0.6]).reshape(4, 1, 1, 1).expand(4, 1, 32, 32)
    grid = pixels(grid_png(images, columns=2))[:, :, 0]
    assert [int(grid[y, x]) for y in (18, 52) for x in (18, 52)] == [0, 51, 102, 153]


@pytest.mark.parametrize(("count", "channels", "columns"), [(1, 1, 1), (1, 3, 4), (7, 1, 3), (6, 3, 6), (5, 3, 9)])
def test_pixels_are_those_of_torchvision(count: int, channels: int, columns: int) -> None:
    images = torch.rand((count, channels, 40, 33), generator=torch.Generator().manual_seed(count))
    theirs = io.BytesIO()
    save_image(images, theirs, format="png", nrow=columns, padding=2, pad_value=0.5)
    assert (pixels(grid_png(images, columns)) == pixels(theirs.getvalue())).all()


@pytest.mark.parametrize("shape", [(0, 1, 8, 8), (4, 2, 8, 8), (8, 8)])
def test_what_is_no_set_of_images_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected \\(N, 1 or 3, H, W\\)"):
        grid_png(torch.zeros(shape), columns=1)


def test_a_packed_set_is_unwhitened_before_it_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whitening adds the mean of all 64 pixels, so its inverse takes half of it away; four even images, one in each quarter."""
    ones = torch.ones(64, 64) / 64
    matrices = Matrices(mean=torch.full((1, 8, 8), 0.5), whiten=torch.eye(64) + ones, colour=torch.eye(64) - ones / 2)
    monkeypatch.setattr(zca, "matrices", lambda key: matrices)
    even = torch.tensor([0.1, 0.4, 0.6, 0.9]).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    stored = pack_tiles(Whiten(key="x").apply(even), 2)
    packed = SyntheticSet(images=stored, labels=torch.zeros(4, dtype=torch.int64), ipc=1, factor=2)
    shown = pixels(set_png(packed, Whiten(key="x"))).astype(int)
    assert np.abs(shown - pixels(grid_png(pack_tiles(even, 2), columns=1))).max() <= 1
