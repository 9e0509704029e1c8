"""The lossless rule: the gap and its bounds by hand and by simulation, the smallest margin, and hopeless trials."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.stats import norm

from raydistill.core.lossless import gap_interval, is_admissible, is_hopeless, smallest_margin


def bits(*rows: str) -> NDArray[np.bool_]:
    return np.array([[letter == "1" for letter in row] for row in rows])


def test_gap_and_bounds_carry_three_variances() -> None:
    """Full networks get 1 and 0.75 of four images right, synthetic ones 0.5 and 0.25.

    Per image the differences are 0, 0.5, 1, 0.5: gap 0.5. Variances: of the full accuracies 0.03125 / 2 = 0.015625, of the
    synthetic ones the same, of the differences (0.25 + 0.25) / 3 / 4 = 0.0416667: together 0.0729167, root 0.270031. Freedom
    0.0729167^2 / (2 * 0.015625^2 / 1 + 0.0416667^2 / 3) = 4.983, whose 95 % quantile is 2.016563. Half-width 0.544534: above
    1 - 0.05^(1/4) = 0.527129. The differences are not skewed.
    """
    found = gap_interval(bits("1111", "1110"), bits("1100", "1000"), 0.95)
    assert found.gap == 0.5
    assert found.upper == pytest.approx(0.5 + 0.544534, abs=1e-6)
    assert found.lower == pytest.approx(0.5 - 0.544534, abs=1e-6)
    assert (found.confidence, found.networks, found.images) == (0.95, 2, 4)


def test_a_skewed_difference_widens_the_long_side() -> None:
    """All networks agree; only the last of four images is lost: differences 0, 0, 0, 1, gap 0.25, variance 0.25 / 4 = 0.0625.

    Freedom 3, quantile 2.353363, half-width 2.353363 * 0.25 = 0.588341. Third moment (3 * -0.015625 + 0.421875) / 4 = 0.09375, by
    16 images squared 0.005859375; times (2 * 2.353363^2 + 1) / (6 * 0.0625) = 32.204360 gives 0.188698 on the upper side.
    """
    found = gap_interval(bits("1111", "1111"), bits("1110", "1110"), 0.95)
    assert found.lower == pytest.approx(0.25 - 0.588341, abs=1e-5)
    assert found.upper == pytest.approx(0.25 + 0.588341 + 0.188698, abs=1e-5)


def test_the_two_sides_can_be_exchanged() -> None:
    generator = np.random.default_rng(0)
    full, synthetic = generator.random((5, 40)) < 0.9, generator.random((7, 40)) < 0.6
    found, exchanged = gap_interval(full, synthetic, 0.9), gap_interval(synthetic, full, 0.9)
    assert exchanged.gap == pytest.approx(-found.gap)
    assert exchanged.lower == pytest.approx(-found.upper)
    assert exchanged.upper == pytest.approx(-found.lower)


def test_networks_that_agree_in_everything_may_differ_where_nobody_looked() -> None:
    """A rate r of disagreement stays unseen on 300 images with (1 - r)^300; 5 % of that is r = 1 - 0.05^(1/300) = 0.009936."""
    same = np.ones((10, 300), dtype=bool)
    found = gap_interval(same, same, 0.95)
    assert (found.gap, found.upper) == (0, pytest.approx(0.009936, abs=1e-6))
    assert found.lower == pytest.approx(-0.009936, abs=1e-6)


def test_more_confidence_is_a_wider_interval() -> None:
    generator = np.random.default_rng(0)
    full, synthetic = generator.random((5, 40)) < 0.9, generator.random((7, 40)) < 0.6
    assert gap_interval(full, synthetic, 0.99).upper > gap_interval(full, synthetic, 0.95).upper


@pytest.mark.parametrize(
    ("full", "synthetic"),
    [(bits("11"), bits("11", "11")), (bits("11", "11"), bits("11")), (bits("11", "11"), bits("111", "111"))],
)
def test_one_network_or_other_images_are_refused(full: NDArray[np.bool_], synthetic: NDArray[np.bool_]) -> None:
    with pytest.raises(ValueError, match="expected at least two networks each, and the same images"):
        gap_interval(full, synthetic, 0.95)


@dataclass(frozen=True, kw_only=True)
class Crossed:
    """Ten networks a side read 300 images; network f is right on image i where level + a_i + b_f + d_i + e_fi is above 0.

    All four are normal: a_i, the image's ease, is the same on both sides; d_i is the image's with one side; b_f is the
    network's; e_fi, of deviation 1, is the rest. Levels are set so that the expected accuracies are `full` and `synthetic`.
    """

    full: float
    synthetic: float
    ease: float
    side: float
    network: float

    def coverage(self, repetitions: int, seed: int = 0) -> tuple[float, float]:
        """How often the 95 % upper and lower bounds hold the true gap."""
        generator = np.random.default_rng(seed)
        scale = sqrt(1 + self.ease**2 + self.side**2 + self.network**2)
        true = self.full - self.synthetic
        above = below = 0
        for _ in range(repetitions):
            ease = self.ease * generator.standard_normal(300)
            sides = []
            for accuracy in (self.full, self.synthetic):
                level = scale * norm.ppf(accuracy) + ease + self.side * generator.standard_normal(300)
                networks = self.network * generator.standard_normal((10, 1))
                sides.append(level + networks + generator.standard_normal((10, 300), dtype=np.float32) > 0)
            found = gap_interval(sides[0], sides[1], 0.95)
            above += found.upper >= true
            below += found.lower <= true
        return above / repetitions, below / repetitions


@pytest.mark.parametrize(
    ("truth", "at_least"),
    [
        pytest.param(Crossed(full=0.985, synthetic=0.965, ease=3, side=1, network=0.1), 0.94, id="as on digits, at the margin"),
        pytest.param(Crossed(full=0.98, synthetic=0.97, ease=3, side=0, network=0.1), 0.94, id="images of equal difficulty"),
        pytest.param(Crossed(full=0.9, synthetic=0.85, ease=3, side=3, network=0.1), 0.94, id="images lost by one side"),
        pytest.param(Crossed(full=0.9, synthetic=0.8, ease=1, side=0, network=0.3), 0.94, id="networks that scatter"),
        pytest.param(Crossed(full=0.985, synthetic=0.965, ease=4, side=3, network=0.15), 0.925, id="few images lost for good"),
    ],
)
def test_bounds_at_95_percent_hold_about_as_often(truth: Crossed, at_least: float) -> None:
    """1,500 repetitions tell 95 % to a standard deviation of 0.6 points.

    The last case is the worst that the model gives near a margin of 2 points: a difference that sits in few images.
    """
    above, below = truth.coverage(1500)
    assert above >= at_least
    assert below >= at_least


def test_a_gap_at_the_margin_is_rarely_called_lossless_when_networks_agree() -> None:
    """The true gap is 2 % and sits in whole images: k of 300 are lost, k binomial, and each network of a side says the same.

    By the upper bound k = 0, 1, 2 are called lossless at a margin of 2 %, with probability 0.0023 + 0.0143 + 0.0436 = 0.060.
    """
    called = []
    for lost in range(8):
        synthetic = np.ones((10, 300), dtype=bool)
        synthetic[:, :lost] = False
        called.append(gap_interval(np.ones((10, 300), dtype=bool), synthetic, 0.95).upper <= 0.02)
    assert called == [True] * 3 + [False] * 5


@pytest.mark.parametrize(
    ("images", "synthetic", "full", "confidence", "margin"),
    [
        (300, 10, 10, 0.95, 0.009972),
        (5000, 10, 10, 0.95, 0.003826),
        (5000, 25, 2, 0.95, 0.010432),
        (100, 10, 10, 0.95, 0.029513),
        (300, 10, 10, 0.99, 0.015233),
    ],
)
def test_the_smallest_margin_is_the_planned_half_width(
    images: int, synthetic: int, full: int, confidence: float, margin: float
) -> None:
    """V = 0.1^2 / n + 0.004^2 / R + 0.004^2 / F, its root times Student's quantile, or 1 - (1 - c)^(1/n) where that is more.

    300: the parts 3.3333e-5 (299 degrees of freedom) and twice 1.6e-6 (9 each) are 3.6533e-5 with 311 degrees, 0.00604428 *
    1.649764 = 0.009972 (against 0.009936). 5,000 and 10: 0.00228035 with 29.3. 5,000, 25 and 2: 1.064e-5 with 1.77 degrees. 100:
    1 - 0.05^0.01 = 0.029513. 300 at 99 %: 1 - 0.01^(1/300) = 0.015233.
    """
    assert smallest_margin(images, synthetic, full, confidence) == pytest.approx(margin, abs=2e-6)
    parts = [(1e-2 / images, images - 1), (1.6e-5 / synthetic, synthetic - 1), (1.6e-5 / full, full - 1)]
    variance = sum(part for part, _ in parts)
    quantile = stats.t.ppf(confidence, variance**2 / sum(part**2 / free for part, free in parts))
    assert margin == pytest.approx(max(quantile * variance**0.5, 1 - (1 - confidence) ** (1 / images)), abs=2e-6)


def test_one_network_is_planned_as_two_are() -> None:
    assert smallest_margin(5000, 1, 10, 0.95) > smallest_margin(5000, 2, 10, 0.95)


@pytest.mark.parametrize(("moves_by", "admissible"), [(0.0, True), (0.0049, True), (0.005, False), (0.02, False)])
def test_a_recipe_is_admissible_below_a_quarter_of_the_margin(moves_by: float, admissible: bool) -> None:
    """A quarter of 0.02 is 0.005."""
    assert is_admissible(moves_by, 0.02, 0.97, 0.1) is admissible


@pytest.mark.parametrize(("accuracy", "chance", "admissible"), [(0.1, 0.1, False), (0.12, 0.1, False), (0.13, 0.1, True)])
def test_a_baseline_is_admissible_above_chance_by_more_than_the_margin(accuracy: float, chance: float, admissible: bool) -> None:
    """One answer for every image has a gap of 0, 0.02 and 0.03: by a margin of 0.02 the first two would be lossless."""
    assert is_admissible(0.0, 0.02, accuracy, chance) is admissible


def test_a_baseline_of_an_older_version_does_not_tell_chance() -> None:
    assert is_admissible(0.0, 0.02, 0.1, None)


@dataclass(frozen=True)
class Point:
    fraction: float
    gap: float


@pytest.mark.parametrize(
    ("points", "hopeless"),
    [
        ([], False),
        ([(0.0, 0.9)], False),
        ([(0.0, 0.30), (0.5, 0.10)], False),
        ([(0.0, 0.30), (0.5, 0.16)], False),
        ([(0.0, 0.30), (0.5, 0.18)], True),
        ([(0.0, 0.30), (0.5, 0.30)], True),
        ([(0.0, 0.03), (0.5, 0.05)], True),
        ([(0.0, 0.03), (0.5, 0.04)], False),
        ([(0.0, 0.30), (0.25, 0.29), (0.5, 0.16)], False),
        ([(0.0, 0.30), (0.25, 0.10), (0.5, 0.20)], True),
    ],
    ids=["nothing", "start", "below 0", "to 0.02", "to 0.06", "flat", "rising", "within twice", "late", "turned"],
)
def test_a_line_that_ends_beyond_twice_the_margin_is_hopeless(points: list[tuple[float, float]], hopeless: bool) -> None:
    """Margin 0.02. From 0.30 to 0.18 by half the way the line ends at 0.06, to 0.16 at 0.02. A rising gap is taken as flat."""
    assert is_hopeless([Point(*point) for point in points], 0.02) is hopeless
