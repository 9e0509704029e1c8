"""Differentiable siamese augmentation (DSA), with explicit random numbers.

Images come in groups, (G, B, C, H, W), and all B images of a group get the same operation with the same random numbers (a
`Draw`). The augmentation is *siamese* if the real and the synthetic images of a class use the same draw. A group of one image is
the usual augmentation per image.

Draws are made on the CPU, so the operation is known there and no step waits for a GPU.

Source: Zhao and Bilen, "Dataset Condensation with Differentiable Siamese Augmentation", ICML 2021; strengths as in their code:
brightness 1, saturation 2, contrast 0.5, crop 0.125, cutout 0.5, scale 1.2, rotation 15 degrees. Affine sampling uses
align_corners=False, as in their code (DATM and PAD use True).

`affine` is not theirs: it rotates, shears, scales and shifts at once, as torchvision's `RandomAffine` does, where DSA takes one
of these at a time. Rotation and scale are as strong as in DSA.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from raydistill.core.placement import moved

GEOMETRIC = ("crop", "flip", "scale", "rotate", "affine")
KINDS = ("color", "cutout", "geometric")
"""Operations that one computation carries out; the geometric ones differ in their matrices alone."""
SHEAR = 0.2
"""Largest shear of `affine`: a point that lies one half height off the centre moves sideways by this part of half a width."""
SHIFT = 1 / 14
"""Largest shift of `affine`, as a part of the image's height and width: two of 28 pixels."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Draw:
    """For each group an operation and its random numbers."""

    operations: tuple[str, ...]
    """One name per group."""
    numbers: Tensor
    """(G, 3) uniform in 0 to 1, on the CPU; (G, 6) where `affine` may be drawn."""
    placed: Mapping[str, Tensor] | None = None
    """By kind what its groups need, a row for each, on the images' device; None if `place` has not put it there."""

    def part(self, groups: slice) -> Draw:
        """The draw for some of the groups, which follow each other."""
        chosen = range(len(self.operations))[groups]
        placed: dict[str, Tensor] | None = None
        if self.placed is not None:
            placed = {}
            for kind, own in _groups_by_kind(self.operations).items():
                rows = [row for row, group in enumerate(own) if group in chosen]
                placed |= {kind: self.placed[kind][rows[0] : rows[-1] + 1]} if rows else {}
        return Draw(operations=self.operations[groups], numbers=self.numbers[groups], placed=placed)


def draw_per_group(operations: tuple[str, ...], groups: int, generator: torch.Generator) -> Draw:
    """For each group an independent operation and independent random numbers."""
    chosen = torch.randint(len(operations), (groups,), generator=generator).tolist()
    return Draw(operations=tuple(operations[i] for i in chosen), numbers=_numbers(operations, groups, generator))


def draw_one_operation(operations: tuple[str, ...], groups: int, generator: torch.Generator) -> Draw:
    """One operation for all groups with independent random numbers per group; with groups of one image the non-siamese mode."""
    chosen = operations[int(torch.randint(len(operations), (1,), generator=generator))]
    return Draw(operations=(chosen,) * groups, numbers=_numbers(operations, groups, generator))


def _numbers(operations: tuple[str, ...], groups: int, generator: torch.Generator) -> Tensor:
    """(G, n) as many as the operation that needs the most."""
    return torch.rand(groups, 6 if "affine" in operations else 3, generator=generator)


def augment(images: Tensor, draw: Draw) -> Tensor:
    """Apply a draw; gradients flow to the images.

    Args:
        images: (G, B, C, H, W), standardised.
        draw: operations and random numbers for G groups.

    Returns:
        (G, B, C, H, W); pixels from outside of the image are 0.
    """
    groups = _groups_by_kind(draw.operations)
    order = torch.tensor([group for own in groups.values() for group in own])
    places = [order, torch.argsort(order)] if len(groups) > 1 else []
    if draw.placed is None:
        needed = _needed(draw, images)
        there = moved([*places, *needed.values()], images.device)
        places, numbers = there[: len(places)], dict(zip(needed, there[len(places) :], strict=True))
    else:
        places, numbers = moved(places, images.device), dict(draw.placed)
    parts = images[places[0]].split([len(own) for own in groups.values()]) if places else [images]
    seen = [CARRY_OUT[kind](part, numbers[kind]) for kind, part in zip(groups, parts, strict=True)]
    return torch.cat(seen)[places[1]] if places else seen[0]


def augment_images(images: Tensor, draw: Draw | None) -> Tensor:
    """Augment (N, C, H, W) images with a draw of one group per image; unchanged without a draw."""
    return images if draw is None else augment(images.unsqueeze(1), draw).squeeze(1)


def augment_each(images: Tensor, operations: tuple[str, ...], generator: torch.Generator) -> Tensor:
    """Augment (N, C, H, W) images with one random operation, its parameters drawn per image; unchanged without operations."""
    return augment_images(images, draw_one_operation(operations, len(images), generator) if operations else None)


def place(draw: Draw, images: Tensor) -> Draw:
    """The draw with what it needs on the device of the images that it is for, in one copy."""
    return place_steps([(torch.empty(0), draw)], images)[0][1]  # type: ignore[return-value]


def place_steps(steps: Sequence[tuple[Tensor, Draw | None]], images: Tensor) -> list[tuple[Tensor, Draw | None]]:
    """Indices and draws of several steps on the images' device, in one copy for all.

    Args:
        steps: for each step indices on the CPU, and the augmentation of the images of these indices.
        images: (..., H, W) of the images' size, type and device.
    """
    needed = [{} if draw is None else _needed(draw, images) for _, draw in steps]
    flat = [tensor for (chosen, _), own in zip(steps, needed, strict=True) for tensor in (chosen, *own.values())]
    there = iter(moved(flat, images.device))
    return [
        (next(there), draw and replace(draw, placed={kind: next(there) for kind in own}))
        for (_, draw), own in zip(steps, needed, strict=True)
    ]


def _groups_by_kind(operations: tuple[str, ...]) -> dict[str, list[int]]:
    """For each kind that occurs, in the order of `KINDS`, its groups."""
    groups: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for group, name in enumerate(operations):
        groups["geometric" if name in GEOMETRIC else name].append(group)
    return {kind: own for kind, own in groups.items() if own}


def _needed(draw: Draw, images: Tensor) -> dict[str, Tensor]:
    """By kind what its groups need, a row for each, on the CPU."""
    needed = {}
    for kind, own in _groups_by_kind(draw.operations).items():
        numbers = draw.numbers[own]
        if kind == "cutout":
            needed[kind] = _cutout_mask(numbers, images.shape[-2:])
        elif kind == "geometric":
            needed[kind] = _matrices([draw.operations[g] for g in own], numbers, images.shape[-2:]).to(images.dtype)
        else:
            needed[kind] = numbers[:, :3]
    return needed


def _cutout(images: Tensor, mask: Tensor) -> Tensor:
    return images * mask.to(images.dtype)


def _color(images: Tensor, numbers: Tensor) -> Tensor:
    brightness, saturation, contrast = (n.view(-1, 1, 1, 1, 1) for n in numbers.unbind(1))
    x = images + (brightness - 0.5)
    grey = x.mean(dim=2, keepdim=True)
    x = (x - grey) * (2 * saturation) + grey if images.shape[2] > 1 else x
    mean = x.mean(dim=(2, 3, 4), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def _cutout_mask(numbers: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """(G, 1, 1, H, W): 0 in a square of half the image's height and width, 1 elsewhere; clipped at the borders."""
    keep_rows, keep_columns = (_outside(numbers[:, axis], extent) for axis, extent in enumerate(size))
    keep = keep_rows[:, :, None] | keep_columns[:, None, :]
    return keep[:, None, None]


def _outside(numbers: Tensor, extent: int) -> Tensor:
    """(G, extent): whether a row or column is outside of the square."""
    side = int(0.5 * extent + 0.5)
    centre = (numbers * (extent + 1 - side % 2)).floor()
    place = torch.arange(extent) - (centre - side // 2).unsqueeze(1)
    return (place < 0) | (place >= side)


def _matrices(operations: list[str], numbers: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """(G, 2, 3) affine maps from output to input coordinates, each image spanning -1 to 1."""
    height, width = size
    first, second, *_ = numbers.unbind(1)
    zero, one = torch.zeros_like(first), torch.ones_like(first)
    move_x, move_y = (_whole_pixels(u, extent) * 2 / extent for u, extent in ((first, width), (second, height)))
    angle = _angle(first)
    rows: dict[str, tuple[Tensor, ...]] = {
        "crop": (one, zero, move_x, zero, one, move_y),
        "flip": (torch.where(first < 0.5, -one, one), zero, zero, zero, one, zero),
        "scale": (_zoom(first), zero, zero, zero, _zoom(second), zero),
        "rotate": (angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero),
    }
    if "affine" in operations:
        rows["affine"] = _turn_shear_zoom_move(numbers)
    table = torch.stack([torch.stack(row, dim=1) for row in rows.values()])
    kind = torch.tensor([list(rows).index(name) for name in operations])
    return table[kind, torch.arange(len(operations))].view(-1, 2, 3)


def _turn_shear_zoom_move(numbers: Tensor) -> tuple[Tensor, ...]:
    """The entries of rotation x shear x scale, and a shift, from (G, 6) numbers."""
    turn, zoom_x, zoom_y, shear, move_x, move_y = numbers.unbind(1)
    cos, sin = _angle(turn).cos(), _angle(turn).sin()
    zoom_x, zoom_y, shear = _zoom(zoom_x), _zoom(zoom_y), SHEAR * (2 * shear - 1)
    # The image is 2 wide and 2 high in these coordinates.
    move_x, move_y = (2 * SHIFT * (2 * move - 1) for move in (move_x, move_y))
    return cos * zoom_x, (shear * cos - sin) * zoom_y, move_x, sin * zoom_x, (shear * sin + cos) * zoom_y, move_y


def _angle(numbers: Tensor) -> Tensor:
    return torch.deg2rad((2 * numbers - 1) * 15)


def _zoom(numbers: Tensor) -> Tensor:
    return 1 / 1.2 + numbers * (1.2 - 1 / 1.2)


def _whole_pixels(numbers: Tensor, extent: int) -> Tensor:
    """Shifts of a crop: whole pixels, up to an eighth of the extent in both directions."""
    reach = int(0.125 * extent + 0.5)
    return (numbers * (2 * reach + 1)).floor() - reach


def _affine(images: Tensor, matrices: Tensor) -> Tensor:
    groups, batch, channels, height, width = images.shape
    # A group's images share one affine map, so they are handled as channels of one image: one grid per group.
    merged = images.reshape(groups, batch * channels, height, width)
    grid = functional.affine_grid(matrices, [groups, batch * channels, height, width], align_corners=False)
    moved = functional.grid_sample(merged, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved.reshape(images.shape)


CARRY_OUT = {"color": _color, "cutout": _cutout, "geometric": _affine}
"""By kind: (G, B, C, H, W) images of its groups, and what they need, to augmented images."""
