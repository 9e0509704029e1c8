"""Differentiable siamese augmentation (DSA), with explicit random numbers.

Images come in groups, (G, B, C, H, W), and all B images of a group get the same operation with the same random numbers (a
`Draw`). The augmentation is *siamese* if the real and the synthetic images of a class use the same draw. A group of one image is
the usual augmentation per image.

Draws are made on the CPU, so the operation is known there and no step waits for a GPU.

Source: Zhao and Bilen, "Dataset Condensation with Differentiable Siamese Augmentation", ICML 2021; strengths as in their code:
brightness 1, saturation 2, contrast 0.5, crop 0.125, cutout 0.5, scale 1.2, rotation 15 degrees. Affine sampling uses
align_corners=False, as in their code (DATM and PAD use True).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

GEOMETRIC = ("crop", "flip", "scale", "rotate")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Draw:
    """For each group an operation and its random numbers."""

    operations: tuple[str, ...]
    """One name per group."""
    numbers: Tensor
    """(G, 3) uniform in 0 to 1, on the CPU."""

    def part(self, groups: slice) -> Draw:
        """The draw for some of the groups."""
        return Draw(operations=self.operations[groups], numbers=self.numbers[groups])


def draw_per_group(operations: tuple[str, ...], groups: int, generator: torch.Generator) -> Draw:
    """For each group an independent operation and independent random numbers."""
    chosen = torch.randint(len(operations), (groups,), generator=generator).tolist()
    return Draw(operations=tuple(operations[i] for i in chosen), numbers=torch.rand(groups, 3, generator=generator))


def draw_one_operation(operations: tuple[str, ...], groups: int, generator: torch.Generator) -> Draw:
    """One operation for all groups with independent random numbers per group; with groups of one image the non-siamese mode."""
    chosen = operations[int(torch.randint(len(operations), (1,), generator=generator))]
    return Draw(operations=(chosen,) * groups, numbers=torch.rand(groups, 3, generator=generator))


def augment(images: Tensor, draw: Draw) -> Tensor:
    """Apply a draw; gradients flow to the images.

    Args:
        images: (G, B, C, H, W), standardised.
        draw: operations and random numbers for G groups.

    Returns:
        (G, B, C, H, W); pixels from outside of the image are 0.
    """
    parts, places = [], []
    for kind in ("color", "cutout", "geometric"):
        groups = [g for g, name in enumerate(draw.operations) if (name if name not in GEOMETRIC else "geometric") == kind]
        if not groups:
            continue
        chosen = images if len(groups) == len(images) else images[_moved(torch.tensor(groups), images)]
        numbers = draw.numbers[groups]
        if kind == "color":
            parts.append(_color(chosen, _moved(numbers, images)))
        elif kind == "cutout":
            parts.append(chosen * _moved(_cutout_mask(numbers, images.shape[-2:]).to(images.dtype), images))
        else:
            operations = [draw.operations[g] for g in groups]
            parts.append(_affine(chosen, _moved(_matrices(operations, numbers, images.shape[-2:]).to(images.dtype), images)))
        places += groups
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts)[_moved(torch.argsort(torch.tensor(places)), images)]


def augment_each(images: Tensor, operations: tuple[str, ...], generator: torch.Generator) -> Tensor:
    """Augment (N, C, H, W) images with one random operation, its parameters drawn per image; unchanged without operations."""
    if not operations:
        return images
    draw = draw_one_operation(operations, len(images), generator)
    return augment(images.unsqueeze(1), draw).squeeze(1)


def _moved(numbers: Tensor, images: Tensor) -> Tensor:
    """A CPU tensor on the images' device; a blocking copy would wait for all work queued on a GPU."""
    return numbers.to(images.device, non_blocking=True)


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
    first, second, _ = numbers.unbind(1)
    zero, one = torch.zeros_like(first), torch.ones_like(first)
    move_x, move_y = (_whole_pixels(u, extent) * 2 / extent for u, extent in ((first, width), (second, height)))
    zoom_x, zoom_y = (1 / 1.2 + u * (1.2 - 1 / 1.2) for u in (first, second))
    angle = torch.deg2rad((2 * first - 1) * 15)
    rows = {
        "crop": (one, zero, move_x, zero, one, move_y),
        "flip": (torch.where(first < 0.5, -one, one), zero, zero, zero, one, zero),
        "scale": (zoom_x, zero, zero, zero, zoom_y, zero),
        "rotate": (angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero),
    }
    table = torch.stack([torch.stack(rows[name], dim=1) for name in GEOMETRIC])
    kind = torch.tensor([GEOMETRIC.index(name) for name in operations])
    return table[kind, torch.arange(len(operations))].view(-1, 2, 3)


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
