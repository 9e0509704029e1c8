"""Fractions as people read them."""

from __future__ import annotations

import pytest

from raydistill.report.words import accuracy_line, duration, percent, points, telling_line
from raydistill.spaces.units import packed_in_words


def test_a_packed_set_says_what_its_images_hold() -> None:
    assert packed_in_words(1) == ""
    assert packed_in_words(2) == " (stored; each holds 2 x 2 smaller ones, which networks see enlarged)"


def test_an_accuracy_is_told_in_percent() -> None:
    assert percent(0.98123) == "98.12 %"


def test_a_gap_is_told_in_points() -> None:
    assert points(-0.0051) == "-0.51 points"


def test_accuracies_are_told_with_their_spread() -> None:
    """Mean of 0.97 and 0.99 is 0.98; their sample deviation is 0.01 * sqrt(2) = 0.0141."""
    assert accuracy_line([0.97, 0.99]) == "98.00 % (standard deviation 1.41 points over 2 networks)"


def test_one_network_has_no_spread() -> None:
    assert accuracy_line([0.97]) == "97.00 % (1 network)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (3600, "1 h 00 min"), (7620, "2 h 07 min")],
)
def test_durations_are_told_in_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("the loss is nan at step 7; lower the learning rates\nmore", "the loss is nan at step 7; lower the learning rates"),
        ('Traceback (most recent call last):\n  File "x"\nValueError: no\n', "ValueError: no"),
        ("\n", ""),
    ],
)
def test_the_telling_line_of_an_error_names_its_cause(error: str, line: str) -> None:
    assert telling_line(error) == line
