"""The space of networks from which one is chosen: the field's 720 ConvNets, or some values of its axes.

Source: Zhao et al., "Dataset Condensation with Gradient Matching", ICLR 2021, and its successors: all ConvNets of these depths,
widths, normalisations, activations and poolings.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import yaml
from pydantic import ValidationError

from raydistill.errors import InputError
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
        InputError: an axis is unknown, or a value is none that a ConvNet takes; the message lists all mistakes.
    """
    axes, mistakes = dict(AXES), []
    for part in text.split(":") if text is not None else ():
        name, equals, joined = part.partition("=")
        if not equals or not joined.strip(","):
            mistakes.append(f"{part!r}; expected axis=values, joined by colons: write e.g. width=8,16:depth=1,2")
        elif name not in AXES:
            mistakes.append(unknown(name, AXES, "axis"))
        else:
            values = [yaml.safe_load(word) for word in joined.split(",") if word]
            mistakes += [message for value in values for message in _mistakes(name, value)]
            axes[name] = tuple(dict.fromkeys(values))
    if mistakes:
        raise InputError(f"given --space {text}: {'; '.join(mistakes)}")
    return axes


def _mistakes(name: str, value: object) -> list[str]:
    try:
        ConvNetConfig.model_validate({"name": "convnet", name: value})
    except ValidationError as error:
        return [f"{name}: {explain(dict(row), ConvNetConfig, [name])}" for row in error.errors()]
    return []


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
