"""The simulation of coverage has its documented properties, and uses the package's procedures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from raydistill.core.lossless import gap_interval
from raydistill.core.paired_gap import sum_differences

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import gap_coverage as simulation


def situation(name: str, images: int, pairs: int) -> simulation.Situation:
    (found,) = [
        s for s in simulation.situations() if (s.name, s.images, s.pairs, s.gap > 0.015) == (name, images, pairs, images == 450)
    ]
    return found


@pytest.mark.parametrize("name", ["few images lost for good", "pairs alike", "networks scatter", "lost and won"])
def test_the_true_gap_and_the_networks_noise_are_those_stated(name: str) -> None:
    """400 repetitions of 10,000 images and 20 pairs: the mean gap is known to about 0.01 points, the noise to a few percent.

    A network's accuracy scatters by its own noise and by its own share of the images' noise, which is at most sqrt(0.1 / 10,000).
    """
    stated = situation(name, 10_000, 20)
    drawn = simulation.draw(stated, 400, np.random.default_rng(1))
    assert drawn.sums.first.mean() / 10_000 == pytest.approx(stated.gap, abs=2e-4)
    noise = float(np.sqrt(drawn.synthetic.var(axis=1, ddof=1).mean()))
    assert stated.network_noise * 0.95 <= noise <= stated.network_noise * 1.05 + np.sqrt(0.05 / 10_000)


def test_the_searchs_bound_is_the_packages_own() -> None:
    generator = np.random.default_rng(2)
    full, synthetic = generator.random((5, 60)) < 0.95, generator.random((5, 60)) < 0.85
    one = sum_differences(full.astype(float) - synthetic.astype(float))
    fields = ("rows", "first", "second", "third", "squares")
    sums = simulation.DifferenceSums(**{f: np.asarray(getattr(one, f))[None] for f in fields}, images=60)
    drawn = simulation.Draws(sums=sums, full=full.mean(axis=1)[None], synthetic=synthetic.mean(axis=1)[None])
    assert simulation.of_the_search(drawn)[0] == pytest.approx(gap_interval(full, synthetic, 0.95).upper)


def test_the_certificates_bounds_hold_at_the_margin_and_those_over_images_alone_do_not() -> None:
    """600 repetitions tell 95 % to a standard deviation of 0.9 points."""
    found = simulation.measure(situation("difficulty spread", 10_000, 5), 600)
    assert found.upper["certificate"] >= 0.93
    assert found.lower >= 0.93
    assert found.upper["images only"] <= 0.86
