"""What would show a candidate to be lossless that is not: more networks, more confirm images, or both. Estimates, not claims."""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raydistill.core.lossless import student_quantile
from raydistill.core.metrics import accuracy_of, unseen_rate
from raydistill.spaces.units import points
from raydistill.storage.baseline import Baseline

if TYPE_CHECKING:
    from raydistill.trial.confirm import Confirmation

MOST_NETWORKS = 1000
MOST_IMAGES = 10**7
"""More than anybody trains, and than a data set has."""
STEPS = 10_000
"""Standard deviations of the images' part that are tried: from 0 to 1, the most that a difference of accuracies varies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """What the half-width of a gap is made of: the three variances of `core.lossless.gap_interval`, and its confidence."""

    synthetic: float
    """Variance of the accuracy over networks that are trained on the set."""
    full: float
    """The same over full-data networks."""
    image: float
    """Variance of the mean difference over images."""
    confidence: float
    counts: tuple[int, ...] = ()
    """Confirm images of each class, for balanced accuracy, whose shares any other number of images keeps; empty for accuracy."""

    def half_width(self, synthetic: int, full: int, images: int) -> float:
        """With so many networks of each side and so many images; degrees of freedom by Welch and Satterthwaite."""
        counts = ((self.synthetic, synthetic), (self.full, full), (self.image, images))
        parts = [(variance / count, count - 1) for variance, count in counts]
        variance = sum(part for part, _ in parts)
        unseen = unseen_rate([images * count / sum(self.counts) for count in self.counts] or [images], self.confidence)
        if variance == 0:
            return unseen
        freedom = variance**2 / sum(part**2 / free for part, free in parts)
        return max(unseen, student_quantile(self.confidence, freedom) * math.sqrt(variance))


def spread_of(confirmation: Confirmation, baseline: Baseline) -> Spread:
    """The variances behind a confirmation's upper bound; that of the images is what the networks' leave of its half-width.

    More variance of the images is more degrees of freedom too, so two values may give the same half-width; it is one of them.
    """
    interval = confirmation.interval
    full = accuracy_of(baseline.confirm_correct, baseline.confirm_classes)
    synthetic = confirmation.accuracy_fractions

    def spread(image: float) -> Spread:
        return Spread(
            synthetic=statistics.variance(synthetic),
            full=float(full.var(ddof=1)),
            image=image,
            confidence=interval.confidence,
            counts=tuple(baseline.class_counts[1]),
        )

    def is_wide(step: int) -> bool:
        width = spread((step / STEPS) ** 2).half_width(len(synthetic), len(full), interval.images)
        return width >= interval.upper - interval.gap

    return spread((bisect.bisect_left(range(STEPS), True, key=is_wide) / STEPS) ** 2)


def what_would_decide(confirmation: Confirmation, baseline: Baseline, margin: float) -> str:
    """How many networks, else how many confirm images, else how many of both, bring the upper bound within the margin."""
    interval = confirmation.interval
    room = margin - interval.gap
    if room <= 0:
        return f"its measured gap is {points(interval.gap)}: run more trials or allow a larger IPC, not more networks or images"
    spread = spread_of(confirmation, baseline)
    synthetic, full, images = len(confirmation.accuracy_fractions), len(baseline.confirm_correct), interval.images
    stays = f"if its measured gap of {points(interval.gap)} stays,"
    networks = _first(lambda n: spread.half_width(max(n, synthetic), max(n, full), images) <= room, MOST_NETWORKS)
    if networks is not None:
        return f"{stays} about {_networks(networks, synthetic, full)} would confirm it"
    needed = _first(lambda n: spread.half_width(synthetic, full, n) <= room, MOST_IMAGES)
    if needed is not None:
        return f"{stays} about {needed} confirm images (now {images}) would confirm it"
    networks = _first(
        lambda n: spread.half_width(max(n, synthetic), max(n, full), MOST_IMAGES) <= room / math.sqrt(2), MOST_NETWORKS
    )
    if networks is None:
        return f"{stays} no practical number of networks and images would confirm it: run more trials or allow a larger IPC"
    needed = _first(lambda n: spread.half_width(max(networks, synthetic), max(networks, full), n) <= room, MOST_IMAGES)
    both = _networks(networks, synthetic, full)
    return f"{stays} about {both} with about {needed} confirm images (now {images}) would confirm it"


def _networks(needed: int, synthetic: int, full: int) -> str:
    """Networks of each side, of which there are some already."""
    return f"{max(needed, synthetic)} confirm_networks and {max(needed, full)} baseline_networks"


def _first(is_enough: Callable[[int], bool], most: int) -> int | None:
    """The smallest number from 2 that is enough; None if none is up to `most`."""
    counts = range(2, most + 1)
    place = bisect.bisect_left(counts, True, key=is_enough)
    return counts[place] if place < len(counts) else None
