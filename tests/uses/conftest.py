"""Recipes of a few steps, and a small set, for the tests of what sets are used for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_set import write_small_set

from raydistill.core.recipes import RECIPES


@pytest.fixture(autouse=True)
def short_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("plain", "default"):
        monkeypatch.setitem(RECIPES, name, replace(RECIPES[name], steps=4))


@pytest.fixture
def small_set(tmp_path: Path) -> str:
    """Three images of each digit."""
    return write_small_set(tmp_path / "set")
