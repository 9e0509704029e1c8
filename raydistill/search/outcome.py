"""A record in Optuna's terms."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from optuna.trial import TrialState

from raydistill.storage.record import TrialRecord

NO_MEMORY_VIOLATION = 1.0
"""Of the constraint, for a trial that ran out of memory: no gap, a difference of accuracies, is further from feasible."""


class Outcome(NamedTuple):
    """A record in Optuna's terms."""

    state: TrialState
    value: float | None
    constraint: float | None
    """Gap minus margin; at most 0 is feasible."""
    notes: dict[str, Any]
    """User attributes."""


def read_outcome(record: TrialRecord, margin_fraction: float) -> Outcome:
    """Convert a record for Optuna: a stopped trial becomes PRUNED with its last gap, a failed one FAIL with its cause.

    One that ran out of memory is PRUNED and far from feasible, because samplers take no notice of a trial that failed: so TPE
    proposes fewer settings near it. The law excludes its IPC and those above by themselves (`proposal`).
    """
    gap = record.readings[-1].gap if record.readings else None
    if record.state == "finished" and gap is not None and math.isfinite(gap):
        return Outcome(TrialState.COMPLETE, float(record.ipc), gap - margin_fraction, {"gap": gap})
    if record.state == "pruned" and gap is not None and math.isfinite(gap):
        return Outcome(TrialState.PRUNED, None, gap - margin_fraction, {"gap": gap})
    cause = record.error or f"{record.state} with gap {gap}, which is not a finite number"
    if record.state == "out_of_memory":
        return Outcome(TrialState.PRUNED, None, NO_MEMORY_VIOLATION, {"cause": record.state, "error": cause})
    return Outcome(TrialState.FAIL, None, None, {"cause": record.state, "error": cause})
