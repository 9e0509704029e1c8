"""What a person reads when a trial was distilled again."""

from __future__ import annotations

from raydistill.report.words import accuracy_line
from raydistill.sets.rerun import Rerun


def rerun_line(rerun: Rerun) -> str:
    """Whether the same set came out, in a sentence."""
    made = f"it was made by {rerun.then_by} on {rerun.then_device}; now {rerun.now_by}"
    if not rerun.is_same_set:
        return f"The set differs from the trial's: {made}"
    if rerun.is_same_reading:
        return "The same as the trial's set, to the last bit, and each network reads as in its record"
    recorded = accuracy_line(rerun.recorded_accuracy_fractions)
    return f"The same as the trial's set, to the last bit, but its record has {recorded}; {made}"
