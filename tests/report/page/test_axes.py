"""Scales: where a value lies, and the numbers that stand beside it."""

from __future__ import annotations

import pytest

from raydistill.report.page.axes import linear_axis, log_axis, plain
from raydistill.report.page.chart import spread


def test_a_log_scale_has_equal_steps_for_equal_factors() -> None:
    axis = log_axis([1, 100])
    assert axis.part(10) == pytest.approx((axis.part(1) + axis.part(100)) / 2)
    assert axis.ticks == (1, 2, 5, 10, 20, 50, 100)


def test_a_long_log_scale_has_powers_of_ten_alone() -> None:
    assert log_axis([1, 100_000]).ticks == (1, 10, 100, 1000, 10_000, 100_000)


def test_a_short_log_scale_has_round_numbers_at_even_distances() -> None:
    assert log_axis([24, 30]).ticks == (20, 25, 30, 35)


def test_an_even_scale_has_round_numbers_within_its_ends() -> None:
    axis = linear_axis([85.4, 98.5])
    assert axis.ticks == (86, 88, 90, 92, 94, 96, 98)
    assert axis.part(axis.low) == 0
    assert axis.part(axis.high) == 1


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0])
def test_a_single_value_has_room_around_it(value: float) -> None:
    axis = linear_axis([value], room=0.0)
    assert axis.low < value < axis.high


def test_numbers_are_short() -> None:
    assert [plain(value) for value in (0.1, 2.0, 500, 2000, 12_500)] == ["0.1", "2", "500", "2k", "12.5k"]


def test_numbers_that_would_touch_are_left_out() -> None:
    assert spread([(0, "a"), (3, "b"), (10, "c")], 7) == ((0, "a"), (10, "c"))
