"""DC-Bench's augmentations: whole batches of bytes under one draw, by torchvision.

A batch is brought to pixels, clipped, rounded to bytes, transformed as one tensor and brought back, as DC-Bench does it. Numbers
come from the caller's generator: torchvision draws from the global one, which is seeded inside a fork and is left as it was.

Source: Cui et al., "DC-Bench: Dataset Condensation Benchmark", NeurIPS 2022, and its code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision import transforms

from raydistill.core.train import Augment
from raydistill.data.preprocess import Preprocess


class Cutout:
    """Blacks out one square of 16 x 16 pixels, at most half of the image, around a centre drawn for the whole batch."""

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) bytes to bytes."""
        height, width = images.shape[-2:]
        row, column = int(torch.randint(height, ())), int(torch.randint(width, ()))
        half = min(16, height // 2) // 2
        cut = images.clone()
        cut[..., max(0, row - half) : row + half, max(0, column - half) : column + half] = 0
        return cut


def _crop_and_flip(size: tuple[int, int]) -> list[Callable[[Tensor], Tensor]]:
    return [transforms.RandomCrop(size, padding=4), transforms.RandomHorizontalFlip()]


MAKERS: dict[str, Callable[[tuple[int, int]], Callable[[Tensor], Tensor]]] = {
    "autoaug": lambda size: transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10),
    "randaug": lambda size: transforms.RandAugment(num_ops=1),
    "imagenet_aug": lambda size: transforms.Compose([*_crop_and_flip(size), transforms.ColorJitter(0.4, 0.4, 0.4, 0.2)]),
    "cifar_aug": lambda size: transforms.Compose([*_crop_and_flip(size), Cutout()]),
}
"""By DC-Bench's names, for images of (H, W)."""


def batch_augmentation(name: str, preprocess: Preprocess, size: tuple[int, int]) -> Augment:
    """An augmentation of preprocessed batches.

    Args:
        name: a key of `MAKERS`.
        preprocess: of the images.
        size: (H, W).
    """
    transform = MAKERS[name](size)

    def augment(images: Tensor, *, generator: torch.Generator) -> Tensor:
        stored = (preprocess.invert(images).clamp(0, 1) * 255).round().to(torch.uint8)
        seed = int(torch.randint(2**31, (), generator=generator))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
            moved = transform(stored)
        return preprocess.apply(moved.to(images.dtype) / 255)

    return augment
