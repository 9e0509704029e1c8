"""Error of a trial that stops as soon as its gap is clear of the margin, by simulation.

    python benchmarks/stopping_error.py                        # 10,000 trials per situation, a few minutes on one core
    python benchmarks/stopping_error.py --trials 500           # a quick run

Full-data networks and networks trained on the set classify n images as in `gap_coverage.py`, so the gap is known. The trial looks
at its gap after each network from `least_networks` on, with the package's own interval at the package's own confidence of a look,
and stops where the interval is clear of the margin, or at the last network.

First table: the gap is the margin, where each of the two bounds errs most. Wrong are a lower bound above the margin (the set is
called lossy) and an upper bound below it (lossless). Each may happen in at most 5 % of trials. The last column takes each look at
the whole confidence, which is what one must not do. Second table: how many networks are trained where the gap is not the margin.
"""

from __future__ import annotations

import argparse
import functools
import math
from dataclasses import dataclass, replace

import numpy as np
from gap_coverage import Situation, skill_deviation
from numpy.typing import NDArray
from scipy import stats

from raydistill.core.lossless import gap_interval, is_clear
from raydistill.spaces.sections import EvaluationConfig

_skill_deviation = functools.cache(skill_deviation)
CONFIDENCE = 0.95
FULL_NETWORKS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """How trials of one situation ended; fractions, and the mean number of networks."""

    lossy: float
    """Lower bound above the gap."""
    lossless: float
    """Upper bound below the gap."""
    networks: float


def situations() -> list[Situation]:
    """Select images of digits and of MNIST, with margins of 2 points and 1 point; few and many looks (`pairs` is `networks`)."""
    made = []
    for networks in (3, 5, 10):
        for images, gap in ((250, 0.02), (2000, 0.01)):
            scatter = {"images": images, "pairs": networks, "gap": gap, "contested": 0.1, "side": 1.0}
            made.append(Situation(name="difficulty spread", lost=0, network_noise=0.003, **scatter))
            made.append(Situation(name="networks scatter", lost=0, network_noise=0.01, **scatter))
            made.append(Situation(name="half of the gap in lost images", lost=gap / 2, network_noise=0.003, **scatter))
    return made


def draw(situation: Situation, generator: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which images full-data networks and networks trained on the set classify correctly, in one trial."""
    lost, contested, settled = generator.multinomial(
        situation.images, [situation.lost, situation.contested, 1 - situation.lost - situation.contested]
    )
    ease = situation.ease * generator.standard_normal(contested)
    sides = []
    for networks, accuracy, is_full in zip((FULL_NETWORKS, situation.pairs), situation.accuracies, (True, False), strict=True):
        deviation = _skill_deviation(situation, accuracy)
        level = math.sqrt(1 + situation.ease**2 + situation.side**2 + deviation**2) * stats.norm.ppf(accuracy)
        score = level + ease + situation.side * generator.standard_normal(contested)
        score = score + deviation * generator.standard_normal((networks, 1)) + generator.standard_normal((networks, contested))
        ends = [np.full((networks, lost), is_full), score > 0, np.ones((networks, settled), dtype=bool)]
        sides.append(np.concatenate(ends, axis=1))
    return sides[0], sides[1]


def measure(
    situation: Situation, trials: int, evaluation: EvaluationConfig, seed: int, *, margin: float, look_confidence: float
) -> Stopped:
    """How trials end that stop when their gap is clear of the margin.

    Args:
        situation: the gap, and how answers vary.
        trials: how many.
        evaluation: `networks` and `least_networks`.
        seed: of the random numbers.
        margin: as a fraction.
        look_confidence: of the bounds of each look.
    """
    generator = np.random.default_rng(seed)
    assert evaluation.least_networks is not None
    lossy = lossless = networks = 0
    for _ in range(trials):
        full, synthetic = draw(situation, generator)
        for count in range(evaluation.least_networks, evaluation.networks + 1):
            interval = gap_interval(full, synthetic[:count], look_confidence)
            if is_clear(interval, margin):
                break
        lossy += interval.lower > situation.gap
        lossless += interval.upper < situation.gap
        networks += count
    return Stopped(lossy=lossy / trials, lossless=lossless / trials, networks=networks / trials)


def main() -> None:
    """Print the tables of results/statistics.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000, help="trials per situation")
    trials = parser.parse_args().trials
    print("| images | margin (points) | networks | situation | called lossy (%) | called lossless (%) | at 95 % each (%) |")
    print("|---|---|---|---|---|---|---|")
    for seed, situation in enumerate(situations()):
        evaluation = EvaluationConfig(networks=situation.pairs, least_networks=2)
        found, careless = (
            measure(situation, trials, evaluation, seed, margin=situation.gap, look_confidence=confidence)
            for confidence in (evaluation.look_confidence(CONFIDENCE), CONFIDENCE)
        )
        wrong = (
            f"{100 * found.lossy:.2f} | {100 * found.lossless:.2f} | {100 * careless.lossy:.2f}, {100 * careless.lossless:.2f}"
        )
        print(
            f"| {situation.images:,} | {100 * situation.gap:g} | 2 to {situation.pairs} | {situation.name} | {wrong} |",
            flush=True,
        )
    shares = (0.25, 0.5, 1, 1.5, 2, 4)
    print(f"\n| images | margin (points) | networks | {' | '.join(f'gap {share:g} x margin' for share in shares)} |")
    print("|---|---|---|" + "---|" * len(shares))
    for seed, situation in enumerate(s for s in situations() if s.name == "difficulty spread"):
        evaluation = EvaluationConfig(networks=situation.pairs, least_networks=2)
        confidence = evaluation.look_confidence(CONFIDENCE)
        counts = [
            measure(
                replace(situation, gap=share * situation.gap, contested=max(0.1, 3 * share * situation.gap)),
                trials // 10,
                evaluation,
                seed,
                margin=situation.gap,
                look_confidence=confidence,
            ).networks
            for share in shares
        ]
        row = " | ".join(f"{count:.1f}" for count in counts)
        print(f"| {situation.images:,} | {100 * situation.gap:g} | 2 to {situation.pairs} | {row} |", flush=True)


if __name__ == "__main__":
    main()
