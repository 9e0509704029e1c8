"""The distillation methods. One line here makes a method: its YAML keys, contract tests and table rows follow from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from raydistill.config import Config
from raydistill.core.synthetic import SyntheticSet
from raydistill.methods import coreset, datadam, datm, dc, dm, pad, random_soft


@dataclass(frozen=True, slots=True)
class Method:
    """A method's config and the function that distils with it."""

    config: type[Config]
    distill: Callable[..., SyntheticSet]
    """`distill(train, network, config, ipc, *, generator, device, report, checkpoint)`; see `datadam.distill`.

    Where the config is an `ExpertFields`, `experts` too; see `datm.distill`.
    """
    label_kind: Literal["hard", "soft"] = "hard"


METHODS: dict[str, Method] = {
    "datadam": Method(datadam.DataDAMConfig, datadam.distill),
    "datm": Method(datm.DATMConfig, datm.distill, label_kind="soft"),
    "pad": Method(pad.PADConfig, pad.distill, label_kind="soft"),
    "random_soft": Method(random_soft.RandomSoftConfig, random_soft.choose, label_kind="soft"),
    "dm": Method(dm.DMConfig, dm.distill),
    "dc": Method(dc.DCConfig, dc.distill),
    "random": Method(coreset.RandomConfig, coreset.choose),
    "k_center": Method(coreset.KCenterConfig, coreset.choose),
    "herding": Method(coreset.HerdingConfig, coreset.choose),
}


def method_configs() -> dict[str, type[Any]]:
    """Config class by method name."""
    return {name: method.config for name, method in METHODS.items()}
