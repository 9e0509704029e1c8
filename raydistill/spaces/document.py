"""A search space as text: the YAML document, the line of each key, and overrides. A leaf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from raydistill.errors import Mistake
from raydistill.spaces.sections import set_at


def load(text: str) -> tuple[dict[str, Any] | None, dict[str, int], list[Mistake]]:
    """The document, the line of each dotted key, and the mistakes of its form."""
    try:
        document = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        lines = {} if error.problem_mark is None else {"file": error.problem_mark.line + 1}
        return None, lines, [Mistake(key="file", message=f"is not YAML: {error.problem}: mend it there or on the line above")]
    except yaml.YAMLError as error:
        return None, {}, [Mistake(key="file", message=f"is not YAML: {' '.join(str(error).split())}")]
    if not isinstance(document, dict):
        return None, {}, [Mistake(key="file", message="is not a YAML mapping: write 'study: ...' and the other keys")]
    lines = {}
    mistakes: list[Mistake] = []
    _note_lines(root, "", lines, mistakes)
    return document, lines, mistakes


def _note_lines(node: yaml.Node | None, prefix: str, lines: dict[str, int], mistakes: list[Mistake]) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        if path in lines:
            mistakes.append(Mistake(key=path, message=f"given twice (also on line {lines[path]}): keep one"))
        lines[path] = key.start_mark.line + 1
        _note_lines(value, f"{path}.", lines, mistakes)


def apply(overrides: Sequence[str], document: dict[str, Any], lines: dict[str, int]) -> list[Mistake]:
    """Put the overrides into the document; what they set is no longer on a line of the file (line 0)."""
    mistakes = []
    for override in overrides:
        path, equals, value = override.partition("=")
        if not equals or not all(path.split(".")):
            mistakes.append(Mistake(key="--set", message=f"given {override!r}; path.to.field=value is wanted"))
            continue
        try:
            set_at(document, path, yaml.safe_load(value))
        except (AttributeError, TypeError):
            mistakes.append(Mistake(key="--set", message=f"given {override!r}; its path leads through a plain value: shorten it"))
        except yaml.YAMLError:
            mistakes.append(Mistake(key="--set", message=f"given {override!r}; {value!r} is not YAML: quote it or mend it"))
        else:
            for key in [key for key in lines if key.startswith(f"{path}.")]:
                del lines[key]
            lines[path] = 0
    return mistakes
