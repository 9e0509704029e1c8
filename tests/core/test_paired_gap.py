"""The certificate's interval: worked by hand, in the limits that have a name, and in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta, t

from raydistill.core.paired_gap import image_bound, pair_variance, paired_gap, planned_half_width, sum_differences


def test_the_gap_is_the_mean_difference() -> None:
    """Full networks get 4 and 3 of 4 images right, the set's 2 and 1: (7 - 3) / 8."""
    full, synthetic = np.array([[1, 1, 1, 1], [1, 1, 1, 0]]), np.array([[1, 1, 0, 0], [1, 0, 0, 0]])
    found = paired_gap(full == 1, synthetic == 1, 0.95)
    assert (found.gap, found.networks, found.images, found.confidence) == (0.5, 2, 4, 0.95)
    assert found.lower < 0.5 < found.upper


def test_the_image_bound_by_hand() -> None:
    """Three images without a difference and one more at 1: weights (1, 1, 1, 1), values 0, 0, 0, 1.

    Mean 1/4. Squares about it 3/16 + 9/16 = 0.75, by 4 * 5: variance 0.0375, deviation 0.193649. Cubes -3/64 + 27/64 = 0.375,
    twice that by 4 * 5 * 6: 0.00625; by 0.0375^1.5 = 0.00726184: skewness 0.860663. A Pearson III curve of skewness g is a gamma
    of shape (2/g)^2 = 5.4 in units of g/2 deviations, its 95 % point at 9.701 - 5.4 of these: 1.851 deviations above the mean.
    """
    from scipy.stats import gamma

    point = (gamma.ppf(0.95, 5.4) - 5.4) * 0.860663 / 2
    assert point == pytest.approx(1.8509, abs=1e-3)
    found = float(image_bound(sum_differences(np.zeros((2, 3))), 0.95))
    assert found == pytest.approx(0.25 + point * 0.193649, abs=1e-5)


@pytest.mark.parametrize(("images", "lost"), [(450, 0), (450, 1), (450, 9), (10_000, 50)])
def test_on_images_that_are_lost_or_not_the_image_bound_is_clopper_and_pearsons(images: int, lost: int) -> None:
    """Clopper and Pearson's upper bound of k among n is the 95 % point of Beta(k + 1, n - k)."""
    differences = np.zeros((2, images))
    differences[:, :lost] = 1
    expected = beta.ppf(0.95, lost + 1, images - lost)
    assert float(image_bound(sum_differences(differences), 0.95)) == pytest.approx(expected, rel=1e-3)


def test_pairs_that_agree_leave_the_image_bound_alone() -> None:
    differences = np.zeros((4, 100))
    differences[:, :3] = 1
    found = paired_gap(differences == 1, np.zeros((4, 100), dtype=bool), 0.95)
    assert found.upper == pytest.approx(float(image_bound(sum_differences(differences), 0.95)))


def test_variance_that_is_the_pairs_own_is_counted_once() -> None:
    """Two pairs on four images: differences 1 1 0 0 and 1 0 0 0, means 0.5 and 0.25, gap 0.375.

    Between pairs 4 * (0.125^2 + 0.125^2) = 0.125 (1 degree); between images, whose means are 1, 0.5, 0, 0:
    2 * (0.625^2 + 0.125^2 + 2 * 0.375^2) = 1.375; in all 3 - 8 * 0.375^2 = 1.875, so the rest is 0.375 over 3 degrees: 0.125. The
    pairs' mean square is no larger than that: nothing is their own.
    """
    assert float(pair_variance(sum_differences(np.array([[1.0, 1, 0, 0], [1, 0, 0, 0]])))) == 0
    # Shifted as a whole by 1/2 and -1/2 the pairs differ by themselves: mean square 4 * 2 * 0.5^2 / 1 = 2, no rest, 2 / (4 * 2).
    assert float(pair_variance(sum_differences(np.array([[0.5] * 4, [-0.5] * 4])))) == pytest.approx(0.25)


def test_both_parts_stand_at_a_right_angle() -> None:
    """Where images do not vary, pairs at +-0.1 have variance 0.02 / 2 of their mean; t(1, 95 %) = 6.314 times its root."""
    differences = np.array([[0.1] * 50, [-0.1] * 50])
    of_pairs = t.ppf(0.95, 1) * 0.1
    of_images = float(image_bound(sum_differences(differences), 0.95))
    found = paired_gap(differences.clip(0), (-differences).clip(0), 0.95)
    assert found.upper == pytest.approx(math.hypot(of_images, of_pairs))
    assert found.lower == pytest.approx(-found.upper)


def test_exchanged_sides_exchange_the_bounds() -> None:
    generator = np.random.default_rng(0)
    full, synthetic = generator.random((5, 200)) < 0.95, generator.random((5, 200)) < 0.85
    one, other = paired_gap(full, synthetic, 0.95), paired_gap(synthetic, full, 0.95)
    assert (other.gap, other.lower, other.upper) == pytest.approx((-one.gap, -one.upper, -one.lower))


def test_more_confidence_is_a_wider_interval() -> None:
    generator = np.random.default_rng(1)
    full, synthetic = generator.random((5, 200)) < 0.95, generator.random((5, 200)) < 0.9
    assert paired_gap(full, synthetic, 0.99).upper > paired_gap(full, synthetic, 0.95).upper


@pytest.mark.parametrize(("full", "synthetic"), [((1, 9), (1, 9)), ((3, 9), (2, 9)), ((3, 9), (3, 8)), ((9,), (9,))])
def test_sides_that_are_no_pairs_are_refused(full: tuple[int, ...], synthetic: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected the same shape twice, with at least two pairs"):
        paired_gap(np.ones(full, dtype=bool), np.ones(synthetic, dtype=bool), 0.95)


def test_the_planned_half_width_puts_together_what_is_planned() -> None:
    """450 images, 10 pairs: image deviation 0.1, pairs sqrt(2) * 0.004 with t(9, 95 %) = 1.8331.

    Of the pairs the rest is nothing, so s = sqrt(2) * 0.004 / sqrt(10) = 0.00178885, times 1.8331 = 0.00327916. Images: mean
    1/451 = 0.00221729, squares 4.5 + 1 - 1/451 = 5.49778 by 451 * 452, deviation 0.00519326; cubes 1 - 3 * 5.5 / 451 +
    2 / 451^2 = 0.963425, twice by 451 * 452 * 453 = 2.08657e-8 over 1.40062e-7: skewness 0.148975, point 1.6858: 0.0109721.
    Together sqrt(0.0109721^2 + 0.00327916^2) = 0.01145.
    """
    assert planned_half_width(450, 10, 0.95) == pytest.approx(0.01145, abs=1e-5)


def test_more_images_or_pairs_plan_a_narrower_interval() -> None:
    assert planned_half_width(10_000, 10, 0.95) < planned_half_width(450, 10, 0.95) < planned_half_width(450, 5, 0.95)


def test_a_set_that_loses_every_image_has_the_worst_bound() -> None:
    """All differences are 1, and so is the one more image: no variance, and a bound of 1."""
    found = paired_gap(np.ones((3, 40), dtype=bool), np.zeros((3, 40), dtype=bool), 0.95)
    assert (found.gap, found.upper) == (1.0, 1.0)
    assert 0.8 < found.lower < 1
    exchanged = paired_gap(np.zeros((3, 40), dtype=bool), np.ones((3, 40), dtype=bool), 0.95)
    assert (exchanged.gap, exchanged.lower, exchanged.upper) == (-1.0, -1.0, -found.lower)


def test_sides_that_agree_on_every_image_are_not_taken_for_certain() -> None:
    """Clopper and Pearson's upper bound of 0 among 40 is 1 - 0.05^(1/40)."""
    found = paired_gap(np.ones((3, 40), dtype=bool), np.ones((3, 40), dtype=bool), 0.95)
    assert found.upper == pytest.approx(1 - 0.05 ** (1 / 40), rel=0.05)
    assert found.lower == -found.upper
