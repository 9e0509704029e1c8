"""A small search space in YAML, read with a passage of it replaced, and the mistakes that are found in it then."""

from __future__ import annotations

import pytest

from raydistill.catalogue import known
from raydistill.errors import SpaceError
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import SearchSpace

SPACE = """\
study: small
seed: 0
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 8}
method:
  name: datadam
  lr_images: {low: 0.1, high: 10.0, log: true}
ipc: {low: 1, high: 60, log: true}
goal: {margin_fraction: 0.02}
budget: {trials: 12}
controls: []
"""
LR = "  lr_images: {low: 0.1, high: 10.0, log: true}\n"
IPC = "ipc: {low: 1, high: 60, log: true}\n"
IS_TEXT = "as text, because it expects a dot before the e and a sign after it"
NETWORK = "network: {name: convnet, depth: 2, width: 8}\n"


def parse(old: str = "", new: str = "", *overrides: str) -> SearchSpace:
    """The space above with one passage replaced."""
    assert old in SPACE
    return parse_space(SPACE.replace(old, new) if old else SPACE, known(None), source="x.yaml", overrides=overrides)


def mistakes(old: str = "", new: str = "", *overrides: str) -> list[str]:
    """The message's lines after the first, which counts them."""
    with pytest.raises(SpaceError) as caught:
        parse(old, new, *overrides)
    first, *rest = str(caught.value).splitlines()
    where = "--set" if all(line.startswith("  --set: ") for line in rest) else "x.yaml"
    assert first == f"{where} has {len(rest)} mistake{'s' * (len(rest) > 1)}:"
    return [line.strip() for line in rest]
