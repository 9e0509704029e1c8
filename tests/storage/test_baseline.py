"""The files of a baseline's networks, beside which others may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from raydistill.storage.baseline import network_file, network_index, read_networks
from raydistill.storage.store import Store


def test_a_network_is_known_by_the_name_of_its_file() -> None:
    assert network_index(network_file(12).removeprefix("baseline/")) == 12


@pytest.mark.parametrize(
    "name", ["network-0.json~", "network-.json", "network-00.json", "network-1 (copy).json", "baseline.json"]
)
def test_a_stray_file_among_the_networks_is_none(name: str, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write(f"baseline/{name}", "[]")
    assert network_index(name) is None
    assert read_networks(store) == []
