"""Which sets are confirmed, in which order, and what may be claimed: the fixed-sequence test.

The order is fixed by the select images alone, before a confirm image is looked at: from the largest candidate down, passing
over each that reads no better than a smaller one. Each is tested at the full confidence, and the first that falls ends the
sequence. For a claim to be false, the first of the sequence that is truly lossy must have held, and that one test errs with at
most 1 - confidence: so does the whole procedure, however many candidates there are, whatever the noise that they share, and
whether or not the gap falls with IPC. Testing from the smallest up until one holds gives each candidate a chance of its own to
err.

By `raydistill bench solver` no other procedure with that guarantee came as near: one fall forgiven at half the error, bounds that
hold for all candidates at once (Dunnett), three to six candidates picked by the law. Reading the candidates again with ten more
networks before they are put in order costs most of a search and gains a few hits in a hundred.

Source: Maurer, Hothorn and Lehmacher, "Multiple comparisons in drug clinical trials and preclinical assays: a-priori ordered
hypotheses", 1995.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Rung(NamedTuple):
    """A finished trial, as far as the order looks at it."""

    ipc: int
    gap: float
    number: int
    """Place in the order of asks."""


def ladder(finished: Iterable[Rung], margin_fraction: float) -> list[Rung]:
    """Candidates in the order of their confirmation, largest IPC first.

    A candidate's reading is within the margin, and no smaller or equal IPC reads as well: a larger set that reads worse would
    only add a chance to fall.

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
