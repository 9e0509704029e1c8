"""Fields of each method for a first search of a person's own images, from the size of the data and of the machine.

The ranges are those of the shipped spaces for digits and image folders on a CPU, and of those for MNIST and CIFAR-10 on a GPU.
What the data bounds is bounded by it: real images per step by the smallest class, and PAD's filter by what it needs of a class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raydistill.core.expert_fields import ExpertFields
from raydistill.methods import METHODS
from raydistill.methods.configs.fields import hard_name
from raydistill.methods.configs.pad import PADConfig
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import ConvNetConfig

Fields = dict[str, Any]
RATE = {"low": 0.1, "high": 10.0, "log": True}


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What the fields depend on."""

    smallest_class: int
    """Train images of the smallest class."""
    train_images: int
    is_on_gpu: bool
    network: ConvNetConfig


def first_fields(name: str, given: Given) -> Fields:
    """The fields of a method: values, and ranges as a search space writes them.

    Args:
        name: of a registered method or control.
        given: the data and the machine.
    """
    base = hard_name(name)
    fields: Fields = {"name": name}
    if issubclass(METHODS[name].config, ExpertFields):
        fields |= _experts(given)
    made = {
        **{"datadam": _datadam, "dm": _dm, "dc": _dc, "ncfm": _ncfm, "rat_bptt": _rat_bptt},
        **{"datm": _trajectory, "pad": _pad},
    }.get(base)
    return fields | (made(given) if made is not None else {})


def _batch_real(given: Given) -> int:
    return min(256 if given.is_on_gpu else 64, given.smallest_class)


def _updates(given: Given) -> Fields:
    return {"low": 500, "high": 5000, "log": True} if given.is_on_gpu else {"low": 30, "high": 150, "log": True}


def _dm(given: Given) -> Fields:
    start = {"choices": ["real", "k_means_medoids"]}
    return {"lr_images": RATE, "random_inits": _updates(given), "batch_real": _batch_real(given), "init": start}


def _datadam(given: Given) -> Fields:
    return {**_dm(given), "mmd_weight": {"low": 0.003, "high": 0.3, "log": True}}


def _dc(given: Given) -> Fields:
    return {
        "lr_images": {"low": 0.03, "high": 3.0, "log": True},
        "random_inits": {"low": 20, "high": 200, "log": True} if given.is_on_gpu else {"low": 2, "high": 8},
        "steps_per_init": 10,
        "lr_model": 0.01,
        "model_steps": {"low": 2, "high": 20},
        "batch_real": _batch_real(given),
    }


def _ncfm(given: Given) -> Fields:
    """With Adam's rate, and on a CPU with fewer frequencies and a smaller pool, trained for less long."""
    return {
        **_dm(given),
        "lr_images": {"low": 0.01, "high": 0.1, "log": True},
        "frequencies": 4096 if given.is_on_gpu else 1024,
        "pool": 20 if given.is_on_gpu else 5,
        "pool_steps": 300 if given.is_on_gpu else 100,
    }


def _rat_bptt(given: Given) -> Fields:
    return {
        "lr_images": {"low": 0.001, "high": 0.02, "log": True},
        "random_inits": _updates(given),
        "training_steps": 200 if given.is_on_gpu else 80,
        "window": 60 if given.is_on_gpu else 40,
        "batch_real": _batch_real(given),
        "init": {"choices": ["real", "k_means_medoids"]},
    }


def _experts(given: Given) -> Fields:
    """Few experts with a high rate: on small data the published 100 of 100 epochs would take longer than all trials."""
    few: Fields = {"experts": 5, "expert_epochs": 40, "expert_lr": 0.05, "expert_batch": min(64, given.train_images)}
    return {**few, "experts": 20, "expert_lr": 0.01, "expert_batch": min(256, given.train_images)} if given.is_on_gpu else few


def _trajectory(given: Given) -> Fields:
    return {
        "iterations": {"low": 500, "high": 5000, "log": True} if given.is_on_gpu else {"low": 30, "high": 150},
        "student_steps": 40 if given.is_on_gpu else 15,
        "window_start": {"low": 0, "high": 10},
        "window_width": 8,
        "window_growth": {"low": 0, "high": 8},
        "growth_iterations": 500 if given.is_on_gpu else 50,
        "lr_images": {"low": 3.0, "high": 300.0, "log": True},
        "lr_labels": {"low": 0.3, "high": 30.0, "log": True},
        "lr_lr": {"low": 0.00001, "high": 0.001, "log": True},
        "lr_student": 0.05 if not given.is_on_gpu else 0.01,
        "init": "real",
    }


def _pad(given: Given) -> Fields:
    fields = {
        **_trajectory(given),
        "shallow_fraction": {"low": 0.0, "high": 0.5},
        # The published 20, 40 and 60 of 100 epochs, at 40.
        "expert_all_from_epoch": 8,
        "expert_drop_epochs": [16, 24],
        "score_networks": 3,
        "score_epochs": 8,
    }
    plain = {key: value for key, value in (_experts(given) | fields).items() if not isinstance(value, Mapping)}
    config = PADConfig.model_validate({"name": "pad", **plain})
    facts = DataFacts(smallest_class=given.smallest_class, confirm_images=1)
    unserved = {field for field, _ in config.against(facts, given.network)}
    return {**fields, "filter_data": False} if "filter_data" in unserved else fields
