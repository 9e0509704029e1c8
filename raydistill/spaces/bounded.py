"""Reads YAML and JSON that anyone may have written, in bounded time and memory, with one kind of error for all that is wrong.

YAML's aliases let a few lines stand for billions of values, or for one that contains itself; deep nesting ends Python's
stack; and PyYAML answers a value that is not of its kind (`2026-99-99`, `!!int x`) with whatever Python's own conversion raises.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any

import yaml

MOST_CHARACTERS = 2**20
MOST_VALUES = 20_000
"""In a document, each alias counted as what it stands for; the largest shipped space has fewer than two hundred."""
MOST_DEEP = 50
MOST_NUMBER = 2**63 - 1


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, whose every complaint about a value says where the value is."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Hashable:
        try:
            value: Hashable = super().construct_object(node, deep=deep)
        except yaml.YAMLError:
            raise
        except (ValueError, KeyError, AttributeError, TypeError, OverflowError) as error:
            # What the conversions of numbers, dates and other tags raise.
            given = str(node.value)[:40] if isinstance(node, yaml.ScalarNode) else "this"
            raise _refusal(f"{given!r} cannot be read as {node.tag.rpartition(':')[2]}", node.start_mark) from error
        if isinstance(value, int) and abs(value) > MOST_NUMBER:
            raise _refusal(f"a whole number is larger than {MOST_NUMBER}", node.start_mark)
        return value


def read_yaml(text: str | bytes) -> tuple[Any, yaml.Node | None]:
    """The document in YAML text, and its nodes with their places in the text.

    Raises:
        yaml.YAMLError: it is not valid YAML, or larger than a document of this package can be.
    """
    if len(text) > MOST_CHARACTERS:
        raise yaml.YAMLError(f"it has more than {MOST_CHARACTERS} characters, the most that are allowed")
    depth = count = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            count += isinstance(event, yaml.NodeEvent)
            if depth > MOST_DEEP:
                raise _refusal(f"sections lie in one another more than {MOST_DEEP} deep", event.start_mark)
            if count > MOST_VALUES:
                raise _refusal(f"it has more than {MOST_VALUES} values", event.start_mark)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None, None
            _check_size(root)
            return loader.construct_document(root), root
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise yaml.YAMLError(f"it is not text in UTF-8 ({error})") from error


def read_json(data: str | bytes) -> Any:
    """The value in JSON text.

    Raises:
        ValueError: it is not JSON, or nested too deep.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("its lists and sections lie in one another too deep") from None


def _check_size(root: yaml.Node) -> None:
    """Refuse a document whose aliases stand for too many values, or for a value that contains itself."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise _refusal("an alias stands for a section that contains it", node.start_mark)
        if id(node) not in sizes:
            open_nodes.add(id(node))
            parts = node.value if isinstance(node, yaml.SequenceNode) else []
            if isinstance(node, yaml.MappingNode):
                parts = [part for pair in node.value for part in pair]
            sizes[id(node)] = 1 + sum(map(size, parts))
            open_nodes.remove(id(node))
        return sizes[id(node)]

    if size(root) > MOST_VALUES:
        raise _refusal(f"its aliases (*name) stand for more than {MOST_VALUES} values: write less", root.start_mark)


def _refusal(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
