"""The distillation methods: settings and loop, and one line in `METHODS`, from which YAML keys, contract tests and rows follow.

May enter: a method's loop with the paper, `<method>.py`, and its settings, `configs/<method>.py`. Must not know: stores,
searches, what a set is compared with. Importing this loads no torch: a loop is imported when it is first called.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from raydistill.methods import configs
from raydistill.spaces.sections import Config

if TYPE_CHECKING:
    from raydistill.core.synthetic import SyntheticSet

__all__ = ["METHODS", "Control", "Method", "method_configs"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """How a method serves as a control, which a distilled set of the same size has to beat."""

    label_kinds: frozenset[str]
    """Label kinds ("hard", "soft") of the sets that it is a control for."""
    draws: int
    """How many sets of it one certificate has: several where chance decides which images it takes."""
    settings: Callable[[Any], Mapping[str, Any]] = configs.fields.of_the_same_factor
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


def loop(place: str) -> Callable[..., SyntheticSet]:
    """A function of this room, `file.name`, that is imported when it is first called: it loads torch, its settings do not."""
    file, _, name = place.partition(".")

    def distill(*given: Any, **named: Any) -> SyntheticSet:
        function: Callable[..., SyntheticSet] = getattr(importlib.import_module(f"{__name__}.{file}"), name)
        return function(*given, **named)

    return distill


def _beside_experts(draws: int) -> Control:
    """A control with soft labels, by the experts of the method that it stands beside."""
    return Control(label_kinds=frozenset({"soft"}), draws=draws, settings=configs.soft_coreset.as_beside)


BOTH_KINDS = frozenset({"hard", "soft"})
CHOOSE, CHOOSE_SOFT = loop("coreset.choose"), loop("soft_coreset.choose")
METHODS: dict[str, Method] = {
    "datadam": Method(
        configs.datadam.DataDAMConfig, loop("datadam.distill"), configs.datadam.images_passed, ablations=configs.datadam.ABLATIONS
    ),
    "datm": Method(
        configs.datm.DATMConfig,
        loop("datm.distill"),
        configs.trajectory.images_passed,
        label_kind="soft",
        ablations=configs.trajectory.ABLATIONS,
    ),
    "pad": Method(
        configs.pad.PADConfig,
        loop("pad.distill"),
        configs.trajectory.images_passed,
        label_kind="soft",
        ablations=configs.pad.ABLATIONS,
    ),
    "random_soft": Method(configs.soft_coreset.RandomSoftConfig, CHOOSE_SOFT, label_kind="soft", control=_beside_experts(5)),
    "k_center_soft": Method(configs.soft_coreset.KCenterSoftConfig, CHOOSE_SOFT, label_kind="soft", control=_beside_experts(1)),
    "herding_soft": Method(configs.soft_coreset.HerdingSoftConfig, CHOOSE_SOFT, label_kind="soft", control=_beside_experts(1)),
    "k_means_soft": Method(configs.soft_coreset.KMeansSoftConfig, CHOOSE_SOFT, label_kind="soft", control=_beside_experts(1)),
    "k_means_medoids_soft": Method(
        configs.soft_coreset.KMeansMedoidsSoftConfig, CHOOSE_SOFT, label_kind="soft", control=_beside_experts(1)
    ),
    "dm": Method(configs.dm.DMConfig, loop("dm.distill"), configs.dm.images_passed, ablations=configs.dm.ABLATIONS),
    "dc": Method(configs.dc.DCConfig, loop("dc.distill"), configs.dc.images_passed, ablations=configs.dc.ABLATIONS),
    "rat_bptt": Method(
        configs.rat_bptt.RaTBPTTConfig,
        loop("rat_bptt.distill"),
        configs.rat_bptt.images_passed,
        ablations=configs.rat_bptt.ABLATIONS,
    ),
    "ncfm": Method(configs.ncfm.NCFMConfig, loop("ncfm.distill"), configs.dm.images_passed, ablations=configs.ncfm.ABLATIONS),
    "datadam_soft": Method(
        configs.soft_distilled.DataDAMSoftConfig,
        loop("soft_distilled.distill_datadam"),
        configs.datadam.images_passed,
        label_kind="soft",
    ),
    "dm_soft": Method(
        configs.soft_distilled.DMSoftConfig, loop("soft_distilled.distill_dm"), configs.dm.images_passed, label_kind="soft"
    ),
    "dc_soft": Method(
        configs.soft_distilled.DCSoftConfig, loop("soft_distilled.distill_dc"), configs.dc.images_passed, label_kind="soft"
    ),
    "rat_bptt_soft": Method(
        configs.rat_bptt.RaTBPTTSoftConfig,
        loop("rat_bptt.distill"),
        configs.rat_bptt.images_passed,
        label_kind="soft",
        ablations=configs.rat_bptt.SOFT_ABLATIONS,
    ),
    "random": Method(configs.coreset.RandomConfig, CHOOSE, control=Control(label_kinds=BOTH_KINDS, draws=5)),
    "k_center": Method(configs.coreset.KCenterConfig, CHOOSE, control=Control(label_kinds=BOTH_KINDS, draws=1)),
    "herding": Method(configs.coreset.HerdingConfig, CHOOSE, control=Control(label_kinds=BOTH_KINDS, draws=1)),
    "k_means": Method(configs.coreset.KMeansConfig, CHOOSE, control=Control(label_kinds=BOTH_KINDS, draws=1)),
    "k_means_medoids": Method(configs.coreset.KMeansMedoidsConfig, CHOOSE, control=Control(label_kinds=BOTH_KINDS, draws=1)),
}


def method_configs() -> dict[str, type[Any]]:
    """Config class by method name."""
    return {name: method.config for name, method in METHODS.items()}
