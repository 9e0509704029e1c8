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

from pydantic import TypeAdapter

from raydistill.core.evaluate import network_seeds
from raydistill.data.splits import Splits
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
    left_out: tuple[str, ...]
    """Names of networks for which the images are too small."""
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
        return TransferResult(about=run.about(), cells=tuple(found), left_out=self.left_out)


def plan_transfer(run: Run) -> TransferPlan:
    """Networks of every architecture on the set, on controls and on the full data.

    Raises:
        InputError: an unknown network, control or recipe.
    """
    subject = run.subject
    chosen, left_out = networks_for(subject.config, subject.splits, run.wanted.architectures)
    names = (SET, *controls_beside(subject, run.wanted.controls), FULL)
    cells = tuple((name, network, tuple(units_of(run, name, network))) for name in names for network in chosen)
    return TransferPlan(cells=cells, left_out=left_out)


def units_of(run: Run, name: str, network: NetworkConfig) -> list[Unit]:
    """The networks of a cell."""
    seeds = network_seeds("transfer", run.subject.splits.sha256, run.wanted.networks or NETWORKS_EACH)
    steps = run.recipe().steps
    return [run.unit(source_of(run.subject, name, index), network, steps, seed) for index, seed in enumerate(seeds)]


def networks_for(
    config: TrialConfig[Any], splits: Splits, given: tuple[str, ...] | None
) -> tuple[list[NetworkConfig], tuple[str, ...]]:
    """The networks to judge with, those given or else the set's own and all others that the images are large enough for.

    Returns:
        The networks, and the names of those that are left out because the images are too small for them.

    Raises:
        InputError: a network that was given is unknown, or the images are too small for it.
    """
    if given:
        return parse_networks(given, config.network, splits.shape), ()
    read: TypeAdapter[NetworkConfig] = TypeAdapter(NetworkConfig)
    others = [read.validate_python({"name": name}) for name in NETWORKS if name != config.network.name]
    too_large = tuple(network.name for network in others if any(network.against(splits.shape)))
    return [config.network, *(network for network in others if network.name not in too_large)], too_large
