"""Fractions as a person reads them. A leaf; files hold fractions, screens hold percent and points."""

from __future__ import annotations


def percent(fraction: float) -> str:
    """An accuracy of 0.9812 as `98.12 %`."""
    return f"{100 * fraction:.2f} %"


def points(fraction: float) -> str:
    """A difference of accuracies of 0.0123 as `1.23 points`, hundredths of accuracy."""
    return f"{100 * fraction:.2f} points"
