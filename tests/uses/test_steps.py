"""Orders of classes and their steps, by hand."""

from __future__ import annotations

import pytest

from raydistill.uses.steps import class_orders, in_steps, seen_after


def test_an_order_is_divided_evenly_and_the_first_steps_take_what_is_left_over() -> None:
    assert in_steps((4, 2, 0, 1, 3, 5, 6), 3) == [(4, 2, 0), (1, 3), (5, 6)]
    assert in_steps((1, 0), 2) == [(1,), (0,)]


def test_classes_seen_grow_and_are_sorted() -> None:
    """So that the last step of every order is the same task."""
    assert seen_after([(4, 2), (0,), (3, 1)]) == [(2, 4), (0, 2, 4), (0, 1, 2, 3, 4)]


def test_every_order_has_every_class_once_and_no_two_are_alike() -> None:
    orders = class_orders(10, 5)
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len(set(orders)) == 5


def test_more_orders_begin_with_the_same_ones() -> None:
    assert class_orders(10, 5)[:2] == class_orders(10, 2)


def test_more_steps_than_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="given 3 steps for 2 classes; each step brings at least one: give at most 2"):
        in_steps((0, 1), 3)
