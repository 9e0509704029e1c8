"""The margin of a first search, by the confirm and the test images there are, and how many a smaller one needs."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass

from raydistill.core.lossless import smallest_margin
from raydistill.core.paired_gap import planned_half_width
from raydistill.errors import InputError
from raydistill.spaces.data_facts import MOST_IMAGES
from raydistill.spaces.sections import GoalConfig

CONFIDENCE = 0.95
CONFIRM_NETWORKS = 6
CERTIFY_NETWORKS = 10
"""What `raydistill certify` trains of each arm if it is not told otherwise."""
BASELINE_NETWORKS = 6
CHANGED = 0.1
"""Assumed share of the select images that a network gets right with one number of steps alone."""
LEAST_MARGIN = 0.02
LARGEST_MARGIN = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """How many images decide."""

    select: int
    """On them the full data is shown to be trained to its end: twice the steps move it by less than a quarter of the margin."""
    confirm: int
    test: int


def least_margin(images: Images, *, is_race: bool) -> float:
    """The smallest margin that the select, confirm and test images can decide; 1 where a part is empty.

    Args:
        images: of the three parts.
        is_race: whether the search shares its confidence between a claim about methods and one about controls.
    """
    return max(
        _by_select(images.select) if images.select else 1.0,
        _by_confirm(images.confirm, is_race=is_race) if images.confirm else 1.0,
        _by_test(images.test) if images.test else 1.0,
    )


def margin_for(images: Images, *, is_race: bool) -> float:
    """Half as much again as the smallest, so that not only a gap of 0 can be shown, in half points; at least `LEAST_MARGIN`.

    Raises:
        InputError: even half of the images may be lost without being noticed.
    """
    least = least_margin(images, is_race=is_race)
    margin = max(LEAST_MARGIN, math.ceil(300 * least) / 200)
    if margin > LARGEST_MARGIN:
        raise InputError(
            f"{images.select} select, {images.confirm} confirm and {images.test} test images decide no margin below {least:.2f}, "
            "so nothing could be found out; add images, or give more of them with --set confirm_fraction=0.3"
        )
    return margin


def images_for(margin: float, *, is_race: bool) -> Images:
    """How many images decide a margin.

    Args:
        margin: as a fraction; at least `LEAST_MARGIN`, which some number of images decides.
        is_race: as for `least_margin`.
    """
    return Images(
        select=_first(lambda n: _by_select(n) <= margin),
        confirm=_first(lambda n: _by_confirm(n, is_race=is_race) <= margin),
        test=_first(lambda n: _by_test(n) <= margin),
    )


def _by_select(images: int) -> float:
    """Four standard deviations of the change when the steps are doubled, by chance alone."""
    return 4 * math.sqrt(CHANGED / (images * BASELINE_NETWORKS))


def _by_confirm(images: int, *, is_race: bool) -> float:
    confidence = GoalConfig(margin_fraction=0.1, confidence=CONFIDENCE).share_of("distilled") if is_race else CONFIDENCE
    return smallest_margin(images, CONFIRM_NETWORKS, BASELINE_NETWORKS, confidence)


def _by_test(images: int) -> float:
    return planned_half_width(images, CERTIFY_NETWORKS, CONFIDENCE)


def _first(decides: Callable[[int], bool]) -> int:
    counts = range(1, MOST_IMAGES)
    return counts[bisect.bisect_left(counts, True, key=decides)]
