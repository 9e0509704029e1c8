"""Settings of RaT-BPTT; the method is in `methods/rat_bptt.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from pydantic import model_validator

from raydistill.core.choices import AugmentationName, Start
from raydistill.methods.configs.fields import Count, Factor, LearningRate, LearningRateOrOff, larger_than_a_class
from raydistill.methods.configs.first import STARTS, Fields, Given, batch_real, updates
from raydistill.methods.configs.soft_distilled import LabelledConfig
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.sections import Config

ABLATIONS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    "augmentation": lambda config: {"augmentation": "none"},
    "random place of the window": lambda config: (
        {"training_steps": config.window} if config.training_steps > config.window else {}
    ),
}
"""What `raydistill ablate` turns off: the student sees plain images; every window begins with a network's first step."""

SOFT_ABLATIONS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    "random place of the window": ABLATIONS["random place of the window"],
    "learned labels": lambda config: {"lr_labels": 0.0},
}
"""With learned labels: these stay those of the experts. Augmentation shapes the experts too, so it is no term here."""


class RaTBPTTConfig(Config):
    """Settings of RaT-BPTT; defaults are those of the published command for CIFAR-10 at IPC 10, unless said otherwise."""

    name: Literal["rat_bptt"]
    lr_images: LearningRate = 0.001
    """eta of Adam: about the most by which a pixel moves in an update, in units of the standardised images."""
    random_inits: Count = 60000
    """K; a fresh network for every update."""
    training_steps: Count = 200
    """T; most steps that a network takes on the synthetic images before it is judged."""
    window: Count = 60
    """W; the last steps, through which gradients flow; memory grows with them."""
    lr_model: LearningRate = 0.1
    """alpha of the network's plain SGD; ours (published: Adam with 0.001)."""
    batch_model: Count = 64
    """Synthetic images of one step of the network; the whole set where that is smaller. Ours (published: ten times the
    classes)."""
    batch_real: Count = 500
    """Per class; the images on which the network is judged."""
    augmentation: AugmentationName = "dsa"
    """Of the images that the network trains on: "dsa" (no flip where mirroring changes the class), "none", or names joined by _
    (published: flip_rotate)."""
    init: Start = "real"
    """Start from random real images, standard normal noise, k-center images, or k-means in each class; see
    `core.choices.Start`."""
    factor: Factor = 1
    """f; a stored image holds f x f smaller ones, which are enlarged and trained on; 1 in this method's paper."""

    @model_validator(mode="after")
    def _window_fits(self) -> RaTBPTTConfig:
        if self.window > self.training_steps:
            raise ValueError(
                f"window is {self.window}, but training_steps is {self.training_steps}: the window is part of the training, so "
                f"write window: {self.training_steps} or less, or training_steps: {self.window} or more"
            )
        return self

    def against(self, facts: DataFacts, network: NetworkConfig) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what the data set or the network cannot serve."""
        yield from larger_than_a_class(self.batch_real, facts)
        if getattr(network, "norm", None) == "batch":
            yield "name", "rat_bptt differentiates training, and batch norm keeps statistics on the side: write norm: instance"


class RaTBPTTSoftConfig(LabelledConfig, RaTBPTTConfig):
    """RaT-BPTT's fields, those of the experts, and the rate of the labels, which are learned."""

    name: Literal["rat_bptt_soft"]  # type: ignore[assignment]
    lr_labels: LearningRateOrOff = 0.01
    """eta_y of Adam: about the most by which a logit moves in an update; 0 keeps those of the experts. Ours (published:
    learned with the images' rate)."""


def images_passed(config: RaTBPTTConfig, ipc: int, classes: int) -> int:
    """Images that pass through a network in one distillation, twice where it is differentiated twice; see `methods.Method`."""
    batch = min(config.batch_model, classes * ipc * config.factor**2)
    before = (config.training_steps - config.window) / 2
    return round(config.random_inits * (batch * (before + 2 * config.window) + classes * config.batch_real))


def first_fields(given: Given) -> Fields:
    """For a first search; see `methods.Method`."""
    return {
        "lr_images": {"low": 0.001, "high": 0.02, "log": True},
        "random_inits": updates(given),
        "training_steps": 200 if given.is_on_gpu else 80,
        "window": 60 if given.is_on_gpu else 40,
        "batch_real": batch_real(given),
        "init": STARTS,
    }
