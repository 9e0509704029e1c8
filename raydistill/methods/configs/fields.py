"""What the fields of several methods may hold: their type and their range, said once.

The default, its source and the paper's symbol stand in each method's own config, where a reader of the paper looks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from raydistill.core.recipes import IN_STEPS
from raydistill.spaces.data_facts import DataFacts

LearningRate = Annotated[float, Field(gt=0)]
"""Of SGD, on images or on a model."""
LearningRateOrOff = Annotated[float, Field(ge=0)]
"""Of SGD; at 0 what it would learn stays as it starts."""
Momentum = Annotated[float, Field(ge=0, lt=1)]
"""Of SGD; 0 is plain SGD."""
Decay = Annotated[float, Field(ge=0, lt=1)]
"""Of a moving average; 0 keeps nothing of what was."""
Weight = Annotated[float, Field(ge=0)]
"""Factor on one term of a loss; 0 turns the term off."""
Count = Annotated[int, Field(ge=1)]
"""Of initialisations, iterations, steps, epochs or images."""
CountOrNone = Annotated[int, Field(ge=0)]
"""Of steps or epochs; 0 leaves them out."""
Factor = Annotated[int, Field(ge=1, le=4)]
"""f of IDC: a stored image holds f x f tiles, each an image of 1/f the side; see `core/tiles.py`."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole."""
SOFT = "_soft"
"""End of the names of methods that give another method's images labels by experts."""


def of_the_same_factor(method: Any) -> dict[str, int]:
    """The field of a control that packs its images as a method does; none where the method does not pack."""
    factor = getattr(method, "factor", 1)
    return {} if factor == 1 else {"factor": factor}


def pool_passed(pool: int, steps: int) -> int:
    """Images that pass through a network while a pool of networks is trained; see `core/network_pool.py`."""
    return pool * steps * next(recipe.batch for recipe in IN_STEPS if recipe.name == "default")


def larger_than_a_class(batch_real: int, facts: DataFacts) -> Iterator[tuple[str, str]]:
    """Yield (field, message) if the smallest class cannot fill a real batch."""
    if batch_real > facts.smallest_class:
        yield (
            "batch_real",
            f"given {batch_real}; the smallest class has {facts.smallest_class} train images: write at most that number",
        )


def soft_name(name: str) -> str:
    """The name of a method with labels by experts, if there is such a one."""
    return f"{name}{SOFT}"


def hard_name(name: str) -> str:
    """The name of the method with hard labels that makes the same images; that of a method with hard labels itself."""
    return name.removesuffix(SOFT)
