"""NCFM's maths by hand, its golden losses, and what its settings change."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from three_classes import NETWORK, ON_ANY_CPU, distil_noted
from torch import Tensor

from raydistill.core.layers import Features
from raydistill.core.synthetic import SyntheticSet
from raydistill.errors import DivergedError
from raydistill.methods import METHODS
from raydistill.methods.configs.ncfm import ABLATIONS, NCFMConfig
from raydistill.methods.ncfm import FrequencySampler, characteristic_functions, discrepancies, unit_embeddings
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import MLPConfig, NetworkConfig

CPU = torch.device("cpu")
SHORT: dict[str, Any] = {"name": "ncfm", "random_inits": 4, "batch_real": 5, "frequencies": 40, "lr_images": 0.05}
ONE = torch.ones(1, 1)
"""A single frequency, 1, of features of one dimension."""


def run(network: NetworkConfig = NETWORK, **fields: Any) -> tuple[SyntheticSet, list[float]]:
    pool = {"pool": 2, "pool_steps": 3, "factor": 2}
    return distil_noted(NCFMConfig.model_validate({**SHORT, **pool, **fields}), network)


def at_one(*features: float) -> Tensor:
    """The characteristic function at frequency 1 of features of one dimension."""
    return characteristic_functions(torch.tensor(features, dtype=torch.float64).reshape(1, -1, 1), ONE.double())


def apart(real: Tensor, synthetic: Tensor, amplitude_share: float = 0.5) -> float:
    return discrepancies(real, synthetic, amplitude_share).item()


def test_opposite_features_cancel() -> None:
    """Features 0 and pi at t = 1: (1 + e^(i pi)) / 2 = 0."""
    torch.testing.assert_close(at_one(0.0, math.pi), torch.zeros(1, 1, 2).double(), rtol=0, atol=1e-15)


def test_characteristic_functions_by_hand() -> None:
    """Features (0, 0) and (pi/2, pi): (1 + i) / 2 at t = (1, 0), and (1 - 1) / 2 = 0 at t = (0, 1). At t = (2, 2) the second
    angle is 3 pi, whose exponential is -1: 0 again."""
    features = torch.tensor([[[0.0, 0.0], [math.pi / 2, math.pi]]]).double()
    found = characteristic_functions(features, torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]]).double())
    expected = torch.tensor([[[0.5, 0.5], [0.0, 0.0], [0.0, 0.0]]]).double()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_a_difference_of_amplitude_alone() -> None:
    """1 against 0: the amplitudes differ by 1, and a phase of 0 does not count: the root of alpha."""
    assert apart(at_one(0.0, 0.0), at_one(0.0, math.pi), amplitude_share=0.25) == pytest.approx(0.5)


def test_a_difference_of_phase_alone() -> None:
    """1 against i: equal amplitudes, and 2 x 1 x 1 x (1 - cos 90 degrees) = 2, weighted by 1 - alpha = 1/8: the root of 1/4."""
    assert apart(at_one(0.0), at_one(math.pi / 2), amplitude_share=0.875) == pytest.approx(0.5)


def test_a_difference_of_both() -> None:
    """1 against (1 + i) / 2: the amplitude is 1/sqrt 2 and the phase 45 degrees. (1 - 1/sqrt 2)^2 = 3/2 - sqrt 2, and
    2 / sqrt 2 x (1 - 1 / sqrt 2) = sqrt 2 - 1; a quarter of the first and three quarters of the second: sqrt 2 / 2 - 3/8."""
    found = apart(at_one(0.0), at_one(0.0, math.pi / 2), amplitude_share=0.25)
    assert found == pytest.approx(math.sqrt(math.sqrt(2) / 2 - 3 / 8))


def test_equal_weights_are_half_of_the_squared_distance() -> None:
    """1 against i lies sqrt 2 apart in the plane; half of 2 is 1."""
    assert apart(at_one(0.0), at_one(math.pi / 2)) == pytest.approx(1.0)


def test_discrepancies_are_those_of_angles_and_lengths() -> None:
    """Equation 8 as it is written, with complex numbers, on random features."""
    generator = torch.Generator().manual_seed(3)
    real, synthetic = (torch.randn(2, count, 4, generator=generator).double() for count in (6, 3))
    frequencies = torch.randn(5, 4, generator=generator).double()
    a, b = (torch.exp(1j * (features @ frequencies.T)).mean(dim=1) for features in (real, synthetic))
    phases = 2 * a.abs() * b.abs() * (1 - torch.cos(a.angle() - b.angle()))
    expected = (0.3 * (a.abs() - b.abs()).square() + 0.7 * phases).sqrt()
    functions = [characteristic_functions(features, frequencies) for features in (real, synthetic)]
    torch.testing.assert_close(discrepancies(functions[0], functions[1], 0.3), expected)


def test_equal_features_have_no_discrepancy_and_a_finite_gradient() -> None:
    features = torch.tensor([[[0.3], [2.0]]], requires_grad=True)
    loss = discrepancies(characteristic_functions(features.detach(), ONE), characteristic_functions(features, ONE), 0.5)
    (slope,) = torch.autograd.grad(loss.sum(), features)
    assert loss.item() < 1e-5
    assert bool(torch.isfinite(slope).all())


def test_features_that_cancel_have_a_finite_gradient() -> None:
    """An amplitude of 0 has no direction: cos 0 + cos pi is 0 exactly, and so is sin 0 + sin 0."""
    functions = torch.zeros(1, 1, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(discrepancies(at_one(0.0).float(), functions, 0.5).sum(), functions)
    assert bool(torch.isfinite(slope).all())


def test_embeddings_are_cut_to_length_one_and_kept_by_class() -> None:
    """(3, 4) has length 5."""
    features = Features([], torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    (found,) = unit_embeddings(features, 2)
    torch.testing.assert_close(found, torch.tensor([[[0.6, 0.8]], [[0.0, 1.0]]]))


def drawn(sampler: FrequencySampler, count: int = 40) -> Tensor:
    return sampler.draw(count, torch.Generator().manual_seed(5))


def new_sampler(lr: float = 0.01, size: int = 3) -> FrequencySampler:
    return FrequencySampler(size, torch.Generator().manual_seed(1), CPU, lr=lr)


def test_frequencies_begin_as_standard_normal_draws() -> None:
    frequencies = drawn(new_sampler(size=8), 4096)
    assert frequencies.shape == (4096, 8)
    assert frequencies.mean().item() == pytest.approx(0.0, abs=0.03)
    assert frequencies.std().item() == pytest.approx(1.0, abs=0.03)


def test_sixteen_frequencies_share_their_scales() -> None:
    """After a step the ratio to the first draws is the scale: 40 frequencies have three, of 16, 16 and 8."""
    sampler = new_sampler()
    before = drawn(sampler)
    for _ in range(3):
        slopes = torch.autograd.grad(drawn(sampler).square().mean(), sampler.learned)
        sampler.ascend(slopes)
    scales = drawn(sampler) / before
    assert bool((scales != 1).all())
    for part in scales.split(16):
        torch.testing.assert_close(part, part[:1].expand_as(part))
    assert not torch.allclose(scales[0], scales[16])
    assert not torch.allclose(scales[16], scales[32])


def test_scales_stay_between_zero_and_two() -> None:
    sampler = new_sampler()
    before = drawn(sampler)
    sampler.ascend([torch.full_like(weights, 1e6) for weights in sampler.learned])
    scales = drawn(sampler) / before
    assert bool(((scales >= 0) & (scales <= 2.0001)).all())


def test_a_step_of_the_sampler_raises_the_discrepancy() -> None:
    """The two classes differ in their second feature alone, so its frequencies grow more than the others."""
    real, synthetic = torch.zeros(1, 4, 3), torch.tensor([0.0, 0.3, 0.0]).expand(1, 4, 3)
    sampler = new_sampler(lr=1.0)

    def loss() -> Tensor:
        frequencies = drawn(sampler)
        both = [characteristic_functions(features, frequencies) for features in (real, synthetic)]
        return discrepancies(both[0], both[1], 0.5).mean()

    first, before = loss(), drawn(sampler)
    sampler.ascend(torch.autograd.grad(first, sampler.learned))
    assert loss() > first
    scales = (drawn(sampler) / before).mean(dim=0)
    assert scales[1] > 1
    torch.testing.assert_close(scales[[0, 2]], torch.ones(2))


def test_without_a_rate_the_sampler_learns_nothing() -> None:
    sampler = new_sampler(lr=0.0)
    assert sampler.learned == []
    assert not drawn(sampler).requires_grad


@pytest.mark.usefixtures("float64")
def test_golden_losses() -> None:
    assert run()[1] == pytest.approx(GOLDEN, rel=ON_ANY_CPU)


@pytest.mark.usefixtures("float64")
def test_golden_losses_of_fresh_networks_and_fixed_frequencies() -> None:
    found = run(pool=0, calibration_weight=0.0, lr_sampler=0.0, factor=1, amplitude_share=0.9)[1]
    assert found == pytest.approx(GOLDEN_FIXED, rel=ON_ANY_CPU)


def test_what_the_sampler_learns_changes_later_losses() -> None:
    still, learning = (run(random_inits=3, lr_sampler=lr)[1] for lr in (0.0, 10.0))
    assert still[0] == learning[0]
    assert still[1:] != learning[1:]


def test_noise_start_moves_towards_the_real_images() -> None:
    _, losses = run(random_inits=60, init="noise", lr_images=0.1, augmentation="none", pool=0, calibration_weight=0.0)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_a_network_without_maps_will_do() -> None:
    _, losses = run(MLPConfig(name="mlp", width=8))
    assert len(losses) == 4
    config = NCFMConfig(name="ncfm", batch_real=256)
    assert list(config.against(DataFacts(smallest_class=256, confirm_images=300), MLPConfig(name="mlp"))) == []


def test_a_batch_above_the_smallest_class_is_told() -> None:
    ((field, message),) = NCFMConfig(name="ncfm").against(DataFacts(smallest_class=77, confirm_images=300), NETWORK)
    assert (field, message) == ("batch_real", "given 1024; the smallest class has 77 train images: write at most that number")


def test_diverging_images_name_the_step() -> None:
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at step \d+; lower the learning rates"):
        run(random_inits=30, lr_images=1e30)


def test_cost_counts_real_images_tiles_calibration_and_the_pool() -> None:
    """3 updates x 10 classes x (5 real + 2 x 2 x 4 synthetic images), and 2 networks x 7 steps x 64 images."""
    config = NCFMConfig(name="ncfm", random_inits=3, batch_real=5, pool=2, pool_steps=7, factor=2)
    assert METHODS["ncfm"].images_passed(config, 2, 10) == 3 * 10 * (5 + 16) + 2 * 7 * 64


def test_ablations_turn_each_part_off() -> None:
    config = NCFMConfig(name="ncfm")
    assert {part: fields(config) for part, fields in ABLATIONS.items()} == {
        "sampling network": {"lr_sampler": 0.0},
        "amplitude": {"amplitude_share": 0.0},
        "phase": {"amplitude_share": 1.0},
        "augmentation": {"augmentation": "none"},
        "calibration": {"calibration_weight": 0.0},
        "moving average": {"ema_decay": 0.0},
    }


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_amplitude_and_phase_are_turned_off_only_beside_each_other(share: float) -> None:
    config = NCFMConfig(name="ncfm", amplitude_share=share)
    assert ABLATIONS["amplitude"](config) == {}
    assert ABLATIONS["phase"](config) == {}


GOLDEN = [64.13099313543238, 53.91685984898032, 57.48048012683192, 51.35225191506928]
GOLDEN_FIXED = [15.22872374262839, 19.295570999818366, 13.107386015781074, 22.709924520480993]
