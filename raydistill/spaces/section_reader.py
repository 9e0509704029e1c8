"""Reads single sections of a search space: values against their config class, ranges, and names."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from raydistill.errors import Mistake
from raydistill.spaces.messages import explain, nearest, shown, unknown
from raydistill.spaces.network import NETWORKS
from raydistill.spaces.ranges import ranges_in, read_range
from raydistill.spaces.space import Choices, Range


class SectionReader:
    """Adds what is wrong with the sections that it reads to a list of mistakes."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = mistakes

    def add(self, key: str, message: str) -> None:
        """Note what is wrong with a dotted key."""
        self.mistakes.append(Mistake(key=key, message=message))

    def range(self, path: str, raw: dict[str, Any], *, whole: bool) -> Range | Choices | None:
        """The range or the choices at a dotted path; None after noting their mistakes."""
        parsed, mistakes = read_range(path, raw, whole=whole)
        self.mistakes += mistakes
        return parsed

    def validate(self, model: Any, raw: Any, section: str, *, only: str | None = None, no_ranges: str | None = None) -> Any:
        """Return the section as a model, or None after adding its mistakes.

        Args:
            model: config class, or a union of them.
            raw: the section as read from YAML.
            section: its key.
            only: add only mistakes of this dotted key; None adds all.
            no_ranges: why the section takes no ranges; None allows them.
        """
        if not isinstance(raw, dict):
            example = "{name: " + f"{raw}, ..}}" if isinstance(raw, str) else "key: value"
            self.add(section, f"given {shown(raw)}; expected a section with keys: write {example}")
            return None
        ranges = [path for path, _ in ranges_in(raw, section)] if no_ranges else []
        for path in ranges:
            self.add(path, f"a range; {no_ranges}")
        try:
            return TypeAdapter(model).validate_python(raw)
        except ValidationError as error:
            rows = error.errors()
            absent = [str(row["loc"][-1]) for row in rows if row["type"] == "missing"]
            misspelt = {nearest(str(row["loc"][-1]), absent) for row in rows if row["type"] == "extra_forbidden"}
            for row in rows:
                if row["type"] == "missing" and row["loc"][-1] in misspelt:
                    continue
                names = [str(part) for part in row["loc"] if part not in NETWORKS]
                if row["type"] in ("union_tag_invalid", "union_tag_not_found"):
                    names.append("name")
                path = ".".join([section, *names])
                is_wanted = only is None or path == only or not names
                if is_wanted and not any(f"{path}.".startswith(f"{place}.") for place in ranges):
                    self.add(path, explain(cast("dict[str, Any]", row), model, names))
            return None

    def is_known(self, key: str, name: Any, allowed: Collection[str], what: str) -> bool:
        """Whether a name is one of those allowed; notes the nearest ones otherwise."""
        if isinstance(name, str) and name in allowed:
            return True
        self.add(key, unknown(name if isinstance(name, str) else shown(name), allowed, what))
        return False
