"""Settings of DataDAM, DM and DC with soft labels; the methods are in `methods/soft_distilled.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from raydistill.core.expert_fields import ExpertFields
from raydistill.methods.configs import datadam, dc, dm
from raydistill.methods.configs.soft_coreset import ExpertLabels
from raydistill.spaces.data_facts import DataFacts


class LabelledConfig(ExpertLabels):
    """The experts beside a method's own fields; `augmentation` is that of both."""

    def against(self, facts: DataFacts, network: Any) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what does not fit the experts, then for what does not fit the method."""
        yield from super().against(facts, network)
        yield from super(ExpertFields, self).against(facts, network)  # type: ignore[misc]  # the method's own


class DataDAMSoftConfig(LabelledConfig, datadam.DataDAMConfig):
    """DataDAM's fields, and those of the experts."""

    name: Literal["datadam_soft"]  # type: ignore[assignment]


class DMSoftConfig(LabelledConfig, dm.DMConfig):
    """DM's fields, and those of the experts."""

    name: Literal["dm_soft"]  # type: ignore[assignment]


class DCSoftConfig(LabelledConfig, dc.DCConfig):
    """DC's fields, and those of the experts."""

    name: Literal["dc_soft"]  # type: ignore[assignment]
