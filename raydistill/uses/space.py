"""The space of networks from which one is chosen: the field's 720 ConvNets, or some values of its axes.

Source: Zhao et al., "Dataset Condensation with Gradient Matching", ICLR 2021, and its successors: all ConvNets of these depths,
widths, normalisations, activations and poolings.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml
from pydantic import ValidationError

from raydistill.errors import InputError
from raydistill.spaces.bounded import read_yaml
from raydistill.spaces.messages import explain, unknown
from raydistill.spaces.network import ConvNetConfig, Shape
from raydistill.spaces.sections import derive_seed

Axes = Mapping[str, tuple[int | str, ...]]
AXES: Axes = {
    "depth": (1, 2, 3, 4),
    "width": (32, 64, 128, 256),
    "norm": ("none", "batch", "layer", "instance", "group"),
    "activation": ("sigmoid", "relu", "leaky_relu"),
    "pooling": ("none", "max", "average"),
}
"""4 x 4 x 5 x 3 x 3 = 720."""


def parse_axes(text: str | None) -> Axes:
    """The axes with some of them replaced, as in `width=8,16:depth=1,2`.

    Raises:
        InputError: an axis is unknown or given twice, or a value is none that a ConvNet takes; the message lists all mistakes.
    """
    given: dict[str, tuple[int | str, ...]] = {}
    mistakes = []
    for part in text.split(":") if text is not None else ():
        name, equals, joined = part.partition("=")
        if not equals or not joined.strip(","):
            mistakes.append(f"{part!r}; expected axis=values, joined by colons: write e.g. width=8,16:depth=1,2")
        elif name not in AXES:
            mistakes.append(unknown(name, AXES, "axis"))
        elif name in given:
            mistakes.append(f"{part!r}; {name} is given twice: join its values by commas, as in width=8,16")
        else:
            read = [_read(name, word) for word in joined.split(",") if word]
            mistakes += [message for _, messages in read for message in messages]
            given[name] = tuple(dict.fromkeys(value for value, messages in read if not messages))
    if mistakes:
        raise InputError(f"given --space {text}: {'; '.join(mistakes)}")
    return {**AXES, **given}


def _read(name: str, word: str) -> tuple[Any, list[str]]:
    """A value of an axis, as YAML reads it, and what is wrong with it."""
    try:
        value = read_yaml(word)[0]
    except yaml.YAMLError:
        value = word  # a text that no axis takes, which is said in the words of the axis
    try:
        ConvNetConfig.model_validate({"name": "convnet", name: value})
    except ValidationError as error:
        return value, [f"{name}: {explain(dict(row), ConvNetConfig, [name])}" for row in error.errors()]
    return value, []


def networks_in(axes: Axes, shape: Shape) -> tuple[list[ConvNetConfig], int]:
    """The networks of a space that fit (C, H, W) images, and how many do not.

    Raises:
        InputError: two values do not go together, as groups and a width that is no multiple of 4.
    """
    fitting, left_out = [], 0
    for values in itertools.product(*axes.values()):
        fields = dict(zip(axes, values, strict=True))
        try:
            network = ConvNetConfig.model_validate({"name": "convnet", **fields})
        except ValidationError as error:
            row = error.errors()[0]
            raise InputError(f"a network of the space, {fields}: {explain(dict(row), ConvNetConfig, [])}") from error
        if any(network.against(shape)):
            left_out += 1
        else:
            fitting.append(network)
    return fitting, left_out


def in_drawn_order(networks: Sequence[ConvNetConfig]) -> list[ConvNetConfig]:
    """The networks in a seeded random order, so that the first n are a sample, and a larger one holds the smaller."""
    order = np.random.default_rng(derive_seed("nas", "order")).permutation(len(networks))
    return [networks[place] for place in order]
