"""A control beside a set: the config of the set's trial with the control's method, and a seed of its own."""

from __future__ import annotations

from typing import Any

from raydistill.methods import METHODS
from raydistill.spaces.sections import derive_seed
from raydistill.spaces.trial import TrialConfig


def config_of_control(beside: TrialConfig[Any], name: str, draw: int) -> TrialConfig[Any]:
    """The config of one draw of a control: that of the set beside it but for method, seed and label.

    A label names the arm of the set in its race; the control's images are the same with and without it.

    Args:
        beside: config of the set.
        name: a method that is a control.
        draw: number of the draw, from 0.
    """
    method = METHODS[name]
    assert method.control is not None
    fields = {"name": name, **method.control.settings(beside.method)}
    return TrialConfig[method.config].model_validate(  # type: ignore[name-defined]
        {
            **beside.model_dump(exclude={"method", "seed", "label"}),
            "method": method.config.model_validate(fields).model_dump(),
            "seed": derive_seed(beside.seed, "control", name, draw),
        }
    )
