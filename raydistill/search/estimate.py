"""How long a command takes, told when it begins; `pace` has the seconds that the estimate is made of.

An estimate is a product: jobs, times seconds each, over the jobs that run at once. It is rough. Trials that are stopped early
shorten a search, other work on the machine lengthens everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raydistill.spaces.units import rough


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Jobs of one kind that are left."""

    jobs: int
    what: str
    """What the jobs are, the first word in the plural: `networks on sets`."""
    seconds_each: float | None
    """None if it is not known."""

    @property
    def words(self) -> str:
        """How many of what, at how many seconds each."""
        first, space, rest = self.what.partition(" ")
        counted = f"{self.jobs} {first.removesuffix('s') if self.jobs == 1 else first}{space}{rest}"
        if self.seconds_each is None:
            return counted
        return f"{counted} at {rough(self.seconds_each)}{'' if self.jobs == 1 else ' each'}"


def estimate_line(parts: Sequence[Part], at_once: int) -> str:
    """What is left and how long it takes, in one sentence; parts without jobs are left out.

    Args:
        parts: one after another; the jobs of one part run side by side.
        at_once: number of jobs that run side by side.
    """
    left = [part for part in parts if part.jobs]
    side = "one at a time" if at_once == 1 else f"{at_once} at once"
    each = [part.words for part in left]
    known = [-(-part.jobs // at_once) * part.seconds_each for part in left if part.seconds_each is not None]
    if not known:
        return f"to do: {', '.join(each)}, {side}; how long it takes shows when the first have ended"
    least = "about" if len(known) == len(left) else "at least"
    return f"{least} {rough(sum(known))}: {', '.join(each)}, {side}"
