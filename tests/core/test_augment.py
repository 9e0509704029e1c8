"""Augmentation: every operation by hand, one draw per group, gradients, and random numbers from the generator alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from raydistill.core.augment import (
    Draw,
    augment,
    augment_each,
    augment_images,
    draw_one_operation,
    draw_per_group,
    place,
    place_steps,
)
from raydistill.core.choices import OPERATIONS, parse_operations

ALL = parse_operations("dsa", mirror_keeps_class=True)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(operation: str, *numbers: float) -> Draw:
    """One group."""
    return Draw(operations=(operation,), numbers=torch.tensor([[*numbers, 0.5, 0.5, 0.5][: max(3, len(numbers))]]))


def one(image: Tensor, operation: str, *numbers: float) -> Tensor:
    """A (C, H, W) image with one operation applied."""
    return augment(image[None, None], drawn(operation, *numbers))[0, 0]


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def test_dsa_names_all_six_operations() -> None:
    assert parse_operations("dsa", mirror_keeps_class=True) == ("color", "crop", "cutout", "flip", "scale", "rotate")


def test_dsa_leaves_flip_out_where_mirroring_changes_the_class() -> None:
    assert parse_operations("dsa", mirror_keeps_class=False) == ("color", "crop", "cutout", "scale", "rotate")


def test_flip_by_name_is_kept_even_where_mirroring_changes_the_class() -> None:
    """The published code flips digits, so flip is used if it is named."""
    assert parse_operations("flip_crop", mirror_keeps_class=False) == ("flip", "crop")


def test_none_names_no_operation() -> None:
    assert parse_operations("none", mirror_keeps_class=True) == ()


@pytest.mark.parametrize(
    ("text", "unknown"), [("crop_flop", "'flop'"), ("", "''"), ("dsa_crop", "'dsa'"), ("flop_crup", "'flop', 'crup'")]
)
def test_an_unknown_operation_is_refused(text: str, unknown: str) -> None:
    with pytest.raises(
        ValueError, match=rf"augmentation '{text}': unknown operation {unknown}; allowed: dsa, none, or names from color, crop"
    ):
        parse_operations(text, mirror_keeps_class=True)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("shape", [(3, 2, 1, 8, 8), (3, 2, 3, 28, 28), (1, 1, 3, 6, 10)])
def test_shape_and_type_are_kept(operation: str, shape: tuple[int, ...]) -> None:
    images = pictures(*shape)
    seen = augment(images, draw_per_group((operation,), shape[0], generator()))
    assert seen.shape == images.shape
    assert seen.dtype == images.dtype


@pytest.mark.parametrize("operation", OPERATIONS)
def test_double_precision_is_kept(operation: str) -> None:
    assert augment(pictures(2, 2, 3, 8, 8).double(), draw_per_group((operation,), 2, generator())).dtype == torch.float64


@pytest.mark.parametrize("operation", OPERATIONS)
def test_images_of_a_group_take_the_same_draw_and_groups_take_their_own(operation: str) -> None:
    """Four groups of three copies of one image: copies stay alike, and of four draws at least two differ."""
    image = pictures(3, 16, 16)
    seen = augment(image.expand(4, 3, 3, 16, 16), draw_per_group((operation,), 4, generator(1)))
    # Not to the bit: a kernel may do the last images of a batch in another way than the first.
    torch.testing.assert_close(seen, seen[:, :1].expand_as(seen))
    assert not all(torch.allclose(seen[0, 0], seen[g, 0], atol=0.01) for g in range(1, 4))


def test_real_and_synthetic_groups_of_the_same_place_take_the_same_draw() -> None:
    image = pictures(3, 16, 16)
    draw = draw_per_group(ALL, 10, generator())
    real, synthetic = (augment(image.expand(10, size, 3, 16, 16), draw) for size in (4, 1))
    torch.testing.assert_close(real[:, :1], synthetic)


def test_mixed_operations_keep_the_order_of_the_groups() -> None:
    operations = ("rotate", "color", "cutout", "crop", "color", "flip", "cutout", "scale")
    draw = Draw(operations=operations, numbers=torch.rand(8, 3, generator=generator()))
    images = pictures(8, 2, 3, 12, 12)
    together = augment(images, draw)
    for g, name in enumerate(operations):
        alone = augment(images[g : g + 1], Draw(operations=(name,), numbers=draw.numbers[g : g + 1]))
        torch.testing.assert_close(together[g : g + 1], alone)


@pytest.mark.parametrize("groups", [slice(0, 12), slice(0, 5), slice(5, 6), slice(7, 12)])
def test_a_draw_that_was_placed_before_augments_as_it_does_otherwise(groups: slice) -> None:
    images = pictures(12, 2, 3, 8, 8)
    draw = draw_per_group(ALL, 12, generator())
    placed = place(draw, images)
    assert placed.placed is not None
    assert set(placed.placed) == {"color", "cutout", "geometric"}
    assert torch.equal(augment(images[groups], placed.part(groups)), augment(images[groups], draw.part(groups)))


def test_several_steps_are_placed_in_their_order() -> None:
    images = pictures(6, 1, 8, 8)
    draws = [draw_one_operation(("crop",), 2, generator(1)), None, draw_one_operation(("color",), 3, generator(2))]
    chosen = [torch.tensor([0, 1]), torch.tensor([5]), torch.tensor([2, 3, 4])]
    for (own, draw), indices, given in zip(
        place_steps(list(zip(chosen, draws, strict=True)), images), chosen, draws, strict=True
    ):
        assert torch.equal(own, indices)
        assert torch.equal(augment_images(images[own], draw), augment_images(images[indices], given))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_gradients_reach_the_images(operation: str) -> None:
    images = pictures(2, 2, 1, 8, 8).requires_grad_()
    augment(images, draw_per_group((operation,), 2, generator())).square().sum().backward()
    assert images.grad is not None
    assert bool(torch.isfinite(images.grad).all())
    assert float(images.grad.abs().sum()) > 0


@pytest.mark.parametrize("draw", [draw_per_group, draw_one_operation])
def test_a_draw_depends_on_its_generator_alone(draw: Callable[..., Draw]) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = draw(ALL, 50, generator(5))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    second = draw(ALL, 50, generator(5))
    assert first.operations == second.operations
    assert torch.equal(first.numbers, second.numbers)
    assert not torch.equal(first.numbers, draw(ALL, 50, generator(6)).numbers)


def test_groups_draw_every_operation_about_equally_often() -> None:
    """6,000 draws of six: 1,000 each, with a standard deviation of sqrt(6000 * 1/6 * 5/6) = 29; within five of them."""
    chosen = draw_per_group(ALL, 6000, generator()).operations
    assert all(abs(chosen.count(name) - 1000) < 145 for name in ALL)


def test_one_operation_for_all_has_numbers_for_each() -> None:
    draw = draw_one_operation(ALL, 50, generator())
    assert len(set(draw.operations)) == 1
    assert len(draw.numbers.unique()) > 100


def test_no_operation_leaves_the_images() -> None:
    images = pictures(4, 1, 8, 8)
    assert augment_each(images, (), generator()) is images


def test_each_image_takes_numbers_of_its_own() -> None:
    image = pictures(1, 16, 16)
    seen = augment_each(image.expand(6, 1, 16, 16), ("rotate",), generator())
    assert len({tuple(picture.flatten().tolist()) for picture in seen}) == 6


def test_brightness_adds_its_number_less_a_half() -> None:
    """u = 0.9, 0.5, 0.5: x + 0.4, saturation times 2 * 0.5 = 1, contrast times 0.5 + 0.5 = 1."""
    image = pictures(3, 8, 8)
    torch.testing.assert_close(one(image, "color", 0.9, 0.5, 0.5), image + 0.4)


def test_saturation_stretches_the_distance_from_the_grey_by_twice_its_number() -> None:
    """Channels 1, 2, 6 have grey 3; u = 0.25 halves the distances -2, -1, 3: 2, 2.5, 4.5."""
    image = torch.tensor([1.0, 2.0, 6.0]).view(3, 1, 1).expand(3, 4, 4)
    expected = torch.tensor([2.0, 2.5, 4.5]).view(3, 1, 1).expand(3, 4, 4)
    torch.testing.assert_close(one(image, "color", 0.5, 0.25, 0.5), expected)


@pytest.mark.parametrize("number", [0.0, 0.25, 1.0])
def test_saturation_leaves_one_channel_alone(number: float) -> None:
    image = pictures(1, 8, 8)
    torch.testing.assert_close(one(image, "color", 0.5, number, 0.5), image)


def test_contrast_stretches_the_distance_from_the_mean_by_its_number_and_a_half() -> None:
    """Pixels 0, 1, 2, 5 have mean 2; u = 1 stretches -2, -1, 0, 3 by 1.5: -1, 0.5, 2, 6.5."""
    image = torch.tensor([[[0.0, 1.0], [2.0, 5.0]]])
    torch.testing.assert_close(one(image, "color", 0.5, 0.5, 1.0), torch.tensor([[[-1.0, 0.5], [2.0, 6.5]]]))


def test_contrast_takes_the_mean_over_all_channels() -> None:
    """A channel of 0 and one of 2 have mean 1; u = 0 halves the distances: 0.5 and 1.5. Saturation with u = 0.5 is none."""
    image = torch.tensor([0.0, 2.0]).view(2, 1, 1).expand(2, 4, 4)
    expected = torch.tensor([0.5, 1.5]).view(2, 1, 1).expand(2, 4, 4)
    torch.testing.assert_close(one(image, "color", 0.5, 0.5, 0.0), expected)


@pytest.mark.parametrize(("size", "reach"), [(8, 1), (28, 4), (32, 4)])
def test_crop_moves_by_whole_pixels_up_to_an_eighth_of_the_side(size: int, reach: int) -> None:
    """int(0.125 * size + 0.5) is 1, 4, 4. A bright pixel in the middle ends up in one place, and all 2 * reach + 1 are met."""
    middle = size // 2
    image = torch.zeros(1, size, size)
    image[0, middle, middle] = 1
    places = set()
    for i in range(40):
        seen = one(image, "crop", i / 40, 0.5)
        (row, column) = (seen[0] > 0.5).nonzero()[0].tolist()
        assert float(seen.sum()) == pytest.approx(1, abs=1e-4)
        assert row == middle
        places.add(column - middle)
    assert places == set(range(-reach, reach + 1))


def test_crop_brings_in_zeros() -> None:
    """u = 0 moves by -1 of 8 pixels: what is seen at column x comes from column x - 1, and column 0 is empty; rows stay."""
    image = pictures(1, 8, 8)
    seen = one(image, "crop", 0.0, 0.5)
    torch.testing.assert_close(seen[:, :, 1:], image[:, :, :-1], atol=1e-5, rtol=0)
    assert float(seen[:, :, 0].abs().max()) < 1e-5


def test_crop_moves_rows_by_its_second_number() -> None:
    """u = 0.999 moves by +1: what is seen at row y comes from row y + 1, and row 7 is empty."""
    image = pictures(1, 8, 8)
    seen = one(image, "crop", 0.5, 0.999)
    torch.testing.assert_close(seen[:, :-1], image[:, 1:], atol=1e-5, rtol=0)
    assert float(seen[:, -1].abs().max()) < 1e-5


@pytest.mark.parametrize(("number", "mirrors"), [(0.0, True), (0.499, True), (0.5, False), (0.999, False)])
def test_flip_mirrors_left_and_right_in_half_of_the_draws(number: float, mirrors: bool) -> None:
    image = pictures(3, 8, 8)
    expected = image.flip(2) if mirrors else image
    torch.testing.assert_close(one(image, "flip", number), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "side"), [(8, 4), (28, 14), (32, 16), (7, 4)])
def test_cutout_is_a_square_of_half_the_side(size: int, side: int) -> None:
    """int(0.5 * size + 0.5); in the middle of the image nothing is clipped."""
    seen = one(torch.ones(1, size, size), "cutout", 0.5, 0.5)
    assert float((seen == 0).sum()) == side * side
    assert set(seen.unique().tolist()) == {0.0, 1.0}


def test_cutout_is_clipped_at_the_corner() -> None:
    """8 pixels, side 4, centre 0: rows and columns -2 to 1, of which 0 and 1 are in the image."""
    seen = one(torch.ones(1, 8, 8), "cutout", 0.0, 0.0)
    expected = torch.ones(1, 8, 8)
    expected[:, :2, :2] = 0
    assert torch.equal(seen, expected)


def test_cutout_is_placed_by_row_and_column() -> None:
    """An even side lets the centre be 0 to 8: floor(0.34 * 9) = 3 and floor(0.67 * 9) = 6, so rows 1 to 4 and columns 4 to 7."""
    seen = one(torch.ones(1, 8, 8), "cutout", 0.34, 0.67)
    expected = torch.ones(1, 8, 8)
    expected[:, 1:5, 4:8] = 0
    assert torch.equal(seen, expected)


def test_cutout_may_lie_wholly_at_the_far_border() -> None:
    """u near 1: centre 8, rows and columns 6 to 9, of which 6 and 7 are in the image."""
    seen = one(torch.ones(1, 8, 8), "cutout", 0.999, 0.999)
    expected = torch.ones(1, 8, 8)
    expected[:, 6:, 6:] = 0
    assert torch.equal(seen, expected)


def at(size: int) -> Tensor:
    """Pixel centres from -1 to 1: (2 i + 1) / size - 1."""
    return (2 * torch.arange(size) + 1) / size - 1


@pytest.mark.parametrize(("number", "factor"), [(0.0, 1 / 1.2), (1.0, 1.2), (0.5, (1.2 + 1 / 1.2) / 2)])
def test_scale_reads_at_a_factor_of_each_axis(number: float, factor: float) -> None:
    """On the ramp v(x) = x, bilinear reading at factor * x gives factor * x wherever that lies between pixel centres."""
    ramp = at(16).expand(1, 16, 16)
    seen = one(ramp, "scale", number, 0.4)
    expected = factor * at(16)
    inside = expected.abs() <= at(16).max()
    torch.testing.assert_close(seen[0, 8, inside], expected[inside], atol=1e-5, rtol=0)


def test_scale_above_one_shows_zeros_around() -> None:
    """At 1.2 the outermost of 16 columns reads at 1.2 * 0.9375 = 1.125, beyond the last pixel: nothing."""
    seen = one(torch.ones(1, 16, 16), "scale", 1.0, 1.0)
    assert float(seen[0, 8, 0]) == 0
    assert float(seen[0, 8, 8]) == pytest.approx(1)


def test_scale_of_both_axes_is_drawn_apart() -> None:
    """Columns at 1.2 and rows at 1 / 1.2: empty at the sides, full at top and bottom."""
    seen = one(torch.ones(1, 16, 16), "scale", 1.0, 0.0)
    assert float(seen[0, 8, 0]) == 0
    assert float(seen[0, 0, 8]) == pytest.approx(1)


@pytest.mark.parametrize(("number", "degrees"), [(0.0, -15), (0.5, 0), (1.0, 15), (0.75, 7.5)])
def test_rotation_reads_at_the_turned_place(number: float, degrees: float) -> None:
    """On the ramp v(x, y) = x + 2 y the reading at (x cos - y sin, x sin + y cos) is that plus twice that."""
    x, y = at(16).expand(16, 16), at(16).view(16, 1).expand(16, 16)
    angle = math.radians(degrees)
    turned_x, turned_y = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
    seen = one((x + 2 * y)[None], "rotate", number)[0]
    inside = (turned_x.abs() <= at(16).max()) & (turned_y.abs() <= at(16).max())
    torch.testing.assert_close(seen[inside], (turned_x + 2 * turned_y)[inside], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("numbers", "matrix"),
    [
        # No turn, both sides read at 1.2, no shear, no shift.
        ((0.5, 1.0, 1.0, 0.5, 0.5, 0.5), (1.2, 0.0, 0.0, 0.0, 1.2, 0.0)),
        # Shear 0.2 with rows read at 1.2; shifts of one seventh of half a side, to the right and up.
        ((0.5, 5 / 11, 1.0, 1.0, 1.0, 0.0), (1.0, 0.24, 1 / 7, 0.0, 1.2, -1 / 7)),
        # 15 degrees and shear -0.2: cos 0.9659, sin 0.2588; -0.2 cos - sin = -0.4520, -0.2 sin + cos = 0.9142.
        ((1.0, 5 / 11, 5 / 11, 0.0, 0.5, 0.5), (0.9659, -0.4520, 0.0, 0.2588, 0.9142, 0.0)),
    ],
)
def test_affine_turns_shears_scales_and_shifts_at_once(numbers: tuple[float, ...], matrix: tuple[float, ...]) -> None:
    """The scale 1 lies 5 / 11 of the way from 1 / 1.2 to 1.2. On the ramp v(x, y) = x + 2 y, as for the rotation."""
    x, y = at(16).expand(16, 16), at(16).view(16, 1).expand(16, 16)
    read_x, read_y = (a * x + b * y + c for a, b, c in (matrix[:3], matrix[3:]))
    seen = one((x + 2 * y)[None], "affine", *numbers)[0]
    inside = (read_x.abs() <= at(16).max()) & (read_y.abs() <= at(16).max())
    torch.testing.assert_close(seen[inside], (read_x + 2 * read_y)[inside], atol=5e-4, rtol=0)


def test_affine_beside_others_keeps_the_order_of_the_groups() -> None:
    draw = draw_per_group(("affine", "color", "rotate", "cutout"), 12, generator())
    assert set(draw.operations) == {"affine", "color", "rotate", "cutout"}
    images = pictures(12, 2, 3, 12, 12)
    together = augment(images, draw)
    for g, name in enumerate(draw.operations):
        alone = augment(images[g : g + 1], Draw(operations=(name,), numbers=draw.numbers[g : g + 1]))
        torch.testing.assert_close(together[g : g + 1], alone)


def test_images_that_are_not_square_move_by_their_own_sides() -> None:
    """6 x 16: int(0.75 + 0.5) = 1 row and int(2 + 0.5) = 2 columns."""
    image = pictures(1, 6, 16)
    seen = one(image, "crop", 0.0, 0.0)
    torch.testing.assert_close(seen[:, 1:, 2:], image[:, :-1, :-2], atol=1e-5, rtol=0)
