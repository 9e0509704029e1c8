"""The line that ends a trial that was distilled again."""

from __future__ import annotations

from raydistill.report.words import accuracy_line
from raydistill.sets.rerun import Rerun


def rerun_line(rerun: Rerun) -> str:
    """Whether the same set came out, in a sentence."""
    made = f"the trial was made with {rerun.then_by} on {rerun.then_device}, now with {rerun.now_by}"
    if not rerun.is_same_set:
        return f"The set differs from the trial's: {made}"
    if rerun.is_same_reading:
        return "The set equals the trial's to the last bit, and every network has the accuracy in the trial's record"
    recorded = accuracy_line(rerun.recorded_accuracy_fractions)
    return f"The set equals the trial's to the last bit, but its record has {recorded}; {made}"
