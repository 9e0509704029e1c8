"""Numbers and causes as a person reads them: percent, points, durations."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from raydistill.spaces.units import margin_words, percent, points

__all__ = ["accuracy_line", "duration", "margin_words", "percent", "points", "telling_line"]


def accuracy_line(accuracies: Sequence[float]) -> str:
    """Mean and spread of accuracy fractions, one per network, in percent and points."""
    mean = percent(statistics.mean(accuracies))
    if len(accuracies) == 1:
        return f"{mean} (1 network)"
    return f"{mean} (standard deviation {points(statistics.stdev(accuracies))} over {len(accuracies)} networks)"


def duration(seconds: float) -> str:
    """Seconds as `42 s`, `3 min 05 s` or `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def telling_line(error: str) -> str:
    """The first line of a message, or of a traceback the line that names the exception."""
    lines = [line.strip() for line in error.splitlines() if line.strip()] or [""]
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]
