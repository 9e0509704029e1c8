"""The distillation methods: settings and loop, and one line in `METHODS`, from which YAML keys, contract tests and rows follow.

May enter: a method's loop with the paper, `<method>.py`, and its settings, `configs/<method>.py`. Must not know: stores,
searches, what a set is compared with. Importing this loads no torch: a loop is imported when it is first called.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from raydistill.methods import configs
from raydistill.methods.configs.first import Fields, Given, defaults
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
    trains_network: bool = False
    """Whether it chooses images by the features of a network, which each of its sets trains anew."""


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
    first_fields: Callable[[Given], Fields] = defaults
    """For a first search of a person's own images: values and ranges, from the data and the machine; the other fields keep their
    defaults, and those of experts come from `configs.first.experts`."""


def loop(place: str) -> Callable[..., SyntheticSet]:
    """A function of this room, `file.name`, that is imported when it is first called: it loads torch, its settings do not."""
    file, _, name = place.partition(".")

    def distill(*given: Any, **named: Any) -> SyntheticSet:
        function: Callable[..., SyntheticSet] = getattr(importlib.import_module(f"{__name__}.{file}"), name)
        return function(*given, **named)

    return distill


def _control(draws: int, *, trains_network: bool = False) -> Control:
    """A control with hard labels, beside methods of either kind."""
    return Control(label_kinds=frozenset({"hard", "soft"}), draws=draws, trains_network=trains_network)


def _soft(control: Control) -> Control:
    """The same for images with soft labels, by the experts of the method that it stands beside."""
    return replace(control, label_kinds=frozenset({"soft"}), settings=configs.soft_coreset.as_beside)


DRAWN, CHOSEN, BY_FEATURES = _control(draws=5), _control(draws=1), _control(draws=1, trains_network=True)
CHOOSE, CHOOSE_SOFT = loop("coreset.choose"), loop("soft_coreset.choose")
METHODS: dict[str, Method] = {
    "datadam": Method(
        configs.datadam.DataDAMConfig,
        loop("datadam.distill"),
        configs.datadam.images_passed,
        ablations=configs.datadam.ABLATIONS,
        first_fields=configs.datadam.first_fields,
    ),
    "datm": Method(
        configs.datm.DATMConfig,
        loop("datm.distill"),
        configs.trajectory.images_passed,
        label_kind="soft",
        ablations=configs.trajectory.ABLATIONS,
        first_fields=configs.trajectory.first_fields,
    ),
    "pad": Method(
        configs.pad.PADConfig,
        loop("pad.distill"),
        configs.trajectory.images_passed,
        label_kind="soft",
        ablations=configs.pad.ABLATIONS,
        first_fields=configs.pad.first_fields,
    ),
    "random_soft": Method(configs.soft_coreset.RandomSoftConfig, CHOOSE_SOFT, label_kind="soft", control=_soft(DRAWN)),
    "k_center_soft": Method(configs.soft_coreset.KCenterSoftConfig, CHOOSE_SOFT, label_kind="soft", control=_soft(BY_FEATURES)),
    "herding_soft": Method(configs.soft_coreset.HerdingSoftConfig, CHOOSE_SOFT, label_kind="soft", control=_soft(BY_FEATURES)),
    "k_means_soft": Method(configs.soft_coreset.KMeansSoftConfig, CHOOSE_SOFT, label_kind="soft", control=_soft(CHOSEN)),
    "k_means_medoids_soft": Method(
        configs.soft_coreset.KMeansMedoidsSoftConfig, CHOOSE_SOFT, label_kind="soft", control=_soft(CHOSEN)
    ),
    "dm": Method(
        configs.dm.DMConfig,
        loop("dm.distill"),
        configs.dm.images_passed,
        ablations=configs.dm.ABLATIONS,
        first_fields=configs.dm.first_fields,
    ),
    "dc": Method(
        configs.dc.DCConfig,
        loop("dc.distill"),
        configs.dc.images_passed,
        ablations=configs.dc.ABLATIONS,
        first_fields=configs.dc.first_fields,
    ),
    "rat_bptt": Method(
        configs.rat_bptt.RaTBPTTConfig,
        loop("rat_bptt.distill"),
        configs.rat_bptt.images_passed,
        ablations=configs.rat_bptt.ABLATIONS,
        first_fields=configs.rat_bptt.first_fields,
    ),
    "ncfm": Method(
        configs.ncfm.NCFMConfig,
        loop("ncfm.distill"),
        configs.dm.images_passed,
        ablations=configs.ncfm.ABLATIONS,
        first_fields=configs.ncfm.first_fields,
    ),
    "datadam_soft": Method(
        configs.soft_distilled.DataDAMSoftConfig,
        loop("soft_distilled.distill_datadam"),
        configs.datadam.images_passed,
        label_kind="soft",
        first_fields=configs.datadam.first_fields,
    ),
    "dm_soft": Method(
        configs.soft_distilled.DMSoftConfig,
        loop("soft_distilled.distill_dm"),
        configs.dm.images_passed,
        label_kind="soft",
        first_fields=configs.dm.first_fields,
    ),
    "dc_soft": Method(
        configs.soft_distilled.DCSoftConfig,
        loop("soft_distilled.distill_dc"),
        configs.dc.images_passed,
        label_kind="soft",
        first_fields=configs.dc.first_fields,
    ),
    "rat_bptt_soft": Method(
        configs.rat_bptt.RaTBPTTSoftConfig,
        loop("rat_bptt.distill"),
        configs.rat_bptt.images_passed,
        label_kind="soft",
        ablations=configs.rat_bptt.SOFT_ABLATIONS,
        first_fields=configs.rat_bptt.first_fields,
    ),
    "random": Method(configs.coreset.RandomConfig, CHOOSE, control=DRAWN),
    "k_center": Method(configs.coreset.KCenterConfig, CHOOSE, control=BY_FEATURES),
    "herding": Method(configs.coreset.HerdingConfig, CHOOSE, control=BY_FEATURES),
    "k_means": Method(configs.coreset.KMeansConfig, CHOOSE, control=CHOSEN),
    "k_means_medoids": Method(configs.coreset.KMeansMedoidsConfig, CHOOSE, control=CHOSEN),
}


def method_configs() -> dict[str, type[Any]]:
    """Config class by method name."""
    return {name: method.config for name, method in METHODS.items()}
