"""The protocols by name, and the one way in which all of them run: plan, estimate, do what is missing, write the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from raydistill.search.estimate import estimate_line
from raydistill.uses.continual import plan_continual
from raydistill.uses.cost import plan_cost
from raydistill.uses.nas import plan_nas
from raydistill.uses.privacy import estimated_privacy, run_privacy
from raydistill.uses.running import Paces, Run, all_parts, keep, run_units
from raydistill.uses.transfer import plan_transfer
from raydistill.uses.units import Unit, UnitRecord
from raydistill.uses.values import UseResult


class Plan(Protocol):
    """What a protocol trains."""

    @property
    def units(self) -> Sequence[Unit]:
        """All networks, in an order that `finish` knows."""

    @property
    def paces(self) -> Paces | None:
        """Paces of the networks, where planning has timed them."""

    @property
    def is_sized(self) -> bool:
        """Whether it was made as large as the hours allow, so that it is not to be refused for them."""

    def begin(self, run: Run) -> None:
        """Keep what a run that goes on has to know."""

    def finish(self, run: Run, records: Sequence[UnitRecord]) -> UseResult:
        """The result, from a record for each unit."""


PROTOCOLS: Mapping[str, Callable[[Run], Plan]] = {
    "transfer": plan_transfer,
    "continual": plan_continual,
    "nas": plan_nas,
    "cost": plan_cost,
}

IN_THEIR_OWN_WAY: Mapping[str, tuple[Callable[[Run], UseResult], Callable[[Run], str]]] = {
    "privacy": (run_privacy, estimated_privacy)
}
"""Protocols that need more of a network than its accuracy: what runs one, and what says how long it takes."""


def run_protocol(protocol: str, run: Run) -> UseResult:
    """Run a protocol and write its result beside the records of its networks.

    Raises:
        InputError: an option is wrong, or it would take longer than the hours that were given.
        StoreError: the folder cannot be written, or a record in it is damaged.
    """
    if protocol in IN_THEIR_OWN_WAY:
        return IN_THEIR_OWN_WAY[protocol][0](run)
    plan = PROTOCOLS[protocol](run)
    plan.begin(run)
    result = plan.finish(run, run_units(run, plan.units, plan.paces, is_sized=plan.is_sized))
    keep(run, protocol, result)
    return result


def estimated(protocol: str, run: Run) -> str:
    """How long what is missing takes, in a sentence; trains nothing but the few steps that are timed.

    Raises:
        InputError: an option is wrong.
    """
    if protocol in IN_THEIR_OWN_WAY:
        return IN_THEIR_OWN_WAY[protocol][1](run)
    plan = PROTOCOLS[protocol](run)
    distinct = {unit.file: unit for unit in plan.units}
    missing = [unit for file, unit in distinct.items() if not run.subject.place.folder.exists(file)]
    if not missing:
        return f"nothing is left to do: the records of all {len(distinct)} networks are in {run.subject.place.folder.root}"
    return estimate_line(all_parts(run, missing, plan.paces), run.work.executor.at_once(run.work.watcher))
