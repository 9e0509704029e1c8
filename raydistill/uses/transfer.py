"""A set that was made with one network, judged with the others, with controls and the full data beside it.

The axis of DC-Bench's table and of every cross-architecture table of the field: a set that fits only the network that made it
serves nobody else. All networks of a column start from the same weights, whatever they learn from.

Source: Cui et al., "DC-BENCH: Dataset Condensation Benchmark", NeurIPS 2022; Zhao et al., "Dataset Condensation with
Gradient Matching", ICLR 2021.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raydistill.core.evaluate import network_seeds
from raydistill.data.splits import Splits
from raydistill.errors import InputError
from raydistill.spaces.network import NETWORKS, NetworkConfig
from raydistill.spaces.network_names import network_text, parse_networks
from raydistill.spaces.trial import TrialConfig
from raydistill.uses.running import Paces, Run
from raydistill.uses.sources import controls_beside, source_of
from raydistill.uses.units import Unit, UnitRecord
from raydistill.uses.values import FULL, SET, TransferCell, TransferResult

NETWORKS_EACH = 3
"""Networks of each architecture, on each source."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferPlan:
    """The cells of the table."""

    cells: tuple[tuple[str, NetworkConfig, tuple[Unit, ...]], ...]
    """Source, network, and the networks to train."""
    paces: Paces | None = None
    is_sized: bool = False

    @property
    def units(self) -> list[Unit]:
        """All networks."""
        return [unit for _, _, units in self.cells for unit in units]

    def begin(self, run: Run) -> None:
        """Keep nothing: the options say all."""

    def finish(self, run: Run, records: Sequence[UnitRecord]) -> TransferResult:
        """The table."""
        left = iter(records)
        found = []
        for name, network, units in self.cells:
            own = [next(left) for _ in units]
            found.append(
                TransferCell(
                    source=name,
                    network=network_text(network),
                    accuracy_fractions=tuple(record.accuracy_fraction for record in own),
                    seconds=statistics.mean(record.seconds for record in own),
                )
            )
        return TransferResult(about=run.about(), cells=tuple(found))


def plan_transfer(run: Run) -> TransferPlan:
    """Networks of every architecture on the set, on controls and on the full data.

    Raises:
        InputError: an unknown network, control or recipe.
    """
    subject = run.subject
    chosen = networks_for(subject.config, subject.splits, run.wanted.architectures)
    names = (SET, *controls_beside(subject, run.wanted.controls), FULL)
    return TransferPlan(cells=tuple((name, network, tuple(units_of(run, name, network))) for name in names for network in chosen))


def units_of(run: Run, name: str, network: NetworkConfig) -> list[Unit]:
    """The networks of a cell."""
    seeds = network_seeds("transfer", run.subject.splits.sha256, run.wanted.networks or NETWORKS_EACH)
    steps = run.recipe().steps
    return [run.unit(source_of(run.subject, name, index), network, steps, seed) for index, seed in enumerate(seeds)]


def networks_for(config: TrialConfig[Any], splits: Splits, given: tuple[str, ...] | None) -> list[NetworkConfig]:
    """The networks to judge with: those given, or the set's own and all others that the images are large enough for."""
    if given:
        return parse_networks(given, config.network, splits.shape)
    own = config.network.name
    fitting = [config.network]
    for name in (name for name in NETWORKS if name != own):
        try:
            fitting += parse_networks([name], config.network, splits.shape)
        except InputError:  # the images are too small for it
            continue
    return fitting
