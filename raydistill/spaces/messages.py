"""The words of error messages about a search space: what was given, what is allowed, what to do."""

from __future__ import annotations

import difflib
import math
import re
import typing
from collections.abc import Collection, Sequence
from typing import Any, cast

import yaml
from pydantic import BaseModel


def listed(names: Collection[str]) -> str:
    """Names in order, joined by commas."""
    return ", ".join(sorted(names))


def arm_and_size(arm: str, ipc: int, factor: int) -> str:
    """An arm with the number of its images."""
    return f"{arm} at IPC {ipc}" if factor == 1 else f"{arm} at IPC {ipc}, factor {factor}"


def nearest(name: str, allowed: Collection[str]) -> str | None:
    """The most similar allowed name; None if none is similar."""
    return next(iter(difflib.get_close_matches(name, allowed, n=1)), None)


def unknown(name: str, allowed: Collection[str], what: str) -> str:
    """The message for an unknown name: the most similar allowed name, then all allowed names."""
    near = nearest(name, allowed)
    hint = f"did you mean {near!r}? " if near else ""
    return f"unknown {what} {name!r}; {hint}Allowed: {listed(allowed)}"


def text_for_number(text: str, whole: bool = False) -> str:
    """The message for text where a number is expected, with the number in a form that YAML reads as a number."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        return f"given the text {text!r}; expected a {'whole ' if whole else ''}number: write digits"
    plain = str(int(number)) if whole and number == int(number) else re.sub(r"^(-?\d+)e", r"\1.0e", repr(number))
    if "e" in text.lower():
        return f"YAML reads {text!r} as text, because it expects a dot before the e and a sign after it: write {plain}"
    return f"given the text {text!r}; expected a number: write {plain} without quotes"


EXAMPLES = {
    "study": "study: my-study",
    "dataset": "dataset: {name: digits}, or {name: image_folder, path: my_images, size: 32}",
    "network": "network: {name: convnet, depth: 3, width: 32}",
    "method": "method: {name: datadam}",
    "ipc": "ipc: {low: 1, high: 50, log: true}",
    "goal": "goal: {margin_fraction: 0.05}",
    "budget": "budget: {trials: 20}",
    "margin_fraction": "margin_fraction: 0.05, which are 5 points of accuracy",
    "trials": "trials: 20",
    "path": "path: my_images",
    "size": "size: 32",
}
"""How a key that must be given is written, by the key."""


def missing(key: str) -> str:
    """The message for a key that is not there, with an example."""
    return f"missing: add it, for example {EXAMPLES[key]}" if key in EXAMPLES else "missing: add it"


def shown(value: Any) -> str:
    """A value as YAML writes it, on one line."""
    if isinstance(value, str):
        return repr(value)
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).removesuffix("\n").removesuffix("\n...")


def explain(row: dict[str, Any], model: Any, names: Sequence[str]) -> str:
    """The message for one pydantic error: what was given, what is allowed, what to do.

    Args:
        row: an entry of `ValidationError.errors()`.
        model: the config class, or a union of config classes, that refused the value.
        names: the path of keys to the value.
    """
    kind, given, context = row["type"], row["input"], row.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown(names[-1], _fields(model, row["loc"]), "key")
    if kind == "missing":
        return missing(names[-1])
    if kind == "union_tag_invalid":
        return unknown(str(context.get("tag")), [t.strip(" '") for t in context["expected_tags"].split(",")], "name")
    if kind == "union_tag_not_found":
        return "missing: add it"
    if kind == "literal_error":
        return f"given {shown(given)}; allowed: {context['expected']}"
    if kind in ("float_type", "int_type") and isinstance(given, str):
        return text_for_number(given, whole=kind == "int_type")
    expected = {"int_type": "a whole number", "float_type": "a number", "finite_number": "a finite number", "string_type": "text"}
    if kind in expected:
        return f"given {shown(given)}; expected {expected[kind]}"
    if kind == "value_error":
        return str(context["error"])
    bounds = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    if kind in bounds:
        return f"given {shown(given)}; must be {words[bounds[kind]]} {context[bounds[kind]]:g}"
    return f"given {shown(given)}; {row['msg']}"


def _fields(model: Any, location: Sequence[Any]) -> Collection[str]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        return model.model_fields
    for option in typing.get_args(typing.get_args(model)[0]):
        if option.model_fields["name"].annotation == typing.Literal[location[0]]:
            return cast("type[BaseModel]", option).model_fields
    return ()
