"""Coverage of confidence bounds of the gap, by simulation: the certificate's bound and three others.

    python benchmarks/gap_coverage.py                        # 10,000 repetitions, minutes on one core
    python benchmarks/gap_coverage.py --repetitions 500      # a quick run

Every situation has a known gap. R pairs of networks classify n images of four kinds: *lost* (networks on full data are always
right, those on the set never), *won* (the reverse), *contested*, and settled (both sides always agree). On a contested image
network r of a side is right if

    level + ease[i] + side[i] + skill[r] + rest[r, i] > 0

with normally distributed terms: `ease` belongs to the image and is the same on both sides, `side` belongs to the image and one
side, `skill` to the network, and `rest` has standard deviation 1. Levels are chosen so that the expected gap is exact, skills so
that one network's accuracy has the given standard deviation over seeds. Settled images need no random numbers, so 10,000 images
are fast.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from raydistill.core.paired_gap import DifferenceSums, pair_variance, upper_bound

CONFIDENCE = 0.95
CELLS_AT_ONCE = 4_000_000
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """A situation with known gap; gaps and shares of images are fractions."""

    name: str
    images: int
    pairs: int
    gap: float
    lost: float
    won: float = 0.0
    contested: float
    ease: float = 3.0
    side: float
    network_noise: float
    """Standard deviation of one network's expected accuracy over seeds."""
    pairing: float = 0.0
    """Correlation of the two skills of a pair."""

    @property
    def accuracies(self) -> tuple[float, float]:
        """Expected accuracy on contested images, of networks on full data and of networks on the set; around 0.8."""
        half = (self.gap - self.lost + self.won) / self.contested / 2
        return 0.8 + half, 0.8 - half


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Draws:
    """Simulated repetitions of one situation, as all procedures need them."""

    sums: DifferenceSums
    full: Floats
    """(repetitions, R) accuracies, without a constant."""
    synthetic: Floats


def situations() -> list[Situation]:
    """All situations: 450 images with margins of 1.2 and 2 points, 10,000 images with 0.5 points; the true gap is the margin."""
    grid = [(images, gap, pairs) for images, gap in ((450, 0.012), (450, 0.02), (10_000, 0.005)) for pairs in (5, 10, 20)]
    return [situation for images, gap, pairs in grid for situation in _at(images, gap, pairs)]


def _at(images: int, gap: float, pairs: int) -> Iterator[Situation]:
    def made(name: str, **fields: float) -> Situation:
        return Situation(name=name, images=images, pairs=pairs, gap=gap, **fields)  # type: ignore[arg-type]

    yield made("few images lost, networks agree", lost=gap, contested=0.004, side=0, network_noise=0.0003)
    yield made("few images lost for good", lost=0.9 * gap, contested=0.01, side=0, network_noise=0.001)
    yield made("half of the gap in lost images", lost=gap / 2, contested=0.05, side=1, network_noise=0.003)
    yield made("difficulty spread", lost=0, contested=0.1, side=1, network_noise=0.002)
    yield made("pairs alike", lost=0, contested=0.1, side=1, network_noise=0.003, pairing=0.5)
    yield made("networks scatter", lost=0, contested=0.1, ease=2, side=0, network_noise=0.005)
    yield made("lost and won", lost=1.5 * gap, won=0.5 * gap, contested=0.05, side=1, network_noise=0.002)


def skill_deviation(situation: Situation, accuracy: float) -> float:
    """The standard deviation of skills at which one network's accuracy has its standard deviation over seeds."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    scale = math.sqrt(1 + situation.ease**2 + situation.side**2)

    def excess(deviation: float) -> float:
        level = math.hypot(scale, deviation) * stats.norm.ppf(accuracy)
        values = situation.contested * stats.norm.cdf((level + deviation * nodes) / scale)
        mean = np.average(values, weights=weights)
        return math.sqrt(np.average((values - mean) ** 2, weights=weights)) - situation.network_noise

    return float(optimize.brentq(excess, 1e-6, 20))


def draw(situation: Situation, repetitions: int, generator: np.random.Generator) -> Draws:
    """Simulate repetitions of a situation."""
    shares = (situation.lost, situation.won, situation.contested)
    counts = generator.multinomial(situation.images, [*shares, 1 - sum(shares)], size=repetitions)
    lost, won, contested = counts[:, 0], counts[:, 1], counts[:, 2]
    there = np.arange(contested.max()) < contested[:, None]
    ease = situation.ease * _normal(generator, repetitions, 1, there.shape[1])
    alike = math.sqrt(situation.pairing) * _normal(generator, repetitions, situation.pairs, 1)
    sides = []
    for accuracy in situation.accuracies:
        deviation = skill_deviation(situation, accuracy)
        level = math.sqrt(1 + situation.ease**2 + situation.side**2 + deviation**2) * stats.norm.ppf(accuracy)
        own = math.sqrt(1 - situation.pairing) * _normal(generator, repetitions, situation.pairs, 1)
        score = np.float32(level) + ease + situation.side * _normal(generator, repetitions, 1, there.shape[1])
        score = score + np.float32(deviation) * (alike + own)
        sides.append((score + _normal(generator, *score.shape) > 0) & there[:, None])
    differences = sides[0].astype(np.int8) - sides[1].astype(np.int8)
    means = differences.mean(axis=1, dtype=np.float64)
    net, settled = lost - won, lost + won
    full, synthetic = (side.sum(axis=2) / situation.images for side in sides)
    sums = DifferenceSums(
        rows=full - synthetic + (net / situation.images)[:, None],
        first=means.sum(axis=1) + net,
        second=(means**2).sum(axis=1) + settled,
        third=(means**3).sum(axis=1) + net,
        squares=(differences != 0).sum(axis=(1, 2)) + situation.pairs * settled,
        images=situation.images,
    )
    return Draws(sums=sums, full=full, synthetic=synthetic)


def images_only(draws: Draws) -> Floats:
    """Student's bound over images, which ignores the variation over networks."""
    sums = draws.sums
    return sums.first / sums.images + stats.t.ppf(CONFIDENCE, sums.images - 1) * np.sqrt(_image_variance(sums))


def crossed_student(draws: Draws) -> Floats:
    """The crossed analysis of variance with Student's quantile, degrees of freedom by Satterthwaite."""
    images, pairs = _image_variance(draws.sums), pair_variance(draws.sums)
    quantile = _satterthwaite([(images, draws.sums.images - 1), (pairs, draws.sums.rows.shape[1] - 1)])
    return draws.sums.first / draws.sums.images + quantile * np.sqrt(images + pairs)


def of_the_search(draws: Draws) -> Floats:
    """`lossless.gap_interval`, for all repetitions at once."""
    sums, n = draws.sums, draws.sums.images
    gap = sums.first / n
    parts = [(side.var(axis=1, ddof=1) / side.shape[1], side.shape[1] - 1) for side in (draws.full, draws.synthetic)]
    parts.append((_image_variance(sums), n - 1))
    variance = np.asarray(sum(part for part, _ in parts))
    quantile = _satterthwaite(parts)
    third = (sums.third - 3 * gap * sums.second + 2 * n * gap**3) / n**3
    shift = np.maximum(np.divide(third * (2 * quantile**2 + 1), 6 * variance, where=variance > 0, out=np.zeros_like(third)), 0)
    return gap + np.maximum(quantile * np.sqrt(variance) + shift, 1 - (1 - CONFIDENCE) ** (1 / n))


def of_the_certificate(draws: Draws) -> Floats:
    """`paired_gap.upper_bound`."""
    return upper_bound(draws.sums, CONFIDENCE)


UPPER: dict[str, Callable[[Draws], Floats]] = {
    "images only": images_only,
    "crossed, Student": crossed_student,
    "search": of_the_search,
    "certificate": of_the_certificate,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """Coverage in one situation; fractions."""

    upper: dict[str, float]
    """By procedure: how often the upper bound is not below the true gap."""
    half_width: dict[str, float]
    """By procedure: mean distance of the upper bound from the estimate."""
    lower: float
    """How often the certificate's lower bound is not above the true gap."""


def measure(situation: Situation, repetitions: int, seed: int = 0) -> Coverage:
    """Coverage over repetitions, computed in portions that fit in memory."""
    generator = np.random.default_rng(seed)
    cells = max(1, round(situation.images * situation.contested)) * situation.pairs
    portion = max(1, min(repetitions, CELLS_AT_ONCE // cells))
    held: dict[str, list[Floats]] = {name: [] for name in UPPER}
    widths: dict[str, list[Floats]] = {name: [] for name in UPPER}
    lower = []
    for first in range(0, repetitions, portion):
        draws = draw(situation, min(portion, repetitions - first), generator)
        for name, bound in UPPER.items():
            found = bound(draws)
            held[name].append(found >= situation.gap)
            widths[name].append(found - draws.sums.first / draws.sums.images)
        lower.append(-upper_bound(draws.sums.negated(), CONFIDENCE) <= situation.gap)
    means = [{name: float(np.concatenate(rows).mean()) for name, rows in found.items()} for found in (held, widths)]
    return Coverage(upper=means[0], half_width=means[1], lower=float(np.concatenate(lower).mean()))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.perf_counter()
    print(f"Nominal {100 * CONFIDENCE:g} %, {given.repetitions} repetitions; coverage in %, widths and noise in points.\n")
    names = list(UPPER)
    print(f"| situation | images | pairs | noise | gap | {' | '.join(names)} | lower | width search | width certificate |")
    print("|---" * (len(names) + 8) + "|")
    for situation in situations():
        found = measure(situation, given.repetitions, given.seed)
        cells = [situation.name, situation.images, situation.pairs]
        cells += [f"{100 * situation.network_noise:.1f}", f"{100 * situation.gap:.1f}"]
        cells += [f"{100 * found.upper[name]:.1f}" for name in names] + [f"{100 * found.lower:.1f}"]
        cells += [f"{100 * found.half_width[name]:.2f}" for name in ("search", "certificate")]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s")


def _normal(generator: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return generator.standard_normal(shape, dtype=np.float32)


def _satterthwaite(parts: list[tuple[Floats, int]]) -> Floats:
    """(...,) Student's quantile for a sum of variances with their degrees of freedom; the normal quantile if all are 0."""
    total, pieces = sum(part for part, _ in parts), sum(part**2 / free for part, free in parts)
    freedom = np.divide(total**2, pieces, where=pieces > 0, out=np.full_like(pieces, np.inf))
    return np.asarray(stats.t.ppf(CONFIDENCE, freedom))


def _image_variance(sums: DifferenceSums) -> Floats:
    """(...,) variance of the mean over images."""
    n = sums.images
    return np.asarray((sums.second - sums.first**2 / n) / (n - 1) / n)


if __name__ == "__main__":
    main()
