"""How each arm of a race looks in every picture: a colour, a shape and a dash of its own, so that colour alone tells nothing.

The hues are those of Okabe and Ito, which people with any kind of colour vision tell apart; on white some are darker than theirs,
and on black lighter, to stand out from the ground by 3 to 1 at least. Vermilion is kept for what the confirm images say.

Source: Okabe and Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OF_METHODS = (("#0072B2", "#56B4E9"), ("#008A64", "#2FC69B"), ("#B4558E", "#E39FC4"), ("#333333", "#E6E6E6"))
"""Colours on a light and on a dark ground."""
OF_CONTROLS = (
    ("#B07800", "#E69F00"),
    ("#3A8DBF", "#9BD3F5"),
    ("#6E6E6E", "#A9A9A9"),
    ("#857B00", "#F0E442"),
    ("#8A5A44", "#D3A08A"),
)
CONFIRMED = ("#D55E00", "#FF8A3D")
SHAPES = ("circle", "square", "up", "pentagon", "down", "hexagon", "plus")
"""A diamond is kept for what the confirm images say."""
MARKERS = {"circle": "o", "square": "s", "up": "^", "down": "v", "pentagon": "p", "hexagon": "h", "plus": "P", "diamond": "D"}
"""Each shape as matplotlib names it."""
DASHES = ((), (7, 3), (2, 3), (8, 3, 2, 3), (4, 2))
"""Lengths of stroke and gap, in pixels; none is a whole line."""
STATES = {
    "finished": "circle",
    "pruned": "cross",
    "diverged": "up",
    "out_of_memory": "square",
    "timed_out": "down",
    "crashed": "plus",
    "running": "diamond",
    "waiting": "dash",
}
"""The shape of a trial by how it ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """How one arm is drawn."""

    number: int
    """From 0, in the order of the arms."""
    light: str
    """Colour on a light ground; `dark` is that on a dark one."""
    dark: str
    shape: str
    dash: tuple[int, ...]
    is_filled: bool
    """Methods are filled, controls hollow."""


def looks_of(arms: Mapping[str, bool]) -> dict[str, Look]:
    """The look of each arm; `arms` says whether it is a control."""
    looks: dict[str, Look] = {}
    for number, (arm, is_control) in enumerate(arms.items()):
        palette = OF_CONTROLS if is_control else OF_METHODS
        place = sum(look.is_filled is not is_control for look in looks.values())
        light, dark = palette[place % len(palette)]
        dash = DASHES[1 + place % (len(DASHES) - 1)] if is_control else DASHES[(place // len(palette)) % len(DASHES)]
        looks[arm] = Look(
            number=number,
            light=light,
            dark=dark,
            shape=SHAPES[place % len(SHAPES)],
            dash=dash,
            is_filled=not is_control,
        )
    return looks


WIDEST_STEP = 3
"""So that a mark is not taken for one of the next place, however many there are."""


def side_step(count: int, of: int) -> float:
    """How far the first, second, third of some marks at one place stands beside it: 1, -1, 2, -2 and so on; closer if many."""
    farthest = (of + 1) // 2
    return (count + 1) // 2 * (1 if count % 2 else -1) * min(1.0, WIDEST_STEP / max(farthest, 1))
