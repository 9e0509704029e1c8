"""The chart of what training costs: accuracy against multiply-adds, a line per source."""

from __future__ import annotations

from raydistill.report.cost_tables import GIGA, paid_sentence
from raydistill.report.page.axes import linear_axis, log_axis, plain
from raydistill.report.page.chart import Chart, Line, Mark, Rule, across, up
from raydistill.report.page.marks import css_of
from raydistill.report.page.use_parts import Looks, ends_of, keys_of, x_ticks_of
from raydistill.report.use_words import metric_words, source_words
from raydistill.report.words import percent
from raydistill.uses.values import CostResult

TALL = 300
"""Pixels."""


def training_cost_chart(result: CostResult, looks: Looks) -> Chart:
    """A mark per schedule of each source; the line across is the accuracy to reach."""
    x = log_axis(rung.macs / GIGA for arm in result.arms for rung in arm.rungs)
    target = 100 * result.target_accuracy_fraction
    y = linear_axis([target, *(end for arm in result.arms for rung in arm.rungs for end in ends_of(rung.accuracy_fractions))])
    marks, lines = [], []
    for arm in result.arms:
        look = looks[source_words(arm.source)]
        points = tuple((across(x, r.macs / GIGA), up(y, 100 * r.accuracy_fraction, TALL)) for r in arm.rungs)
        lines.append(Line(points=points, css=css_of(look), dash=look.dash))
        for place, ((across_at, up_at), rung) in enumerate(zip(points, arm.rungs, strict=True)):
            low, high = ends_of(rung.accuracy_fractions)
            first = ", the shortest that is enough" if place == arm.chosen else ""
            marks.append(
                Mark(
                    x=across_at,
                    y=up_at,
                    shape=look.shape,
                    css=css_of(look),
                    label=f"{source_words(arm.source)}, {rung.steps} steps{first}: {percent(rung.accuracy_fraction)} for "
                    f"{rung.macs / GIGA:.3g} billion multiply-adds, {rung.seconds:.3g} s",
                    span=(up(y, max(low, y.low), TALL), up(y, min(high, y.high), TALL)),
                )
            )
    return Chart(
        name="training-cost",
        title="What training costs until it is good enough",
        says=f"{len(result.arms)} sources with {len(result.arms[0].rungs)} schedules each.",
        height=TALL,
        x_title="billion multiply-adds of one training, forward and backward",
        y_title=f"{metric_words(result.about)} (%), {result.about.split} images",
        x_ticks=x_ticks_of(x),
        y_ticks=tuple((up(y, tick, TALL), plain(tick)) for tick in y.ticks),
        rules=(Rule(at=up(y, target, TALL), label="full data less the margin", css="full"),),
        lines=tuple(lines),
        marks=tuple(marks),
        keys=keys_of([arm.source for arm in result.arms], looks, has_line=True),
        note=f"An upright line reaches one standard deviation over networks each way. {paid_sentence(result)}",
    )
