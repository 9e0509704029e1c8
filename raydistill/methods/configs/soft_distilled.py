"""Settings of DataDAM, DM, DC (`methods/soft_distilled.py`) and RaT-BPTT (`methods/rat_bptt.py`) with soft labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from raydistill.core.expert_fields import ExpertFields
from raydistill.methods.configs import datadam, dc, dm, rat_bptt
from raydistill.methods.configs.fields import LearningRateOrOff
from raydistill.methods.configs.soft_coreset import ExpertLabels
from raydistill.spaces.data_facts import DataFacts

RAT_BPTT_ABLATIONS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    **rat_bptt.ABLATIONS,
    "learned labels": lambda config: {"lr_labels": 0.0},
}
"""What `raydistill ablate` turns off: that of `rat_bptt`; labels stay those of the experts."""


class _LabelledConfig(ExpertLabels):
    """The experts beside a method's own fields; `augmentation` is that of both."""

    def against(self, facts: DataFacts, network: Any) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what does not fit the experts, then for what does not fit the method."""
        yield from super().against(facts, network)
        yield from super(ExpertFields, self).against(facts, network)  # type: ignore[misc]  # the method's own


class DataDAMSoftConfig(_LabelledConfig, datadam.DataDAMConfig):
    """DataDAM's fields, and those of the experts."""

    name: Literal["datadam_soft"]  # type: ignore[assignment]


class DMSoftConfig(_LabelledConfig, dm.DMConfig):
    """DM's fields, and those of the experts."""

    name: Literal["dm_soft"]  # type: ignore[assignment]


class DCSoftConfig(_LabelledConfig, dc.DCConfig):
    """DC's fields, and those of the experts."""

    name: Literal["dc_soft"]  # type: ignore[assignment]


class RaTBPTTSoftConfig(_LabelledConfig, rat_bptt.RaTBPTTConfig):
    """RaT-BPTT's fields, those of the experts, and the rate of the labels, which are learned."""

    name: Literal["rat_bptt_soft"]  # type: ignore[assignment]
    lr_labels: LearningRateOrOff = 0.01
    """eta_y of Adam: about the most by which a logit moves in an update; 0 keeps those of the experts. Ours (published:
    learned with the images' rate)."""
