"""Parts that the charts of what a set is good for share."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from raydistill.report.looks import Look
from raydistill.report.page.axes import Axis, plain
from raydistill.report.page.chart import Key, across
from raydistill.report.page.marks import css_of
from raydistill.report.use_words import source_words

Looks = Mapping[str, Look]


def keys_of(sources: Sequence[str], looks: Looks, *, has_line: bool = False) -> tuple[Key, ...]:
    """An entry of the legend per source."""
    keys = []
    for name in map(source_words, sources):
        look = looks[name]
        dash = look.dash if has_line else ()
        keys.append(Key(label=name, css=css_of(look), shape=look.shape, dash=dash, has_line=has_line))
    return tuple(keys)


def ends_of(fractions: Sequence[float]) -> tuple[float, float]:
    """Mean less and plus one standard deviation, in percent."""
    mean = 100 * statistics.mean(fractions)
    spread = 100 * statistics.stdev(fractions) if len(fractions) > 1 else 0.0
    return mean - spread, min(mean + spread, 100.0)


def x_ticks_of(x: Axis) -> tuple[tuple[float, str], ...]:
    """The numbers below a chart."""
    return tuple((across(x, tick), plain(tick)) for tick in x.ticks)
