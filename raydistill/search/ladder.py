"""Which sets are confirmed, and in which order: the fixed-sequence test.

The order depends only on the select images and is fixed before any confirm image is used: from the largest candidate down,
without those whose gap is not smaller than that of a smaller set. Each candidate is tested at the full confidence, and the first
that is not lossless ends the sequence. A false claim requires that the first truly lossy candidate passes its test, which happens
with a probability of at most 1 - confidence. So this bound holds for the whole procedure, for any number of candidates, with any
noise that they share, and whether or not the gap falls with IPC. If candidates were instead tested from the smallest up until
one passes, each candidate would add a probability of a false claim.

In `raydistill bench solver` no other procedure with this guarantee found such small sets: allowing one failure at half the error
probability, simultaneous bounds for all candidates (Dunnett), or three to six candidates chosen by the law. Evaluating the
candidates again with ten more networks before they are ordered costs most of a search and gains a few hits in a hundred.

Source: Maurer, Hothorn and Lehmacher, "Multiple comparisons in drug clinical trials and preclinical assays: a-priori ordered
hypotheses", 1995.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Rung(NamedTuple):
    """A finished trial, with the fields that determine the order."""

    ipc: int
    gap: float
    number: int
    """Number of the trial, in the order in which trials are proposed."""


def ladder(finished: Iterable[Rung], margin_fraction: float) -> list[Rung]:
    """Candidates in the order of their confirmation, largest IPC first.

    A candidate's gap is within the margin and smaller than that of every candidate with a smaller or equal IPC: a larger set with
    a larger gap would only add a chance to end the sequence.

    Args:
        finished: finished trials.
        margin_fraction: largest gap that counts as lossless.
    """
    within = sorted((t for t in finished if t.gap <= margin_fraction), key=lambda t: (t.ipc, t.gap, t.number))
    rungs: list[Rung] = []
    for trial in within:
        if not rungs or trial.gap < rungs[-1].gap:
            rungs.append(trial)
    return rungs[::-1]
