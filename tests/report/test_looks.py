"""Every arm can be told from every other, in colour and without, on light and dark ground."""

from __future__ import annotations

import pytest

from raydistill.report.looks import CONFIRMED, MARKERS, OF_CONTROLS, OF_METHODS, looks_of, side_step

ARMS = {f"m{number}": False for number in range(4)} | {f"c{number}": True for number in range(7)}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_no_two_arms_share_shape_and_fill() -> None:
    looks = looks_of(ARMS)
    assert len({(look.shape, look.is_filled) for look in looks.values()}) == len(ARMS)
    assert {look.shape for look in looks.values()} <= set(MARKERS)


def test_methods_are_filled_and_controls_hollow_and_dashed() -> None:
    for arm, look in looks_of(ARMS).items():
        assert look.is_filled is arm.startswith("m")
        assert bool(look.dash) is arm.startswith("c")


@pytest.mark.parametrize("pair", [*OF_METHODS, *OF_CONTROLS, CONFIRMED])
def test_every_colour_stands_out_from_its_ground_by_three_to_one(pair: tuple[str, str]) -> None:
    light, dark = pair
    assert contrast(light, "#FFFFFF") >= 3
    assert contrast(dark, "#14171A") >= 3


def test_marks_at_one_place_stand_on_both_sides_of_it() -> None:
    assert [side_step(count, 4) for count in (1, 2, 3, 4)] == [1, -1, 2, -2]


def test_many_marks_at_one_place_stand_closer() -> None:
    """Of twelve the farthest would be six steps away: all steps are halved."""
    assert [side_step(count, 12) for count in (1, 2, 11, 12)] == [0.5, -0.5, 3, -3]
