"""The order in which classes come: seeded orders, and their division into steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raydistill.spaces.sections import derive_seed


def class_orders(classes: int, orders: int) -> list[tuple[int, ...]]:
    """So many orders of all classes; the first ones are the same for any number of orders."""
    return [
        tuple(np.random.default_rng(derive_seed("continual", "order", index)).permutation(classes).tolist())
        for index in range(orders)
    ]


def in_steps(order: Sequence[int], steps: int) -> list[tuple[int, ...]]:
    """An order divided into steps of equal size; what is left over goes to the first steps, one class each.

    Raises:
        ValueError: there are fewer classes than steps.
    """
    if steps > len(order):
        raise ValueError(
            f"given {steps} steps for {len(order)} classes; each step brings at least one: give at most {len(order)}"
        )
    each, more = divmod(len(order), steps)
    sizes = [each + (step < more) for step in range(steps)]
    ends = np.cumsum(sizes).tolist()
    return [tuple(order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def seen_after(steps: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """The classes that have come after each step, in their own order."""
    return [tuple(sorted(c for step in steps[: count + 1] for c in step)) for count in range(len(steps))]
