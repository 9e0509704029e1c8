"""The simulation of findings has its documented properties, and counts what is wrong."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import finding_error as simulation

SCENARIOS = {scenario.name: scenario for scenario in simulation.SCENARIOS}
SETUPS = {setup.name: setup for setup in simulation.SETUPS}
SMALL = SETUPS["300, few images lost"]


@pytest.mark.parametrize("setup", simulation.SETUPS, ids=lambda setup: setup.name)
def test_true_gaps_of_sets_and_of_draws_are_those_stated(setup: simulation.Setup) -> None:
    """Images times ten, 60 worlds: the mean gap at the margin is known to about a tenth of it."""
    large = dataclasses.replace(setup, images=10 * setup.images)
    generator = np.random.default_rng(1)
    gaps: dict[str, list[float]] = {"set": [], "draws": []}
    for _ in range(60):
        world = simulation.World(large, SCENARIOS["all equal, at the margin"], lambda arm, ipc: 1.0, generator)
        gaps["set"].append(float(world.full.mean() - world.set_networks("dm", 5).mean()))
        gaps["draws"].append(float(world.full.mean() - world.draws("random", 5).mean()))
    for found in gaps.values():
        assert np.mean(found) == pytest.approx(setup.margin, abs=5 * np.std(found) / np.sqrt(60))
        assert np.std(found) / np.sqrt(60) < 0.1 * setup.margin


def test_draws_differ_more_than_networks_of_one_set() -> None:
    setup = SETUPS["5,000, difficulty spread"]
    generator = np.random.default_rng(2)
    spreads = {"set": 0.0, "draws": 0.0}
    for _ in range(40):
        world = simulation.World(setup, SCENARIOS["mixed"], lambda arm, ipc: 1.0, generator)
        spreads["set"] += float(world.set_networks("dm", 5).mean(axis=1).var(ddof=1))
        spreads["draws"] += float(world.draws("random", 5).mean(axis=1).var(ddof=1))
    assert spreads["draws"] > 2 * spreads["set"]


def test_the_exact_interval_of_a_rate() -> None:
    """Rule of three for none; five of a hundred from a printed table: 1.64 to 11.28 %."""
    assert simulation.clopper_pearson(0, 100) == (0.0, pytest.approx(1 - 0.025 ** (1 / 100)))
    assert simulation.clopper_pearson(100, 100)[1] == 1.0
    assert simulation.clopper_pearson(5, 100) == pytest.approx((0.0164, 0.1128), abs=1e-4)


@pytest.mark.parametrize("name", ["all equal, lossless", "all equal, lossy"])
def test_where_all_are_clearly_alike_nothing_is_wrong_and_nothing_is_needed(name: str) -> None:
    found = simulation.measure(SMALL, SCENARIOS[name], 60)
    assert (found.wrong, found.claims["needed"]) == (0, 0)
    assert (found.claims["not_needed"] > 20) == (name == "all equal, lossless")


def test_at_the_margin_a_claim_either_way_is_wrong() -> None:
    """150 studies; a rate of 5 % is exceeded by 12 % with a probability of a thousandth."""
    found = simulation.measure(SMALL, SCENARIOS["all equal, at the margin"], 150)
    assert 0 < found.wrong <= 18
    assert found.wrong >= found.claims["needed"]


def test_of_clear_differences_the_finding_says_needed_and_is_right() -> None:
    """Methods lossless, all controls far from it."""
    far = dataclasses.replace(
        SCENARIOS["all equal, lossy"], gaps=lambda setup: lambda generator: lambda arm, ipc: 6.0 * (arm in simulation.CONTROLS)
    )
    found = simulation.measure(SETUPS["5,000, few images lost"], far, 20)
    assert (found.wrong, found.claims["needed"], found.claims["distilled"]) == (0, 20, 20)


def test_one_row_of_the_table_has_every_column(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "SETUPS", (SMALL,))
    monkeypatch.setattr(simulation, "SCENARIOS", (SCENARIOS["mixed"],))
    monkeypatch.setattr(sys, "argv", ["finding_error.py", "--studies", "3"])
    simulation.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert {row.count("|") for row in rows} == {11}
