"""A search space as text: the YAML document, the line of each key, and the `--set` overrides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from raydistill.errors import Mistake
from raydistill.spaces.bounded import read_yaml
from raydistill.spaces.sections import set_at


def load(text: str) -> tuple[dict[str, Any] | None, dict[str, int], list[Mistake]]:
    """Parse YAML text.

    Returns:
        The document (None if it cannot be parsed), the line number of each dotted key, and the mistakes found so far.
    """
    try:
        document, root = read_yaml(text)
    except yaml.MarkedYAMLError as error:
        lines = {} if error.problem_mark is None else {"file": error.problem_mark.line + 1}
        return (
            None,
            lines,
            [Mistake(key="file", message=f"is not valid YAML: {error.problem}: correct this line or the one above")],
        )
    except yaml.YAMLError as error:
        return None, {}, [Mistake(key="file", message=f"is not valid YAML: {' '.join(str(error).split())}")]
    if not isinstance(document, dict):
        return None, {}, [Mistake(key="file", message="is not a YAML mapping: write 'study: ...' and the other keys")]
    lines = {}
    mistakes: list[Mistake] = []
    _note_lines(root, "", lines, mistakes)
    return document, lines, mistakes


def label_of(section: Any) -> str | None:
    """The label of a method or a control in a list: its `label`, its `name`, or itself where only a name is given."""
    if isinstance(section, dict):
        section = section.get("label", section.get("name"))
    return section if isinstance(section, str) else None


def _note_lines(node: yaml.Node | None, prefix: str, lines: dict[str, int], mistakes: list[Mistake]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            fields = {key.value: value.value for key, value in item.value} if isinstance(item, yaml.MappingNode) else None
            path = f"{prefix}{label_of(fields)}"
            if fields is not None and path not in lines:  # one label twice is a mistake that the parser names
                lines[path] = item.start_mark.line + 1
                _note_lines(item, f"{path}.", lines, mistakes)
        return
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        if path in lines:
            mistakes.append(Mistake(key=path, message=f"given twice (also on line {lines[path]}): keep one"))
        lines[path] = key.start_mark.line + 1
        _note_lines(value, f"{path}.", lines, mistakes)


def apply(overrides: Sequence[str], document: dict[str, Any], lines: dict[str, int]) -> list[Mistake]:
    """Apply the overrides to the document; a key that they set has line 0, because it no longer comes from the file."""
    mistakes = []
    for override in overrides:
        path, equals, value = override.partition("=")
        if not equals or not all(path.split(".")):
            mistakes.append(Mistake(key="--set", message=f"given {override!r}; expected path.to.field=value"))
            continue
        try:
            _set(document, path, read_yaml(value)[0])
        except (AttributeError, TypeError):
            message = f"given {override!r}; a part of its path is a plain value, not a section: shorten the path"
            mistakes.append(Mistake(key="--set", message=message))
        except LookupError as error:
            mistakes.append(Mistake(key="--set", message=f"given {override!r}; {error.args[0]}"))
        except yaml.YAMLError:
            message = f"given {override[:200]!r}; {value[:200]!r} is not valid YAML: quote or correct it"
            mistakes.append(Mistake(key="--set", message=message))
        else:
            for key in [key for key in lines if key.startswith(f"{path}.")]:
                del lines[key]
            lines[path] = 0
    return mistakes


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path; a method or a control in a list is named by its label (`methods.dm.lr_images`)."""
    section, _, rest = path.partition(".")
    label, _, field = rest.partition(".")
    entries = document.get(section)
    if not field or not isinstance(entries, list):
        set_at(document, path, value)
        return
    found = [entry for entry in entries if isinstance(entry, dict) and label_of(entry) == label]
    if not found:
        labels = ", ".join(str(label_of(entry)) for entry in entries if isinstance(entry, dict)) or "none"
        raise LookupError(f"{section} has no section called {label}; it has {labels}: name one of these")
    set_at(found[0], field, value)
