"""IPC as a share of the smallest class: `ipc: {share: 0.1}`, or a range of shares. Becomes a number of images per class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raydistill.errors import Mistake
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.messages import shown
from raydistill.spaces.ranges import ends, read_range
from raydistill.spaces.space import Range

EXAMPLE = "write {share: 0.1}, or {share: {low: 0.01, high: 0.5, log: true}}"


def ipc_of_share(raw: Mapping[str, Any], facts: DataFacts) -> tuple[Any, list[Mistake]]:
    """The section in images per class, a number or a range of whole numbers; None with its mistakes if there are any.

    Args:
        raw: the section, with the key `share`.
        facts: the train images of the smallest class, of which it is a share; rounded down, and at least 1.
    """
    others = [str(key) for key in raw if key != "share"]
    if others:
        return None, [Mistake(key=f"ipc.{others[0]}", message=f"not allowed together with share: {EXAMPLE}")]
    share = raw["share"]
    if isinstance(share, dict):
        parsed, mistakes = read_range("ipc.share", share, whole=False)
        if mistakes:
            return None, mistakes
        shares = list(ends(parsed)) if isinstance(parsed, Range) else None
    else:
        shares = [share]
    if shares is None or not all(_is_part(value) for value in shares):
        message = f"given {shown(share)}; expected shares of the smallest class above 0 and up to 1: {EXAMPLE}"
        return None, [Mistake(key="ipc.share", message=message)]
    counts = [max(1, int(value * facts.smallest_class + 1e-9)) for value in shares]  # 0.58 x 50 is a little below 29
    if len(counts) == 1 or counts[0] == counts[-1]:
        return counts[0], []
    return {"low": counts[0], "high": counts[-1], "log": bool(share.get("log", False))}, []


def _is_part(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1
