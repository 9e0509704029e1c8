"""Standardisation and whitening by hand, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from raydistill.data import zca
from raydistill.data.preprocess import Standardise, Whiten, fit, fit_standardise
from raydistill.errors import DataError
from raydistill.storage.node_cache import cache_folder


def random_bytes(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, size=shape, dtype=np.uint8)


def pixels_of(images: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(images).to(torch.float32) / 255


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYDISTILL_CACHE", str(tmp_path))
    monkeypatch.setattr(zca, "EARLIER_FOLDER", str(tmp_path / "earlier"))
    zca.matrices.cache_clear()


def test_mean_and_population_deviation_are_taken_per_channel() -> None:
    """Of white 4, channel 1 holds 0, 0, 1, 1: mean 0.5, deviation 0.5. Channel 2 holds 0, 0, 0, 1: mean 0.25, sqrt(3) / 4."""
    images = np.array([[[[0, 0]], [[0, 0]]], [[[4, 4]], [[0, 4]]]], dtype=np.uint8)
    found = fit_standardise(images, 4)
    assert found.mean == (0.5, 0.25)
    assert found.std == pytest.approx((0.5, 3**0.5 / 4))


def test_standardised_pixels_have_mean_zero_and_deviation_one() -> None:
    images = random_bytes(20, 3, 5, 5)
    standardised = fit_standardise(images, 255).apply(pixels_of(images))
    torch.testing.assert_close(standardised.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(standardised.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_invert_gives_the_pixels_back() -> None:
    images = random_bytes(20, 3, 5, 5)
    found = fit_standardise(images, 255)
    torch.testing.assert_close(found.invert(found.apply(pixels_of(images))), pixels_of(images))


def test_each_channel_has_its_own_numbers() -> None:
    """(0.5 - 0.1) / 0.2 = 2 and (0.5 - 0.4) / 0.1 = 1."""
    images = Standardise(mean=(0.1, 0.4), std=(0.2, 0.1)).apply(torch.full((1, 2, 1, 1), 0.5))
    torch.testing.assert_close(images.flatten(), torch.tensor([2.0, 1.0]))


def test_what_lies_outside_the_pixel_scale_is_kept() -> None:
    assert float(Standardise(mean=(0.5,), std=(0.5,)).invert(torch.full((1, 1, 1, 1), 3.0))) == 2.0


@pytest.mark.parametrize("value", [0, 25, 255])
def test_a_constant_channel_is_refused(value: int) -> None:
    images = random_bytes(10, 2, 4, 4)
    images[:, 1] = value
    with pytest.raises(DataError, match="a colour channel has the same value in every train image; remove the channel or check"):
        fit_standardise(images, 255)


def test_two_uncorrelated_pixels_are_whitened_each_by_its_own_variance() -> None:
    """The four corners of a square: each pixel is 0 or 1 with mean 0.5 and unbiased variance 4 * 0.25 / 3 = 1 / 3, covariance 0.

    So a white pixel becomes 0.5 / sqrt(1 / 3 + 0.1) = 0.7596, and a black one the negative.
    """
    images = np.array([[0, 0], [0, 255], [255, 0], [255, 255]], dtype=np.uint8).reshape(4, 1, 1, 2)
    whitened = fit("zca", images, 255).apply(pixels_of(images))
    expected = (pixels_of(images) - 0.5) / (1 / 3 + 0.1) ** 0.5
    torch.testing.assert_close(whitened, expected)
    assert float(whitened.max()) == pytest.approx(0.7596, abs=1e-4)


def test_whitening_takes_correlations_out() -> None:
    """Along an axis of variance v the whitened variance is v / (v + 0.1); pixels here have v near 25, so the identity is near."""
    generator = np.random.default_rng(0)
    images = (generator.normal(size=(4000, 6)) @ generator.normal(size=(6, 6)) * 20 + 128).clip(0, 255).astype(np.uint8)
    images = images.reshape(-1, 1, 2, 3)
    whitened = fit("zca", images, 1).apply(torch.from_numpy(images).to(torch.float32)).flatten(1)
    torch.testing.assert_close(whitened.T.cov(), torch.eye(6), atol=0.02, rtol=0)


def test_whitened_images_turn_back_into_their_pixels() -> None:
    images = random_bytes(300, 3, 8, 8)
    found = fit("zca", images, 255)
    torch.testing.assert_close(found.invert(found.apply(pixels_of(images))), pixels_of(images), atol=1e-5, rtol=0)


def test_the_matrices_are_made_once_and_named_by_what_shaped_them(monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_bytes(50, 1, 4, 4)
    first = fit("zca", images, 255)
    monkeypatch.setattr(zca, "_decompose", lambda images, white: pytest.fail("made twice"))
    assert fit("zca", images, 255) == first
    assert isinstance(first, Whiten)
    assert [path.stem for path in (cache_folder() / "zca").iterdir()] == [first.key]


def test_a_damaged_file_of_matrices_is_named_and_made_again() -> None:
    """One bit of the last value is another, which leaves a readable file."""
    images = random_bytes(50, 1, 4, 4)
    whitened = fit("zca", images, 255).apply(pixels_of(images))
    (path,) = (cache_folder() / "zca").iterdir()
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    zca.matrices.cache_clear()
    with pytest.raises(DataError, match=rf"{path} is damaged \(its hash is not the one in it, .*\); delete it, and it is"):
        zca.matrices(path.stem)
    torch.testing.assert_close(fit("zca", images, 255).apply(pixels_of(images)), whitened, rtol=0, atol=0)
    assert path.read_bytes() == data


def test_matrices_of_an_older_version_are_read_where_it_kept_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no hash of themselves."""
    images = random_bytes(50, 1, 4, 4)
    key = zca.fit(images, 255)
    (tmp_path / "zca").rename(tmp_path / "earlier")
    (tmp_path / "earlier" / f"{key}.safetensors").write_bytes(save(zca._decompose(images, 255)))
    zca.matrices.cache_clear()
    monkeypatch.setattr(zca, "_decompose", lambda images, white: pytest.fail("made twice"))
    assert zca.fit(images, 255) == key
    assert not (tmp_path / "zca").exists()


@pytest.mark.parametrize("change", ["a pixel", "white"])
def test_other_images_have_other_matrices(change: str) -> None:
    images = random_bytes(50, 1, 4, 4)
    first = fit("zca", images, 255)
    if change == "a pixel":
        images[0, 0, 0, 0] ^= 1
    assert fit("zca", images, 254 if change == "white" else 255) != first


def test_matrices_that_are_not_here_are_asked_for() -> None:
    with pytest.raises(
        DataError, match=r"the ZCA matrices 0123456789ab are not in .*zca; load the data set of this synthetic set"
    ):
        Whiten(key="0123456789abcdef").invert(torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize("content", [b"no", None], ids=["no file of tensors", "other tensors"])
def test_damaged_matrices_are_named(content: bytes | None) -> None:
    path = cache_folder() / "zca" / "0123456789abcdef.safetensors"
    path.parent.mkdir()
    path.write_bytes(save({"other": torch.zeros(1)}) if content is None else content)
    with pytest.raises(DataError, match=r"0123456789abcdef.safetensors is damaged \(.*\); delete it, and it is computed again"):
        Whiten(key="0123456789abcdef").apply(torch.zeros(1, 1, 2, 2))


def test_large_images_are_not_whitened() -> None:
    """224 * 224 * 3 = 150,528 values; their square times 4 bytes is 90.6 GB."""
    message = r"whitening images of 224 x 224 pixels needs a matrix of 150528 x 150528 values \(91 GB\); at most 64 x 64"
    with pytest.raises(DataError, match=message):
        fit("zca", np.zeros((2, 3, 224, 224), dtype=np.uint8), 255)


def test_the_fits_do_not_change_with_the_number_of_threads() -> None:
    images = random_bytes(3000, 1, 8, 8)
    before = torch.get_num_threads()
    standardised, whitened = [], []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            standardised.append(fit_standardise(images, 255))
            made = zca._decompose(images, 255)
            whitened.append(
                torch.cat([tensor.flatten() for tensor in (*made.values(), zca.times(pixels_of(images), made["whiten"]))])
            )
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert standardised[0] == standardised[1] == standardised[2]
    assert torch.equal(whitened[0], whitened[1])
    assert torch.equal(whitened[0], whitened[2])


@pytest.mark.parametrize("count", [1, 2, 27, 1000])
def test_bytes_counted_in_pairs_are_all_counted(count: int) -> None:
    """Also the last one of an odd number."""
    from raydistill.data.preprocess import _histogram

    values = np.random.default_rng(count).integers(0, 256, count, dtype=np.uint8)
    assert _histogram(values).tolist() == np.bincount(values, minlength=256).tolist()
