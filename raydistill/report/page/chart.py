"""A chart as data, which the template `parts.html.j2` draws as SVG.

Across, places are in percent of the chart's width, so that the drawing fills a narrow and a wide page alike while letters and
marks keep their size; upright they are in pixels from the top. No script is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raydistill.report.page.axes import Axis


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A dot, with an upright line for its interval where it has one."""

    x: float
    """Percent from the left."""
    y: float
    """Pixels from the top."""
    shape: str
    css: str
    label: str
    """What it says to who points at it, reaches it by keyboard, or hears it."""
    href: str | None = None
    span: tuple[float, float] | None = None
    """Ends of the interval: pixels for an upright one, percent for one that lies."""
    lies: bool = False
    beside: int = 0
    """Pixels to the right of its place (to the left below 0), where others stand at the same one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """Points joined by straight strokes."""

    points: tuple[tuple[float, float], ...]
    css: str
    dash: tuple[int, ...] = ()
    href: str | None = None
    label: str = ""

    @property
    def path(self) -> str:
        """The points as SVG has them, in a box 100 wide."""
        return " ".join(f"{x:.2f},{y:.1f}" for x, y in self.points)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A straight line across the whole chart, or upright, with a word at its end."""

    at: float
    """Pixels from the top of a line across; percent from the left of an upright one."""
    label: str
    css: str
    upright: bool = False
    below: bool = False
    """Whether the word stands below the line."""
    foot: str = ""
    """A word at the lower end of an upright line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """A shaded part, from top to bottom."""

    start: float
    """Percent from the left, as is `end`."""
    end: float
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """An entry of the legend."""

    label: str
    css: str
    shape: str
    dash: tuple[int, ...] = ()
    has_line: bool = False
    switches: str | None = None
    """Class of the marks that it shows and hides; None for one that only explains."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """Everything that is drawn, in the order of drawing."""

    name: str
    title: str
    says: str
    """What there is to see, in a sentence, for who cannot see it."""
    height: int
    """Of the area within the axes, in pixels."""
    left: int = 44
    """Pixels left of the area, for what is written there."""
    x_title: str
    y_title: str
    x_ticks: tuple[tuple[float, str], ...]
    """Percent and text."""
    y_ticks: tuple[tuple[float, str], ...]
    """Pixels and text."""
    bands: tuple[Band, ...] = ()
    rules: tuple[Rule, ...] = ()
    lines: tuple[Line, ...] = ()
    marks: tuple[Mark, ...] = ()
    keys: tuple[Key, ...] = ()
    note: str = ""
    top: int = 44
    """Pixels above the area."""


def across(axis: Axis, value: float) -> float:
    """Percent from the left."""
    return round(100 * axis.part(value), 3)


def up(axis: Axis, value: float, height: int) -> float:
    """Pixels from the top."""
    return round(height * (1 - axis.part(value)), 2)


def spread(places: Sequence[tuple[float, str]], least: float) -> tuple[tuple[float, str], ...]:
    """The places that keep a distance from the one before them."""
    kept: list[tuple[float, str]] = []
    for place, text in places:
        if not kept or abs(place - kept[-1][0]) >= least:
            kept.append((place, text))
    return tuple(kept)
