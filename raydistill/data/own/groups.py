"""The groups of images that a pattern finds in their names.

Some patterns, such as `((a+)+)$`, take longer than a life for a name of forty letters, and Python's `re` cannot be stopped: it
holds the interpreter while it matches. So a process of its own matches, and the kernel ends it. Whether a pattern is harmless
cannot be told from its text in a way that a user would accept: repetitions in one another are common and mostly good.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from raydistill.data.own import name_matcher
from raydistill.data.own.items import Item, Problem

LEAST_SECONDS = 10
NAMES_PER_SECOND = 10_000
"""What a pattern may take of a processor: ten seconds, and then a hundred times what `re` usually takes for a name."""


def with_groups(items: Sequence[Item], pattern: str, problems: list[Problem]) -> list[Item]:
    """The items, each with the group that a pattern finds in its name; what has none is a problem."""
    seconds = LEAST_SECONDS + len(items) // NAMES_PER_SECOND
    groups = _matched([item.name for item in items], pattern, seconds)
    if groups is None:
        problems.append(
            Problem(
                kind="slow_pattern",
                item="",
                text=f"has names that take group_pattern {pattern!r} more than {seconds} seconds to match",
                remedy="write it without a repetition of what is repeated already, such as (a+)+",
            )
        )
        return list(items)
    return [_in_group(item, group, pattern, problems) for item, group in zip(items, groups, strict=True)]


def _matched(names: Sequence[str], pattern: str, seconds: int) -> list[str | None] | None:
    """What a pattern's brackets match in each name; None if it takes longer."""
    command = [sys.executable, "-I", "-S", str(Path(name_matcher.__file__)), str(seconds)]
    given = json.dumps({"pattern": pattern, "names": names})
    ended = subprocess.run(command, input=given, capture_output=True, encoding="ascii", check=False)
    if ended.returncode == -signal.SIGXCPU:
        return None
    ended.check_returncode()
    found: list[str | None] = json.loads(ended.stdout)
    return found


def _in_group(item: Item, group: str | None, pattern: str, problems: list[Problem]) -> Item:
    if item.group is not None:
        problems.append(
            Problem(
                kind="two_groups",
                item=item.name,
                text=f"has the group {item.group} in the table, and dataset.group_pattern is set as well",
                remedy="remove group_pattern, or name another group_column",
            )
        )
        return item
    if not group:
        problems.append(
            Problem(
                kind="no_group",
                item=item.name,
                text=f"has no group: its name does not match group_pattern {pattern!r}",
                remedy="correct the pattern, so that it matches every name, or rename the image",
            )
        )
        return item
    return replace(item, group=group)
