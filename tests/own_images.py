"""Folders of made-up pictures, which look different from each other and, by class, alike."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def pictures(count: int, *, size: int = 24, seed: int = 0, tint: int = 0) -> list[Image.Image]:
    """Different smooth pictures with less colour than brightness, as photographs have.

    Args:
        count: how many.
        size: width and height.
        seed: other pictures.
        tint: class of the pictures: 0 has its bright part on top, 1 at the left, 2 in the middle, and so on.
    """
    generator = np.random.default_rng([seed, tint])
    down, across = np.mgrid[0:6, 0:6]
    shape = [down < 3, across < 3, (abs(down - 2.5) < 1.6) & (abs(across - 2.5) < 1.6), down >= 3, across >= 3][tint % 5]
    brightness = generator.integers(40, 130, (count, 6, 6, 1)) + 80 * shape[None, :, :, None]
    coarse = brightness + generator.integers(-20, 20, (count, 6, 6, 3))
    return [Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC) for image in coarse.astype(np.uint8)]


def fill(folder: Path, classes: Mapping[str, int], *, size: int = 24, seed: int = 0) -> Path:
    """Write PNG files into a folder per class."""
    for tint, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(pictures(count, size=size, seed=seed, tint=tint)):
            image.save(folder / name / f"{number:04d}.png")
    return folder


def leak(folder: Path, share: float) -> int:
    """Copy train images over this share of the test images of each class; returns how many."""
    copied = 0
    for test in sorted((folder / "test").iterdir()):
        files = sorted(test.iterdir())
        for place in range(round(share * len(files))):
            shutil.copy(folder / "train" / test.name / f"{place:04d}.png", files[place])
            copied += 1
    return copied
