"""What the fields of a first search of a person's own images depend on, and what several methods have in common there.

The ranges, here and in `first_fields` of each method, are those of the shipped spaces for digits and image folders on a CPU, and
of those for MNIST and CIFAR-10 on a GPU. What the data bounds is bounded by it: real images per step by the smallest class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raydistill.spaces.network import ConvNetConfig

Fields = dict[str, Any]
"""By name: a value, or a range as a search space writes it."""
RATE = {"low": 0.1, "high": 10.0, "log": True}
"""Of methods that compare means of features by SGD."""
STARTS = {"choices": ["real", "k_means_medoids"]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """The data and the machine."""

    smallest_class: int
    """Train images of the smallest class."""
    train_images: int
    is_on_gpu: bool
    network: ConvNetConfig


def defaults(given: Given) -> Fields:
    """Of a method whose defaults serve a first search."""
    del given
    return {}


def batch_real(given: Given) -> int:
    """Real images per class in a step."""
    return min(256 if given.is_on_gpu else 64, given.smallest_class)


def updates(given: Given) -> Fields:
    """The range of the number of image updates."""
    return {"low": 500, "high": 5000, "log": True} if given.is_on_gpu else {"low": 30, "high": 150, "log": True}


def experts(given: Given) -> Fields:
    """Few experts with a high rate: on small data the published 100 of 100 epochs would take longer than all trials."""
    few: Fields = {"experts": 5, "expert_epochs": 40, "expert_lr": 0.05, "expert_batch": min(64, given.train_images)}
    return {**few, "experts": 20, "expert_lr": 0.01, "expert_batch": min(256, given.train_images)} if given.is_on_gpu else few


def values_alone(fields: Fields) -> Fields:
    """Those that are values, without the ranges."""
    return {name: value for name, value in fields.items() if not isinstance(value, dict)}
