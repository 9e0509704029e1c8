"""Fixtures for all tests. Its presence puts this folder on the path, so that tests may import `hand_made`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hand_made import HandMade


@pytest.fixture
def by_hand(tmp_path: Path) -> HandMade:
    """An empty study at `<tmp_path>/store/by-hand`."""
    from hand_made import HandMade

    return HandMade(tmp_path / "store" / "by-hand")
