"""Chooses the arm of the next trial, with its place and IPC, by expected gain for its cost. Pure numpy.

Each arm has a law of its own (`law`), and takes its first guess from the others. The first trials give each arm one, the
controls before the methods: they cost little, and tell the methods where to begin. A method's first trial is kept out of the
last third of the range of IPC, where a trial costs most and the law knows nothing of the method yet. After that each arm
proposes a place and an IPC as in `proposal`, by Thompson sampling, and the proposal with the largest gain for its cost is
taken. The gain is the logarithm of the factor by which it would lower the smallest IPC that any arm has reached. The cost is
one share of the budget's trials, plus the images that pass through a network relative to the mean over the arms. The last part
of the budget shows that a smaller IPC of the arm that reached it is lossy (`proposal.propose_lossy`).

No side has a share of the trials. With at most half for the controls, and the gain taken within each side, a simulated race finds
the right arm and IPC as often and costs 1.6 times as much: methods that a control has beaten use up their half.

Seconds are not used, although they are the cost: they differ from run to run, and one seed would then give different studies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from raydistill.search.proposal import Aim, Field, lossy_trials, propose, propose_lossy
from raydistill.search.seen import Columns

FIRST_AT_MOST = 2 / 3
"""Where the largest IPC of a method's first trial lies in the range of IPC, on a logarithmic scale. With 1, simulated races
cost 6 to 11 % more (benchmarks/results/search.md)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Competitor:
    """An arm, as the choice sees it."""

    label: str
    is_control: bool
    field: Field
    work: Callable[[tuple[float, ...], int], float]
    """Images that pass through a network in a trial at this place and IPC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The next trial of a race."""

    label: str
    place: tuple[float, ...]
    ipc: int


def choose(
    seen: Mapping[str, Columns],
    competitors: Sequence[Competitor],
    aim: Aim,
    *,
    number: int,
    budget: int,
    generator: np.random.Generator,
) -> Choice:
    """The next trial.

    Args:
        seen: ended trials by label; an arm without any may be left out.
        competitors: the arms, methods before controls; at least one.
        aim: margin and expected noise.
        number: number of the trial, from 0.
        budget: total number of trials.
        generator: random numbers of this proposal only.
    """
    by_label = {c.label: seen.get(c.label, Columns.of([])) for c in competitors}

    def proposal(competitor: Competitor) -> Choice:
        others = [arm for label, arm in by_label.items() if label != competitor.label]
        own = by_label[competitor.label]
        place, ipc = propose(own, competitor.field, aim, number=number, budget=budget, generator=generator, others=others)
        return Choice(label=competitor.label, place=place, ipc=ipc)

    first = sorted(competitors, key=lambda c: not c.is_control)
    if number < len(first):
        return _kept_low(proposal(first[number]), first[number])
    if number >= budget - lossy_trials(budget) and (lossy := _lossy(by_label, competitors, aim, generator)) is not None:
        return lossy
    proposals = [proposal(c) for c in competitors]
    work = [c.work(p.place, p.ipc) for c, p in zip(competitors, proposals, strict=True)]
    mean = max(sum(work) / len(work), 1e-9)
    smallest = _smallest(by_label, competitors, aim)
    gains = [math.log(smallest / p.ipc) for p in proposals]
    worth = [gain / (1 + cost / mean) if gain > 0 else gain for gain, cost in zip(gains, work, strict=True)]
    return proposals[int(np.argmax(worth))]


def choose_alone(seen: Columns, field: Field, aim: Aim, number: int, budget: int, generator: np.random.Generator) -> Choice:
    """The next trial of a single arm, without a label; arguments as in `choose`."""
    alone = Competitor(label="", is_control=False, field=field, work=lambda place, ipc: 0.0)
    return choose({"": seen}, [alone], aim, number=number, budget=budget, generator=generator)


def _kept_low(proposed: Choice, competitor: Competitor) -> Choice:
    """The first trial of an arm; a method's at most at `FIRST_AT_MOST`."""
    field = competitor.field
    most = round(field.lowest * (field.highest / field.lowest) ** FIRST_AT_MOST)
    return proposed if competitor.is_control else replace(proposed, ipc=min(proposed.ipc, most))


def _smallest(seen: Mapping[str, Columns], competitors: Sequence[Competitor], aim: Aim) -> int:
    """The smallest IPC whose gap is small enough for the confirmation; the highest IPC if there is none."""
    highest = min(c.field.highest for c in competitors)
    return min(int(arm.ipc[arm.is_finished & (arm.gap <= aim.target)].min(initial=highest)) for arm in seen.values())


def _lossy(
    seen: Mapping[str, Columns], competitors: Sequence[Competitor], aim: Aim, generator: np.random.Generator
) -> Choice | None:
    """A trial that shows an IPC below the smallest within the margin to be lossy; of the same arm, as the verdict asks."""
    within = [(*best, c) for c in competitors if (best := _best_within(seen[c.label], aim.margin)) is not None]
    if not within:
        return None
    arm = min(within, key=lambda row: row[:3])[3]
    found = propose_lossy(seen[arm.label], arm.field, aim, generator)
    return None if found is None else Choice(label=arm.label, place=found[0], ipc=found[1])


def _best_within(arm: Columns, margin: float) -> tuple[int, float, int] | None:
    """IPC, gap and number of the best finished trial at the smallest IPC within the margin; None if there is none."""
    within = arm[arm.is_finished & (arm.gap <= margin)]
    if not len(within):
        return None
    least = within[within.ipc == within.ipc.min()]
    row = int(np.lexsort((least.number, least.gap))[0])
    return int(least.ipc[row]), float(least.gap[row]), int(least.number[row])
