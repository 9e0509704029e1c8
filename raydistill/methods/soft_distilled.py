"""DataDAM, DM and DC with soft labels: images distilled as for hard labels, then labelled by experts (`labels: experts`).

So a method that learns images alone races against methods that learn soft labels too. The labels are those of
`core/soft_labels.py`, which DATM and PAD start from. They are made anew from the images at the start, half-way and at the end,
where trials evaluate the set; in between the last ones are reported. No rate is learned.

Algorithm: 1. distil as the method does; 2. label the images with the experts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from raydistill.core.contract import Report, TrainPart
from raydistill.core.experts import Experts
from raydistill.core.soft_labels import with_soft_labels
from raydistill.core.synthetic import SyntheticSet
from raydistill.methods import datadam, dc, dm
from raydistill.spaces.network import NetworkConfig


def labelled(distill: Callable[..., SyntheticSet]) -> Callable[..., SyntheticSet]:
    """A method's `distill` that gives its sets soft labels; it takes `experts` too, as `trajectory.match_trajectories` does."""

    def distill_and_label(
        train: TrainPart, network: NetworkConfig, config: Any, ipc: int, *, report: Report, experts: Experts, **given: Any
    ) -> SyntheticSet:
        last: list[Tensor] = []

        def label(synthetic: SyntheticSet) -> SyntheticSet:
            return with_soft_labels(synthetic, experts, network, train)

        def report_labelled(
            step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True
        ) -> None:
            if not last or step in (0, round(steps / 2), steps):
                last[:] = [label(synthetic).labels]
            report(step, steps, loss, replace(synthetic, labels=last[0]), is_accepted=is_accepted)

        return label(distill(train, network, config, ipc, report=report_labelled, **given))

    return distill_and_label


distill_datadam = labelled(datadam.distill)
distill_dm = labelled(dm.distill)
distill_dc = labelled(dc.distill)
