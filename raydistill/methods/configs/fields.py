"""What the fields of several methods may hold: their type and their range, said once.

The default, its source and the paper's symbol stand in each method's own config, where a reader of the paper looks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from raydistill.spaces.data_facts import DataFacts

LearningRate = Annotated[float, Field(gt=0)]
"""Of SGD, on images or on a model."""
LearningRateOrOff = Annotated[float, Field(ge=0)]
"""Of SGD; at 0 what it would learn stays as it starts."""
Momentum = Annotated[float, Field(ge=0, lt=1)]
"""Of SGD; 0 is plain SGD."""
Weight = Annotated[float, Field(ge=0)]
"""Factor on one term of a loss; 0 turns the term off."""
Count = Annotated[int, Field(ge=1)]
"""Of initialisations, iterations, steps, epochs or images."""
CountOrNone = Annotated[int, Field(ge=0)]
"""Of steps or epochs; 0 leaves them out."""


def larger_than_a_class(batch_real: int, facts: DataFacts) -> Iterator[tuple[str, str]]:
    """Yield (field, message) if the smallest class cannot fill a real batch."""
    if batch_real > facts.smallest_class:
        yield (
            "batch_real",
            f"given {batch_real}; the smallest class has {facts.smallest_class} train images: write at most that number",
        )
