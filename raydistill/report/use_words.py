"""Words and numbers that the tables and charts of what a set is good for share."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from raydistill.uses.values import About

IN_WORDS = {
    "full": "full data",
    "again": "full data, other seeds",
    "early": "full data, stopped early",
    "set": "the set",
    "in_steps": "the set's method, step by step",
}


def source_words(source: str) -> str:
    """A source as people read it."""
    return IN_WORDS.get(source, source)


def in_percent(fractions: Sequence[float]) -> str:
    """Mean and standard deviation, where there are several."""
    mean = f"{100 * statistics.mean(fractions):.2f}"
    return mean if len(fractions) == 1 else f"{mean} +- {100 * statistics.stdev(fractions):.2f}"


def std(values: Sequence[float]) -> float | None:
    """Standard deviation; none of a single value."""
    return statistics.stdev(values) if len(values) > 1 else None


def metric_words(about: About) -> str:
    """What its accuracies are, for people."""
    return about.metric.replace("_", " ")


def of_the_set(about: About) -> str:
    """The set in half a sentence."""
    metric = "" if about.metric == "accuracy" else f", {metric_words(about)}"
    return (
        f"a set of {about.method} at IPC {about.ipc} on {about.dataset}, made with {about.network}; recipe {about.recipe}, "
        f"{about.split} images{metric}"
    )
