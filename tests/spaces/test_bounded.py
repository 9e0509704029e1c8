"""YAML and JSON that somebody wrote to do harm, or by a slip that Python's own conversions answer with an exception of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from raydistill.errors import SpaceError
from raydistill.spaces.bounded import MOST_CHARACTERS, MOST_DEEP, read_json, read_yaml
from raydistill.spaces.document import load
from raydistill.spaces.parse import read_space

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)
"""A billion values in nine lines."""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (LAUGHS, r"aliases \(\*name\) stand for more than 20000 values"),
        ("a: &a {b: *a}", "an alias stands for a section that contains it"),
        ("a: &a [*a]", "an alias stands for a section that contains it"),
        ("a: " + "[" * 3000, "more than 50 deep"),
        ("a: " + "{b: " * 3000 + "}" * 3000, "more than 50 deep"),
        ("a: [" + "1, " * 30000 + "]", "more than 20000 values"),
        ("a: " + "x" * MOST_CHARACTERS, "more than 1048576 characters"),
        ("a: " + "9" * 5000, "cannot be read as int"),
        ("a: " + "9" * 400, "a whole number is larger than 9223372036854775807"),
        ("a: 0x" + "f" * 5000, "a whole number is larger than 9223372036854775807"),
        ("a: 0x_", "'0x_' cannot be read as int"),
        ("a: 2026-99-99", "'2026-99-99' cannot be read as timestamp"),
        ("a: !!int abc", "'abc' cannot be read as int"),
        ("a: !!float abc", "'abc' cannot be read as float"),
        ("a: !!bool abc", "'abc' cannot be read as bool"),
        ("a: !!timestamp abc", "'abc' cannot be read as timestamp"),
        (b"a: \xff\xfe", "it is not text in UTF-8|unacceptable character|invalid"),
    ],
    ids=[
        *("billion laughs", "section in itself", "list in itself", "deep lists", "deep sections", "many values", "large file"),
        *("digits", "large number", "hex", "empty hex", "date", "int", "float", "bool", "timestamp", "bytes"),
    ],
)
def test_hostile_yaml_is_refused_with_yamls_own_error(text: str | bytes, why: str) -> None:
    with pytest.raises(yaml.YAMLError, match=why):
        read_yaml(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &a [1, 2]\nb: *a", {"a": [1, 2], "b": [1, 2]}),
        ("a: &a {x: 1}\nb: {<<: *a, y: 2}", {"a": {"x": 1}, "b": {"x": 1, "y": 2}}),
        ("a: 9223372036854775807", {"a": 2**63 - 1}),
        ("[" * MOST_DEEP + "]" * MOST_DEEP, None),
        ("", None),
    ],
)
def test_what_people_write_is_read_as_yaml_reads_it(text: str, expected: object) -> None:
    document, _ = read_yaml(text)
    assert document == yaml.safe_load(text)
    if expected is not None:
        assert document == expected


def test_json_that_is_nested_too_deep_is_no_json() -> None:
    with pytest.raises(ValueError, match="its lists and sections lie in one another too deep"):
        read_json("[" * 100_000)


def test_a_mistake_in_hostile_yaml_names_its_line() -> None:
    document, lines, (mistake,) = load("study: a\ngoal:\n  margin_fraction: !!int abc\n")
    assert (document, lines) == (None, {"file": 3})
    assert "is not valid YAML: 'abc' cannot be read as int" in mistake.message


def test_a_space_is_not_read_to_the_end_of_an_endless_file() -> None:
    from raydistill.catalogue import known

    with pytest.raises(SpaceError, match=r"/dev/zero has 1 mistake:\n.*it has more than 1048576 characters"):
        read_space(Path("/dev/zero"), known(None))
