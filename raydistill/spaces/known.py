"""The names that a space may use, and the checks that need other rooms, so that this room imports none of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from raydistill.spaces.checks import SmallestMargin
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.sections import Config, DatasetConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """Names and checks, as `raydistill.catalogue` fills them in."""

    methods: Mapping[str, type[Config]]
    datasets: Collection[str]
    recipes: Collection[str]
    data_facts: Callable[[DatasetConfig], DataFacts]
    """Loads the data set and returns its sizes; raises DataError."""
    smallest_margin: SmallestMargin
    epoch_recipes: Collection[str] = ()
    """Recipes whose number of steps depends on the size of the set; they allow only one IPC."""
    soft_methods: Collection[str] = ()
    """Methods whose sets have soft labels; all others have hard ones."""
    expert_labelled: Mapping[str, str] = field(default_factory=dict)
    """By a method or control with hard labels: the one whose same images have soft labels by experts (`labels: experts`)."""
    experts_of: Callable[[Any], Mapping[str, Any]] = lambda method: {}
    """From the config of a method that reads experts: the fields of the same experts."""
    controls: Mapping[str, Callable[[Any], Mapping[str, Any]]] = field(default_factory=dict)
    """Methods that are controls, in the order in which they are listed: from the config of a method of the same label kind, the
    fields that the control has in a race with it."""
