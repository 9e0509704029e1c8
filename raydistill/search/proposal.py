"""The next trial by the law of the gap: pure numpy.

An ask draws one law from the posterior and takes the smallest IPC that is good enough by it, at the place where its b is least
(Thompson sampling): where the law is uncertain the draws spread, and where it is known they fall together. Good enough means
that the confirmation would hold: the gap, the half-width of its interval, and a draw of how much the confirm images differ from
the select images, together within the margin. Every eighth ask leaves twice that difference free, so that the confirmation has
a safe set to begin with.

The constants were chosen on 300 made-up problems of `search.simulation`; `raydistill bench solver` races on others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raydistill.core.lossless import PLANNED_IMAGE_DEVIATION, smallest_margin
from raydistill.search.law import Law, LawModel, Seen

Array = NDArray[np.float64]

EARLY_HEAT, LATE_HEAT = 0.8, 0.2
"""How far draws of the law stray from its mean, before and after half of the budget."""
WIDEST_STEP = 3.0
"""Most that a draw's IPC may differ from the IPC by the mean law, as a factor: b may come out near 0 or below by chance."""
SPREAD = 0.4
"""Part of the images' deviation that is drawn anew for each ask."""
SAFE_EVERY, SAFE_DEVIATIONS = 8, 2.0
ANYWHERE, NEAR_EACH, NEAREST, NEAR_DEVIATION = 256, 48, 4, 0.1
"""Places looked at for the least b: at random, and around each of the best places read so far."""
ASSUMED_FLOOR = 0.2
"""Floor, in margins, by which readings at different IPCs are ranked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """What a search wants, as fractions of accuracy."""

    margin: float
    half_width: float
    """Of the confirmation's interval, as planned."""
    shift_deviation: float
    """Of the difference between the gaps of one set on select and on confirm images."""

    @classmethod
    def planned(cls, margin: float, confidence: float, *, select_images: int, confirm_images: int, networks: int) -> Aim:
        """The aim that a goal and the numbers of images and confirm networks give.

        Args:
            margin: largest gap that is lossless.
            confidence: one-sided, of the confirmation.
            select_images: images behind a reading.
            confirm_images: images behind a confirmation.
            networks: fresh networks behind a confirmation.
        """
        return cls(
            margin=margin,
            half_width=smallest_margin(confirm_images, networks, confidence),
            shift_deviation=PLANNED_IMAGE_DEVIATION * math.sqrt(1 / select_images + 1 / confirm_images),
        )

    @property
    def target(self) -> float:
        """Gap at which a confirmation holds half of the time."""
        return self.margin - self.half_width


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """Where a search may ask."""

    options: tuple[int, ...]
    """Per hyper-parameter: 1 for a number, else how many options the choice has."""
    lowest: int
    """IPC."""
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
        """(count, D) places at random."""
        columns = [
            generator.uniform(size=(count, 1)) if n == 1 else np.eye(n)[generator.integers(n, size=count)] for n in self.options
        ]
        return np.hstack([np.empty((count, 0)), *columns])

    def near(self, place: Sequence[float], count: int, generator: np.random.Generator) -> Array:
        """(count, D) places around one, with its options."""
        steps = generator.normal(0, NEAR_DEVIATION, (count, len(place))) * self.ordered
        return np.clip(np.array(place) + steps, 0, 1)


def model_of(seen: Sequence[Seen], field: Field, margin: float) -> LawModel:
    """The law as trials show it, whatever the order in which they ended."""
    anchor = math.sqrt(field.lowest * field.highest)
    return LawModel(sorted(seen, key=lambda s: s.number), ordered=field.ordered, margin=margin, anchor=anchor)


def propose(
    seen: Sequence[Seen], field: Field, aim: Aim, *, number: int, budget: int, generator: np.random.Generator
) -> tuple[tuple[float, ...], int]:
    """The place and the IPC of an ask.

    Args:
        seen: trials that ended.
        field: where to ask; an IPC at which memory ran out, and all above it, are left out.
        aim: what for.
        number: of the ask.
        budget: asks in all.
        generator: of this ask alone.
    """
    top = max(field.lowest, min([field.highest, *(s.ipc - 1 for s in seen if s.is_out_of_memory)]))
    if not any(s.gap is not None for s in seen):
        place = field.middle if number == 0 else tuple(field.anywhere(1, generator)[0].tolist())
        spread = generator.uniform(math.log(field.lowest), math.log(top))
        middle = math.sqrt(field.lowest * field.highest)
        return place, min(top, round(middle if number == 0 else math.exp(spread)))
    model = model_of(seen, field, aim.margin)
    law, coefficients = model.draw(generator, EARLY_HEAT if number < budget / 2 else LATE_HEAT)
    places = np.vstack([field.anywhere(ANYWHERE, generator), *_near_the_best(seen, field, aim.margin, generator)])
    is_safe = number % SAFE_EVERY == SAFE_EVERY - 1
    shift = -SAFE_DEVIATIONS if is_safe else SPREAD * float(generator.normal())
    wanted = (aim.target + shift * aim.shift_deviation) / aim.margin
    drawn = model.b(coefficients, places)
    expected = _size(model.likeliest, model.likeliest.mean, model.b(model.likeliest.mean, places), wanted, top)
    ipc = np.clip(_size(law, coefficients, drawn, wanted, top), expected / WIDEST_STEP, expected * WIDEST_STEP)
    return tuple(places[int(np.argmin(drawn))].tolist()), int(np.clip(round(float(ipc)), field.lowest, top))


def _near_the_best(seen: Sequence[Seen], field: Field, margin: float, generator: np.random.Generator) -> list[Array]:
    """Places around those whose readings suggest the least b, supposing 1/sqrt(k)."""
    b = sorted(((s.gap - ASSUMED_FLOOR * margin) * math.sqrt(s.ipc), s.number, s.place) for s in seen if s.gap is not None)
    return [field.near(place, NEAR_EACH, generator) for _, _, place in b[:NEAREST]]


def _size(law: Law, coefficients: Array, b: Array, wanted: float, top: int) -> float:
    """The IPC at which a law comes down to a gap (in margins) at the place of its least b; at most `top`."""
    left = wanted - coefficients[0]
    if left <= 0:
        return float(top)
    return min(float(top), float(law.anchor * (max(b.min(), 1e-9) / left) ** (1 / law.exponent)))
