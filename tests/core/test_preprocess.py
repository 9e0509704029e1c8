"""Standardisation by hand, and back."""

from __future__ import annotations

import pytest
import torch

from raydistill.core.preprocess import Standardise, fit_standardise


def test_mean_and_population_deviation_are_taken_per_channel() -> None:
    """Channel 1 holds 0, 0, 1, 1: mean 0.5, deviation 0.5. Channel 2 holds 0, 0, 0, 1: mean 0.25, deviation sqrt(3) / 4."""
    pixels = torch.tensor([[[[0.0, 0.0]], [[0.0, 0.0]]], [[[1.0, 1.0]], [[0.0, 1.0]]]])
    found = fit_standardise(pixels)
    assert found.mean == (0.5, 0.25)
    assert found.std == pytest.approx((0.5, 3**0.5 / 4))


def test_standardised_pixels_have_mean_zero_and_deviation_one() -> None:
    pixels = torch.rand(20, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    images = fit_standardise(pixels).apply(pixels)
    torch.testing.assert_close(images.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_invert_gives_the_pixels_back() -> None:
    pixels = torch.rand(20, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    found = fit_standardise(pixels)
    torch.testing.assert_close(found.invert(found.apply(pixels)), pixels)


def test_each_channel_has_its_own_numbers() -> None:
    """(0.5 - 0.1) / 0.2 = 2 and (0.5 - 0.4) / 0.1 = 1."""
    images = Standardise(mean=(0.1, 0.4), std=(0.2, 0.1)).apply(torch.full((1, 2, 1, 1), 0.5))
    torch.testing.assert_close(images.flatten(), torch.tensor([2.0, 1.0]))


def test_what_lies_outside_the_pixel_scale_is_kept() -> None:
    assert float(Standardise(mean=(0.5,), std=(0.5,)).invert(torch.full((1, 1, 1, 1), 3.0))) == 2.0


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_a_constant_channel_is_refused(value: float) -> None:
    pixels = torch.rand(10, 2, 4, 4)
    pixels[:, 1] = value
    with pytest.raises(ValueError, match="a colour channel has the same value in every train image; drop the channel or check"):
        fit_standardise(pixels)


def test_the_fit_does_not_change_with_the_number_of_threads() -> None:
    pixels = torch.rand(3000, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    fits = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        fits.append(fit_standardise(pixels))
    torch.set_num_threads(before)
    assert fits[0] == fits[1] == fits[2]
