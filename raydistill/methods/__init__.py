"""The distillation methods: one file each, and one line in `METHODS`, from which YAML keys, contract tests and table rows follow.

May enter: a method's config and its `distill`, with the paper. Must not know: stores, searches, what a set is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from raydistill.core.synthetic import SyntheticSet
from raydistill.methods import coreset, datadam, datm, dc, dm, pad, soft_coreset, soft_distilled, trajectory
from raydistill.spaces.sections import Config

__all__ = ["METHODS", "Control", "Method", "method_configs"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """How a method serves as a control, which a distilled set of the same size has to beat."""

    label_kinds: frozenset[str]
    """Label kinds ("hard", "soft") of the sets that it is a control for."""
    draws: int
    """How many sets of it one certificate has: several where chance decides which images it takes."""
    settings: Callable[[Any], Mapping[str, Any]] = lambda winner: {}
    """Fields of its config, from the config of the winning method; the others keep their defaults."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method's config and the function that distils with it."""

    config: type[Config]
    distill: Callable[..., SyntheticSet]
    """`distill(train, network, config, ipc, *, generator, device, report, checkpoint)`; see `datadam.distill`.

    Where the config is an `ExpertFields`, `experts` too; see `datm.distill`.
    """
    images_passed: Callable[[Any, int, int], int] = lambda config, ipc, classes: 0
    """From a config, IPC and the number of classes: images that pass through a network in one distillation. A race takes it for
    the cost, because seconds differ from run to run."""
    label_kind: Literal["hard", "soft"] = "hard"
    control: Control | None = None
    """Set for methods that a certificate compares the set with."""
    ablations: Mapping[str, Callable[[Any], Mapping[str, Any]]] = field(default_factory=dict)
    """By the name of a term: from a config, the fields that turn the term off; empty where the config does not use it."""


def _beside_experts(draws: int) -> Control:
    """A control with soft labels, by the experts of the method that it stands beside."""
    return Control(label_kinds=frozenset({"soft"}), draws=draws, settings=soft_coreset.of_the_same_experts)


BOTH_KINDS = frozenset({"hard", "soft"})
METHODS: dict[str, Method] = {
    "datadam": Method(datadam.DataDAMConfig, datadam.distill, datadam.images_passed, ablations=datadam.ABLATIONS),
    "datm": Method(datm.DATMConfig, datm.distill, trajectory.images_passed, label_kind="soft", ablations=datm.ABLATIONS),
    "pad": Method(pad.PADConfig, pad.distill, trajectory.images_passed, label_kind="soft", ablations=pad.ABLATIONS),
    "random_soft": Method(soft_coreset.RandomSoftConfig, soft_coreset.choose, label_kind="soft", control=_beside_experts(5)),
    "k_center_soft": Method(soft_coreset.KCenterSoftConfig, soft_coreset.choose, label_kind="soft", control=_beside_experts(1)),
    "herding_soft": Method(soft_coreset.HerdingSoftConfig, soft_coreset.choose, label_kind="soft", control=_beside_experts(1)),
    "k_means_soft": Method(soft_coreset.KMeansSoftConfig, soft_coreset.choose, label_kind="soft", control=_beside_experts(1)),
    "k_means_medoids_soft": Method(
        soft_coreset.KMeansMedoidsSoftConfig, soft_coreset.choose, label_kind="soft", control=_beside_experts(1)
    ),
    "dm": Method(dm.DMConfig, dm.distill, dm.images_passed, ablations=dm.ABLATIONS),
    "dc": Method(dc.DCConfig, dc.distill, dc.images_passed, ablations=dc.ABLATIONS),
    "datadam_soft": Method(
        soft_distilled.DataDAMSoftConfig, soft_distilled.distill_datadam, datadam.images_passed, label_kind="soft"
    ),
    "dm_soft": Method(soft_distilled.DMSoftConfig, soft_distilled.distill_dm, dm.images_passed, label_kind="soft"),
    "dc_soft": Method(soft_distilled.DCSoftConfig, soft_distilled.distill_dc, dc.images_passed, label_kind="soft"),
    "random": Method(coreset.RandomConfig, coreset.choose, control=Control(label_kinds=BOTH_KINDS, draws=5)),
    "k_center": Method(coreset.KCenterConfig, coreset.choose, control=Control(label_kinds=BOTH_KINDS, draws=1)),
    "herding": Method(coreset.HerdingConfig, coreset.choose, control=Control(label_kinds=BOTH_KINDS, draws=1)),
    "k_means": Method(coreset.KMeansConfig, coreset.choose, control=Control(label_kinds=BOTH_KINDS, draws=1)),
    "k_means_medoids": Method(coreset.KMeansMedoidsConfig, coreset.choose, control=Control(label_kinds=BOTH_KINDS, draws=1)),
}


def method_configs() -> dict[str, type[Any]]:
    """Config class by method name."""
    return {name: method.config for name, method in METHODS.items()}
