"""Fractions, times and packed images as a person reads them. A leaf; files hold fractions, screens hold percent and points."""

from __future__ import annotations


def percent(fraction: float) -> str:
    """An accuracy of 0.9812 as `98.12 %`."""
    return f"{100 * fraction:.2f} %"


def points(fraction: float) -> str:
    """A difference of accuracies of 0.0123 as `1.23 points`, hundredths of accuracy."""
    return f"{100 * fraction:.2f} points"


def margin_words(fraction: float, metric: str) -> str:
    """A margin in points, with its metric where that is not accuracy."""
    return (
        points(fraction) if metric == "accuracy" else f"{points(fraction)} of {metric.replace('_', ' ')}, the mean over classes"
    )


def rough(seconds: float) -> str:
    """An estimated time, no finer than it is known: `0.4 s`, `42 s`, `12 min`, `3.5 h`, `4 days`."""
    if seconds < 10:
        return f"{max(seconds, 0.1):.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"


def packed_in_words(factor: int) -> str:
    """What follows "images" where each stored one holds smaller ones; nothing where it is one image."""
    return "" if factor == 1 else f" (stored; each holds {factor} x {factor} smaller ones, which networks see enlarged)"


def looked_before(looks: int) -> str:
    """What earlier looks at the same confirm images do to the stated confidence."""
    times = "once" if looks == 1 else f"{looks} times"
    return f"the confirm images of this study were looked at {times} before, so the stated confidence does not cover this result"
