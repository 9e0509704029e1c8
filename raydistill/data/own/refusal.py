"""All problems of a listing as one error: by kind, each with its number, the first three, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raydistill.data.own.items import Problem
from raydistill.errors import DataError

EXAMPLES = 3


def refuse(problems: Sequence[Problem], place: Path) -> None:
    """Raise one error with all problems; return if there are none.

    Args:
        problems: of any kinds.
        place: the folder or file whose problems they are.

    Raises:
        DataError: there are problems.
    """
    if not problems:
        return
    if len(problems) == 1:
        (only,) = problems
        raise DataError(f"{_named(place, only.item)} {only.text}; {only.remedy}")
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    count = f"{len(kinds)} kinds" if len(kinds) > 1 else "one kind"
    lines = [f"{place} cannot be used: {len(problems):,} problems of {count}"]
    for number, same in enumerate(kinds.values(), start=1):
        lines += [f"{number}. {len(same):,} of this kind:" if len(same) > 1 else f"{number}. Once:"]
        lines += [f"     {problem.item or place} {problem.text}" for problem in same[:EXAMPLES]]
        lines += [f"     and {len(same) - EXAMPLES:,} more"] if len(same) > EXAMPLES else []
        lines += [f"   What to do: {same[0].remedy}."]
    raise DataError("\n".join(lines))


def _named(place: Path, item: str) -> str:
    if not item:
        return str(place)
    return str(place / item) if place.is_dir() else f"{place}: {item}"
