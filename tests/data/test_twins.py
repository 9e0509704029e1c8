"""Images that are there twice are found, whatever file they come from; images that only look alike are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from raydistill.data.own.twins import Thumbnails, counted, joined, near_pairs, thumbnails, twins_by_part

Pixels = NDArray[np.uint8]


def pictures(count: int, size: int = 24, seed: int = 0) -> Pixels:
    """(N, 3, size, size) different smooth pictures, with less colour than brightness, as photographs have."""
    generator = np.random.default_rng(seed)
    brightness = generator.integers(40, 216, (count, 6, 6, 1))
    coarse = brightness + generator.integers(-40, 40, (count, 6, 6, 3)) // 2
    return np.stack([_enlarged(image, size) for image in coarse.astype(np.uint8)])


def _enlarged(pixels: Pixels, size: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)).transpose(2, 0, 1)


def as_jpeg(pixels: Pixels, quality: int = 85) -> Pixels:
    """The same picture after it was saved as JPEG."""
    file = io.BytesIO()
    image = Image.fromarray(pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels[0])
    image.save(file, "JPEG", quality=quality)
    read = np.asarray(Image.open(file))
    return read.transpose(2, 0, 1) if read.ndim == 3 else read[None]


def pairs(images: Pixels) -> set[tuple[int, int]]:
    return {
        (min(i, j), max(i, j)) for one, other in near_pairs(images) for i, j in zip(one.tolist(), other.tolist(), strict=True)
    }


@pytest.mark.parametrize("count", [200, 1500])
def test_a_picture_saved_again_is_a_twin_and_no_other_is(count: int) -> None:
    """Up to 1,024 images are compared each with each, more by their signatures."""
    images = pictures(count)
    again = np.stack([as_jpeg(image, 95) for image in images[:40]])
    assert pairs(np.concatenate([images, again])) == {(i, count + i) for i in range(40)}


def test_handwritten_digits_are_no_twins_of_each_other() -> None:
    """1,797 images of 8 x 8 pixels, many of them of the same digit."""
    digits = (load_digits().images * 15).astype(np.uint8)[:, None]
    assert pairs(digits) == set()
    again = np.stack([as_jpeg(image, 95) for image in digits[:50]])
    assert pairs(np.concatenate([digits, again])) == {(i, len(digits) + i) for i in range(50)}


def test_flat_pictures_of_other_brightness_are_no_twins() -> None:
    flat = np.stack([np.full((1, 16, 16), level, dtype=np.uint8) for level in range(200)])
    assert pairs(flat) == set()


def test_a_mirrored_picture_is_another_one() -> None:
    images = pictures(30)
    assert pairs(np.concatenate([images, images[..., ::-1]])) == set()


def test_large_pictures_are_compared_as_thumbnails() -> None:
    images = pictures(10, size=100)
    seen = thumbnails(np.concatenate([images, np.stack([as_jpeg(image, 60) for image in images])]))
    assert seen.pixels.shape == (20, 3, 32, 32)
    assert pairs(seen.pixels) == {(i, 10 + i) for i in range(10)}


def test_twins_are_told_by_part_and_whether_they_are_exact() -> None:
    """Train: pictures 0 to 9, and 0 again. Test: 1 exactly, 2 as JPEG, and two of its own."""
    images = pictures(12)
    train = np.concatenate([images[:10], images[:1]])
    test = np.stack([images[1], as_jpeg(images[2], 95), images[10], images[11]])
    seen = joined([thumbnails(train), thumbnails(test)])
    part_of = np.repeat([0, 1], [11, 4])
    found = twins_by_part(seen, ["train", "test"], part_of)
    assert np.flatnonzero(found.any["test"]).tolist() == [1, 2]
    assert np.flatnonzero(found.exact["train"]).tolist() == [0, 10, 11]
    counts = counted(found, ["train", "test"], part_of)
    assert counts.images == {"train": 11, "test": 4}
    assert counts.with_twin == {"train": {"train": 2, "test": 2}, "test": {"train": 2}}
    assert counts.exact == {"train": {"train": 2, "test": 1}, "test": {"train": 1}}
    assert (counts.across, counts.total) == (2, 4)


def test_an_image_that_is_there_many_times_costs_no_more_than_one() -> None:
    """3,000 copies would be 4.5 million pairs."""
    image = pictures(1)
    seen = thumbnails(np.concatenate([np.repeat(image, 3000, axis=0), pictures(5, seed=1)]))
    found = twins_by_part(seen, ["all"], np.zeros(3005, dtype=np.int64))
    assert int(found.exact["all"].sum()) == int(found.any["all"].sum()) == 3000


@pytest.mark.parametrize("count", [0, 1])
def test_one_image_has_no_twin(count: int) -> None:
    assert pairs(pictures(2)[:count]) == set()


def test_some_of_the_thumbnails_are_those_of_some_of_the_images() -> None:
    seen = thumbnails(pictures(4))
    chosen = np.array([True, False, True, False])
    part: Thumbnails = seen.at(chosen)
    assert np.array_equal(part.digests, seen.digests[[0, 2]])
    assert np.array_equal(part.pixels, seen.pixels[[0, 2]])
