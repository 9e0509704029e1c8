"""All problems of a listing as one error: by kind, each with its number, the first three, and what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from raydistill.data.own.items import Problem
from raydistill.data.own.report import Grouped
from raydistill.data.own.words import problem_lines
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
    raise DataError("\n".join(refusal_lines(str(place), tuple(grouped(problems)))))


def refusal_lines(place: str, problems: Sequence[Grouped]) -> Iterator[str]:
    """How many problems of how many kinds a path has, and every kind with its number, examples and what to do."""
    total, kinds = sum(group.count for group in problems), len(problems)
    yield f"{place} cannot be used: {total:,} problem{'s' * (total != 1)} of {kinds} kind{'s' * (kinds > 1)}"
    yield from problem_lines(problems)


def grouped(problems: Sequence[Problem]) -> Iterator[Grouped]:
    """Problems by kind, in the order in which the kinds came."""
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind].append(problem)
    for kind, same in kinds.items():
        examples = tuple(f"{problem.item or 'The path'} {problem.text}" for problem in same[:EXAMPLES])
        yield Grouped(kind=kind, count=len(same), examples=examples, remedy=_shared_remedy(same))


def _shared_remedy(same: Sequence[Problem]) -> str:
    """What to do about all problems of a kind; of images of several sizes the one with the shortest side decides."""
    if same[0].kind != "small":
        return same[0].remedy
    return min(same, key=lambda problem: problem.side or 0).remedy


def _named(place: Path, item: str) -> str:
    if not item:
        return str(place)
    return str(place / item) if place.is_dir() else f"{place}: {item}"
