"""The ranges in a search space: finding them, reading them, and which fields take them."""

from __future__ import annotations

import itertools
import math
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from raydistill.errors import Mistake
from raydistill.spaces.messages import shown, text_for_number, unknown
from raydistill.spaces.space import Choices, Range


def ranges_in(raw: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (dotted path, section) for every range and list of choices in a part of the document."""
    if not isinstance(raw, dict):
        return
    if {"low", "high", "choices", "log"} & set(raw):
        yield path, raw
        return
    for key, value in raw.items():
        yield from ranges_in(value, f"{path}.{key}")


def read_range(path: str, raw: dict[str, Any], *, whole: bool) -> tuple[Range | Choices | None, list[Mistake]]:
    """Read a range or a list of choices; None with its mistakes if there are any. A `whole` range has whole numbers as ends."""
    if "choices" in raw:
        mistakes = list(_mistakes_in_choices(path, raw))
        return None if mistakes else Choices(values=tuple(raw["choices"])), mistakes
    mistakes = list(_mistakes_of_form(path, raw, whole)) or list(_mistakes_of_order(path, raw))
    return None if mistakes else Range(low=raw["low"], high=raw["high"], log=raw.get("log", False), whole=whole), mistakes


def ends(parsed: Range | Choices) -> tuple[Any, ...]:
    """The values with which a range is checked: its two ends, or every choice."""
    return parsed.values if isinstance(parsed, Choices) else (parsed.low, parsed.high)


def corners(found: Mapping[str, Range | Choices]) -> Iterator[dict[str, Any]]:
    """Values of all ranges at once, where fields that limit each other may not fit.

    Each choice of a field with each of another, and the ends of intervals all low, all high, and one of them apart from the rest.
    """
    choices = {field: parsed.values for field, parsed in found.items() if isinstance(parsed, Choices)}
    lows = {field: ends(parsed)[0] for field, parsed in found.items() if isinstance(parsed, Range)}
    highs = {field: ends(parsed)[-1] for field, parsed in found.items() if isinstance(parsed, Range)}
    apart = [{**others, field: end[field]} for others, end in ((lows, highs), (highs, lows)) for field in lows]
    first = {field: values[0] for field, values in choices.items()}
    pairs = itertools.combinations(choices, 2) if len(choices) > 1 else [tuple(choices)]
    for pair in pairs:
        for values in itertools.product(*(choices[field] for field in pair)):
            chosen = {**first, **dict(zip(pair, values, strict=True))}
            yield from ({**chosen, **place} for place in (lows, highs, *apart))


def is_whole(model: type[BaseModel], field: str) -> bool:
    """Whether a field takes whole numbers."""
    annotation = model.model_fields[field].annotation
    return annotation is int or int in typing.get_args(annotation)


def takes_only_choices(model: type[BaseModel], field: str) -> bool:
    """Whether a field takes a list of choices but no {low, high}."""
    extra = model.model_fields[field].json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("only_choices"))


def _mistakes_of_form(path: str, raw: dict[str, Any], whole: bool) -> Iterator[Mistake]:
    for key in raw:
        if key not in ("low", "high", "log"):
            yield Mistake(key=f"{path}.{key}", message=unknown(str(key), ("low", "high", "log"), "key"))
    for key in ("low", "high"):
        if key not in raw:
            yield Mistake(key=f"{path}.{key}", message="missing: a range is {low: .., high: .., log: true|false}")
        elif isinstance(raw[key], str):
            yield Mistake(key=f"{path}.{key}", message=text_for_number(raw[key], whole))
        elif not _is_number(raw[key], whole):
            expected = f"expected a {'whole' if whole else 'finite'} number"
            yield Mistake(key=f"{path}.{key}", message=f"given {shown(raw[key])}; {expected}")
    if not isinstance(raw.get("log", False), bool):
        yield Mistake(key=f"{path}.log", message=f"given {shown(raw['log'])}; expected true or false")


def _is_number(value: Any, whole: bool) -> bool:
    return not isinstance(value, bool) and isinstance(value, int if whole else (int, float)) and math.isfinite(value)


def _mistakes_of_order(path: str, raw: dict[str, Any]) -> Iterator[Mistake]:
    low, high = raw["low"], raw["high"]
    if low > high:
        yield Mistake(key=path, message=f"low {low} is above high {high}: swap them")
    elif low == high:
        yield Mistake(key=path, message=f"low and high are both {low}: write {low} instead of a range")
    elif raw.get("log", False) and low <= 0:
        yield Mistake(key=f"{path}.low", message=f"given {low}; a logarithmic range must start above 0")


def _mistakes_in_choices(path: str, raw: dict[str, Any]) -> Iterator[Mistake]:
    values = raw["choices"]
    for key in raw:
        if key != "choices":
            yield Mistake(key=f"{path}.{key}", message="not allowed together with choices: remove it")
            return
    if not isinstance(values, list) or len(values) < 2 or len({repr(v) for v in values}) < len(values):
        message = f"given {shown(values)}; expected a list of two or more different values"
        yield Mistake(key=f"{path}.choices", message=message)
