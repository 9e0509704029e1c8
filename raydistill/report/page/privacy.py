"""The chart of what a set shows of the train images: how well two scores tell members, a row per source and score."""

from __future__ import annotations

from raydistill.report.page.axes import linear_axis
from raydistill.report.page.chart import Chart, Mark, Rule, across
from raydistill.report.page.marks import css_of
from raydistill.report.page.use_parts import Looks, x_ticks_of
from raydistill.report.privacy_tables import auc_words, copies_sentence, unlike_sentence
from raydistill.report.use_words import source_words
from raydistill.uses.values import PrivacyResult

ROW = 30
"""Pixels."""


def privacy_chart(result: PrivacyResult, looks: Looks) -> Chart:
    """Areas under the ROC curve with their intervals; the upright line is an area that tells nothing."""
    rows = [
        (source_words(arm.source), score, area)
        for arm in result.arms
        for score, area in (("distance", arm.by_distance), ("loss", arm.by_loss))
    ]
    x = linear_axis([0.5, *(end for _, _, area in rows for end in (area.low, area.high))])
    names = [f"{source}, by {score}" for source, score, _ in rows]
    return Chart(
        name="privacy",
        title="What it shows of the train images",
        says=f"{len(rows)} areas under the ROC curve, two for each of {len(result.arms)} sources.",
        height=ROW * len(rows),
        left=24 + 7 * max(map(len, names)),
        x_title="area under the ROC curve of membership",
        y_title="",
        x_ticks=x_ticks_of(x),
        y_ticks=tuple((ROW * (row + 0.5), name) for row, name in enumerate(names)),
        rules=(Rule(at=across(x, 0.5), label="", css="full", upright=True),),
        marks=tuple(
            Mark(
                x=across(x, area.value),
                y=ROW * (row + 0.5),
                shape=looks[source].shape,
                css=css_of(looks[source]),
                label=f"{source}, by {score}: {auc_words(area)}",
                span=(across(x, area.low), across(x, area.high)),
                lies=True,
            )
            for row, (source, score, area) in enumerate(rows)
        ),
        top=16,
        note=f"A line is a 95 % interval.{unlike_sentence(result)} {copies_sentence(result)}",
    )
