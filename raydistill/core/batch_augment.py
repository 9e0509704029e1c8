"""DC-Bench's augmentations: torchvision transforms of whole batches, with the same random numbers for all images of a batch.

A batch is converted to pixels, clipped, rounded to bytes, transformed as one tensor and preprocessed again, as in DC-Bench.
torchvision draws from the global generator; it is seeded here from the caller's generator, and its state is restored afterwards.

DC-Bench mirrors the images of its data sets, whose classes survive that. Where a mirrored image may be of another class, as a
digit, no image is mirrored here.

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
    """Sets a square of 16 x 16 pixels (at most half of the image) to 0, around a random centre that the whole batch shares."""

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) bytes to bytes."""
        height, width = images.shape[-2:]
        row, column = int(torch.randint(height, ())), int(torch.randint(width, ()))
        half = min(16, height // 2) // 2
        cut = images.clone()
        cut[..., max(0, row - half) : row + half, max(0, column - half) : column + half] = 0
        return cut


def _crop_and_flip(size: tuple[int, int], *, flips: bool) -> list[Callable[[Tensor], Tensor]]:
    crop = transforms.RandomCrop(size, padding=4)
    return [crop, transforms.RandomHorizontalFlip()] if flips else [crop]


MAKERS: dict[str, Callable[[tuple[int, int], bool], Callable[[Tensor], Tensor]]] = {
    "autoaug": lambda size, flips: transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10),
    "randaug": lambda size, flips: transforms.RandAugment(num_ops=1),
    "imagenet_aug": lambda size, flips: transforms.Compose(
        [*_crop_and_flip(size, flips=flips), transforms.ColorJitter(0.4, 0.4, 0.4, 0.2)]
    ),
    "cifar_aug": lambda size, flips: transforms.Compose([*_crop_and_flip(size, flips=flips), Cutout()]),
}
"""Transforms by DC-Bench's names; each is made for images of size (H, W), and whether they may be mirrored."""


def batch_augmentation(name: str, preprocess: Preprocess, size: tuple[int, int], *, mirror_keeps_class: bool) -> Augment:
    """An augmentation of preprocessed batches.

    Args:
        name: a key of `MAKERS`.
        preprocess: preprocessing of the images.
        size: (H, W) of the images.
        mirror_keeps_class: whether a mirrored image is of the same class; otherwise none is mirrored.
    """
    transform = MAKERS[name](size, mirror_keeps_class)

    def augment(images: Tensor, *, generator: torch.Generator) -> Tensor:
        stored = (preprocess.invert(images).clamp(0, 1) * 255).round().to(torch.uint8)
        seed = int(torch.randint(2**31, (), generator=generator))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
            moved = transform(stored)
        return preprocess.apply(moved.to(images.dtype) / 255)

    return augment
