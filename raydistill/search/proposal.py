"""Chooses the next trial with the law of the gap. Pure numpy.

Each proposal samples one law from the posterior. It takes the place (hyper-parameters) where b is smallest by this law, and the
smallest IPC whose gap is small enough there (Thompson sampling): proposals spread where the law is uncertain, and agree where it
is known. Small enough means that the confirmation is expected to succeed: the gap, the half-width of its interval, and a sampled
difference between the confirm and the select images are together within the margin. Every eighth proposal allows for twice the
standard deviation of this difference, so that the confirmation has a safe set to begin with.

The constants were chosen on 300 simulated problems (`search.simulation`); `raydistill bench solver` uses other problems.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raydistill.core.lossless import PLANNED_IMAGE_DEVIATION, smallest_margin
from raydistill.search.law import Law, LawModel
from raydistill.search.seen import Array, Columns

EARLY_HEAT, LATE_HEAT = 0.8, 0.2
"""Scale of the deviation of sampled laws from the mean, in the first and the second half of the budget (`heat` of `draw`)."""
WIDEST_STEP = 3.0
"""Largest factor between the IPC by the sampled law and that by the mean law; a sampled b may be near or below 0 by chance."""
SPREAD = 0.4
"""Fraction of the images' standard deviation that is sampled for each proposal."""
SAFE_EVERY, SAFE_DEVIATIONS = 8, 2.0
ANYWHERE, NEAR_EACH, NEAREST, NEAR_DEVIATION = 256, 48, 4, 0.1
"""Numbers of places among which the smallest b is searched: random ones, and ones near each of the best places so far."""
LOSSY_FRACTION = 0.15
"""Part of a budget that is for showing that a smaller IPC is lossy; without it no study shows one."""
ASSUMED_FLOOR = 0.2
"""Floor, in margins, that is assumed when gaps at different IPCs are ranked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """The margin of a search and the expected noise of its confirmation, as fractions of accuracy."""

    margin: float
    half_width: float
    """Expected half-width of the confirmation's interval."""
    shift_deviation: float
    """Standard deviation of the difference between the gaps of one set on the select and on the confirm images."""
    lossy_width: float
    """Expected half-width of a reading's interval on the select images: a set is shown lossy if its gap is that far above the
    margin."""

    @classmethod
    def planned(
        cls,
        margin: float,
        confidence: float,
        *,
        lossy_confidence: float,
        select_images: int,
        confirm_images: int,
        networks: int,
        confirm_networks: int,
        baseline_networks: int,
        select_counts: Sequence[int] = (),
        confirm_counts: Sequence[int] = (),
    ) -> Aim:
        """The aim for a goal and given numbers of images and networks.

        Args:
            margin: largest gap that is lossless.
            confidence: one-sided confidence of the confirmation.
            lossy_confidence: one-sided confidence with which a reading shows a set to be lossy.
            select_images: number of select images.
            confirm_images: number of confirm images.
            networks: number of networks of a reading.
            confirm_networks: number of networks of the confirmation.
            baseline_networks: number of full-data networks.
            select_counts: select images of each class, for balanced accuracy; empty for accuracy.
            confirm_counts: the same of confirm images.
        """
        return cls(
            margin=margin,
            half_width=smallest_margin(confirm_images, confirm_networks, baseline_networks, confidence, confirm_counts),
            shift_deviation=PLANNED_IMAGE_DEVIATION * math.sqrt(1 / select_images + 1 / confirm_images),
            lossy_width=smallest_margin(select_images, networks, baseline_networks, lossy_confidence, select_counts),
        )

    @property
    def target(self) -> float:
        """Gap at which a confirmation succeeds with a probability of one half."""
        return self.margin - self.half_width


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """The domain of a search: the coordinates of a place, and the range of IPC."""

    options: tuple[int, ...]
    """Per hyper-parameter: 1 for a number, otherwise the number of options of the choice."""
    lowest: int
    """Lowest IPC; `highest` is the highest."""
    highest: int

    @property
    def ordered(self) -> list[bool]:
        """Per coordinate of a place, whether it is a number."""
        return [count == 1 for count in self.options for _ in range(count)]

    @property
    def middle(self) -> tuple[float, ...]:
        """Every number in the middle of its range, every choice at its first option."""
        return tuple(0.5 if count == 1 else float(i == 0) for count in self.options for i in range(count))

    def anywhere(self, count: int, generator: np.random.Generator) -> Array:
        """(count, D) random places; D is the number of coordinates."""
        columns = [
            generator.uniform(size=(count, 1)) if n == 1 else np.eye(n)[generator.integers(n, size=count)] for n in self.options
        ]
        return np.hstack([np.empty((count, 0)), *columns])

    def near(self, place: Array, count: int, generator: np.random.Generator) -> Array:
        """(count, D) random places near one, with the same options."""
        steps = generator.normal(0, NEAR_DEVIATION, (count, len(place))) * self.ordered
        return np.clip(place + steps, 0, 1)


def model_of(seen: Columns, field: Field, margin: float, others: Sequence[Columns] = ()) -> LawModel:
    """The law fitted to ended trials; does not depend on the order in which they ended."""
    anchor = math.sqrt(field.lowest * field.highest)
    return LawModel(seen.in_order, ordered=field.ordered, margin=margin, anchor=anchor, others=others)


def propose(
    seen: Columns,
    field: Field,
    aim: Aim,
    *,
    number: int,
    budget: int,
    generator: np.random.Generator,
    others: Sequence[Columns] = (),
) -> tuple[tuple[float, ...], int]:
    """The place and the IPC of the next trial.

    Args:
        seen: ended trials.
        field: domain of the search; an IPC at which memory ran out, and all larger ones, are excluded.
        aim: margin and expected noise.
        number: number of the trial.
        budget: total number of trials.
        generator: random numbers of this proposal only.
        others: ended trials of each other arm of a race.
    """
    top = max(field.lowest, min([field.highest, *(seen.ipc[seen.is_out_of_memory] - 1).tolist()]))
    if not any(len(part.read) for part in (seen, *others)):
        place = field.middle if number == 0 else tuple(field.anywhere(1, generator)[0].tolist())
        spread = generator.uniform(math.log(field.lowest), math.log(top))
        middle = math.sqrt(field.lowest * field.highest)
        return place, min(top, round(middle if number == 0 else math.exp(spread)))
    model = model_of(seen, field, aim.margin, others)
    law, coefficients = model.draw(generator, EARLY_HEAT if number < budget / 2 else LATE_HEAT)
    places = np.vstack([field.anywhere(ANYWHERE, generator), *_near_the_best(seen, field, aim.margin, generator)])
    is_safe = number % SAFE_EVERY == SAFE_EVERY - 1
    shift = -SAFE_DEVIATIONS if is_safe else SPREAD * float(generator.normal())
    target = (aim.target + shift * aim.shift_deviation) / aim.margin
    drawn = model.b(coefficients, places)
    expected = _size(model.likeliest, model.likeliest.mean, model.b(model.likeliest.mean, places), target, top)
    ipc = np.clip(_size(law, coefficients, drawn, target, top), expected / WIDEST_STEP, expected * WIDEST_STEP)
    return tuple(places[int(np.argmin(drawn))].tolist()), int(np.clip(round(float(ipc)), field.lowest, top))


def lossy_trials(budget: int) -> int:
    """How many trials at the end of a budget are for showing that a smaller IPC is lossy."""
    return int(LOSSY_FRACTION * budget)


def propose_lossy(seen: Columns, field: Field, aim: Aim, generator: np.random.Generator) -> tuple[tuple[float, ...], int] | None:
    """The place and the IPC of a trial that is expected to show the largest IPC that can be shown lossy; None if there is none.

    The place is the best one that the law knows, so that the IPC is not lossy for the hyper-parameters alone. The IPC is the
    largest one, below the smallest reading within the margin, whose gap at that place is expected to be above the margin by the
    half-width of a reading's interval. Where that IPC was read and is not lossy, it is the next smaller one.
    """
    smallest_gap = _smallest_gaps(seen[seen.is_finished].read)
    candidate = min((ipc for ipc, gap in smallest_gap.items() if gap <= aim.margin), default=field.lowest)
    edge = aim.margin + aim.lossy_width
    is_shown = {ipc: gap > edge for ipc, gap in smallest_gap.items() if ipc < candidate}
    model = model_of(seen, field, aim.margin)
    law = model.likeliest
    places = np.vstack([field.middle, field.anywhere(ANYWHERE, generator), *_near_the_best(seen, field, aim.margin, generator)])
    b = model.b(law.mean, places)
    expected = math.floor(_size(law, law.mean, b, edge / aim.margin, candidate - 1))
    ipc = min([expected, *(k - 1 for k, shown in is_shown.items() if not shown)])
    if ipc < field.lowest or ipc <= max((k for k, shown in is_shown.items() if shown), default=0):
        return None
    return tuple(places[int(np.argmin(b))].tolist()), ipc


def _smallest_gaps(read: Columns) -> dict[int, float]:
    """The smallest gap at each IPC."""
    ipcs, where = np.unique(read.ipc, return_inverse=True)
    gaps = np.full(len(ipcs), math.inf)
    np.minimum.at(gaps, where, read.gap)
    return dict(zip(ipcs.tolist(), gaps.tolist(), strict=True))


def _near_the_best(seen: Columns, field: Field, margin: float, generator: np.random.Generator) -> list[Array]:
    """Places near those whose gaps suggest the smallest b, assuming an exponent of 1/2; of equal ones the earlier trial's."""
    read = seen.read
    b = (read.gap - ASSUMED_FLOOR * margin) * np.sqrt(read.ipc)
    return [field.near(place, NEAR_EACH, generator) for place in read.place[np.lexsort((read.number, b))[:NEAREST]]]


def _size(law: Law, coefficients: Array, b: Array, target: float, top: int) -> float:
    """The IPC at which a law reaches the gap `target` (in margins) at the place with the smallest b; at most `top`."""
    left = target - coefficients[0]
    if left <= 0:
        return float(top)
    return min(float(top), float(law.anchor * (max(b.min(), 1e-9) / left) ** (1 / law.exponent)))
