"""What would show a candidate to be lossless: numbers that, put into the interval's own formula, are just enough."""

from __future__ import annotations

import math

import pytest
from made_up import baseline
from scipy import stats

from raydistill.core.lossless import GapInterval
from raydistill.search.deciding import Spread, spread_of, what_would_decide
from raydistill.trial.confirm import Confirmation


def confirmation(gap: float, upper: float, accuracies: tuple[float, ...], images: int) -> Confirmation:
    interval = GapInterval(gap=gap, lower=0.0, upper=upper, confidence=0.95, networks=len(accuracies), images=images)
    return Confirmation(interval=interval, is_lossless=False, accuracy_fractions=accuracies)


def test_a_half_width_is_that_of_the_interval() -> None:
    """Variances 2e-4 / 2, 1e-4 / 4 and 0.01 / 100, together 2.25e-4, with 1, 3 and 99 degrees of freedom."""
    spread = Spread(synthetic=2e-4, full=1e-4, image=0.01, confidence=0.95)
    freedom = 2.25e-4**2 / (1e-8 + 6.25e-10 / 3 + 1e-8 / 99)
    assert spread.half_width(2, 4, 100) == pytest.approx(stats.t.ppf(0.95, freedom) * math.sqrt(2.25e-4))
    steady = Spread(synthetic=0.0, full=0.0, image=0.0, confidence=0.95)
    assert steady.half_width(2, 2, 100) == pytest.approx(1 - 0.05 ** (1 / 100)), "what can go unseen"


def test_the_images_have_what_the_networks_leave_of_the_half_width() -> None:
    """Two full networks, 0.98 and 0.96: variance 2e-4; the synthetic ones agree."""
    spread = spread_of(confirmation(0.01, 0.11, (0.96, 0.96), 100), baseline())
    assert (spread.synthetic, spread.full) == (0.0, pytest.approx(2e-4))
    assert spread.half_width(2, 2, 100) == pytest.approx(0.10, abs=1e-3)
    narrow = spread_of(confirmation(0.01, 0.02, (0.96, 0.96), 100), baseline())
    assert narrow.image == 0.0, "two networks alone would give more than this half-width"


def test_more_networks_decide_where_the_networks_are_what_spreads() -> None:
    """Variance 2e-4 on each side; the room is 0.0102."""
    near = confirmation(0.0098, 0.0398, (0.97, 0.95), 10_000)
    spread = Spread(synthetic=2e-4, full=2e-4, image=0.0, confidence=0.95)
    found = what_would_decide(near, baseline(), 0.02)
    networks = int(found.split("about ")[1].split()[0])
    both = f"about {networks} confirm_networks and {networks} baseline_networks"
    assert found == f"if its measured gap of 0.98 points stays, {both} would confirm it"
    assert spread.half_width(networks, networks, 10_000) <= 0.0102 < spread.half_width(networks - 1, networks - 1, 10_000)


def test_networks_of_a_side_that_has_more_already_are_not_taken_away() -> None:
    """Twelve of each side would do; twenty synthetic ones are there."""
    many = confirmation(0.0098, 0.0398, (0.97, 0.95) * 10, 10_000)
    found = what_would_decide(many, baseline(), 0.02)
    assert "about 20 confirm_networks and " in found


def test_what_goes_unseen_is_decided_by_images_alone() -> None:
    """On 100 images 2.95 % can go unseen, so no number of networks brings the bound within 1.02 points; 292 images do."""
    failed = confirmation(0.0098, 0.0398, (0.97, 0.95), 100)
    found = what_would_decide(failed, baseline(), 0.02)
    images = int(found.split("about ")[-1].split()[0])
    assert "confirm images (now 100)" in found
    assert images >= 292 > math.log(0.05) / math.log(1 - 0.0103)


def test_more_images_decide_where_the_images_are_what_spreads() -> None:
    steady = baseline(right=(96, 96))
    failed = confirmation(0.01, 0.04, (0.96, 0.96), 100)
    found = what_would_decide(failed, steady, 0.02)
    images = int(found.split("about ")[1].split()[0])
    assert found == f"if its measured gap of 1.00 points stays, about {images} confirm images (now 100) would confirm it"
    spread = spread_of(failed, steady)
    assert spread.half_width(2, 2, images) <= 0.01 < spread.half_width(2, 2, images - 1)
    assert 700 < images < 900, "about (3 / 1)^2 times as many"


def test_where_neither_is_enough_alone_both_are_told() -> None:
    failed = confirmation(0.015, 0.12, (0.98, 0.96), 100)
    found = what_would_decide(failed, baseline(), 0.02)
    networks, images = (int(part.split()[0]) for part in found.split("about ")[1:])
    assert found == (
        f"if its measured gap of 1.50 points stays, about {networks} confirm_networks and {networks} baseline_networks with "
        f"about {images} confirm images (now 100) would confirm it"
    )
    spread = spread_of(failed, baseline())
    assert spread.half_width(networks, networks, images) <= 0.005 < spread.half_width(networks, networks, images - 1)


def test_a_gap_at_the_margin_is_decided_by_no_practical_number() -> None:
    found = what_would_decide(confirmation(0.01999, 0.12, (0.98, 0.96), 100), baseline(), 0.02)
    assert found.endswith("no practical number of networks and images would confirm it: run more trials or allow a larger IPC")


def test_nothing_decides_for_a_set_whose_gap_itself_is_above_the_margin() -> None:
    found = what_would_decide(confirmation(0.03, 0.04, (0.96, 0.96), 100), baseline(), 0.02)
    assert found == "its measured gap is 3.00 points: run more trials or allow a larger IPC, not more networks or images"
