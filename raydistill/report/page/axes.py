"""The scales of a chart: where a value lies between its two ends, and which values are written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

LOG_STEPS = (1, 2, 5)
FEWEST_TICKS, MOST_TICKS = 3, 9
MOST_DECADES = 3.5
"""A longer logarithmic scale has powers of ten alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """A scale from `low` to `high`."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def part(self, value: float) -> float:
        """Where a value lies, 0 at the lower end and 1 at the upper."""
        low, high, own = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (own - low) / (high - low)


def log_axis(values: Iterable[float], *, room: float = 0.06) -> Axis:
    """A logarithmic scale around positive values.

    Args:
        values: what is to be shown; one at least.
        room: part of the length that is left free at each end.
    """
    found = list(values)
    low, high = math.log(min(found)), math.log(max(found))
    free = max((high - low) * room, math.log(1.3))
    ends = math.exp(low - free), math.exp(high + free)
    decades = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
    steps = LOG_STEPS if math.log10(ends[1] / ends[0]) <= MOST_DECADES else (1,)
    ticks = [tick for decade in decades for step in steps if ends[0] <= (tick := step * 10.0**decade) <= ends[1]]
    return Axis(low=ends[0], high=ends[1], log=True, ticks=tuple(ticks) if len(ticks) >= FEWEST_TICKS else _even(*ends))


def linear_axis(values: Iterable[float], *, room: float = 0.06) -> Axis:
    """An even scale around values; `room` as in `log_axis`."""
    found = list(values)
    low, high = min(found), max(found)
    free = (high - low) * room if high > low else abs(high) * 0.1 or 1.0
    low, high = low - free, high + free
    return Axis(low=low, high=high, log=False, ticks=_even(low, high))


def _even(low: float, high: float) -> tuple[float, ...]:
    """Round numbers at even distances between two ends."""
    rough = (high - low) / MOST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return tuple(round(number * step, 10) for number in range(first, last + 1))


def plain(value: float) -> str:
    """A number beside an axis, without needless digits."""
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"
