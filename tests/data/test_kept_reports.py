"""What was found in many images is kept, as long as nothing that it depends on changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from own_images import fill, pictures

import raydistill
from raydistill.data.own import kept_reports
from raydistill.data.own.report import DataReport


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RAYDISTILL_CACHE_GB", raising=False)
    return fill(tmp_path / "many", {"a": 130, "b": 130}, size=8)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes each time that images are looked at."""
    seen: list[str] = []
    check = kept_reports.check

    def noted(*given: object, **named: object) -> DataReport:
        seen.append("look")
        return check(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(kept_reports, "check", noted)
    return seen


def test_the_second_check_of_the_same_images_looks_at_none(many: Path, looks: list[str]) -> None:
    first = raydistill.check_data(many, settings=["size=8"])
    assert raydistill.check_data(many, settings=["size=8"]) == first
    assert looks == ["look"]


def test_other_rules_and_changed_files_are_looked_at_again(many: Path, looks: list[str]) -> None:
    raydistill.check_data(many, settings=["size=8"])
    raydistill.check_data(many, settings=["size=8", "channels=1"])
    pictures(1, size=9, seed=5)[0].save(many / "a" / "0000.png")
    os.utime(many / "a" / "0000.png", ns=(1, 1))
    assert raydistill.check_data(many, settings=["size=8"]).largest == (9, 9)
    assert looks == ["look"] * 3


def test_a_damaged_report_is_made_again(many: Path, looks: list[str], tmp_path: Path) -> None:
    first = raydistill.check_data(many, settings=["size=8"])
    (kept,) = (tmp_path / "cache").rglob("reports/*.json")
    kept.write_text("{}")
    assert raydistill.check_data(many, settings=["size=8"]) == first
    assert looks == ["look"] * 2


def test_few_images_are_looked_at_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: list[str]) -> None:
    monkeypatch.setenv("RAYDISTILL_CACHE", str(tmp_path / "cache"))
    few = fill(tmp_path / "few", {"a": 20, "b": 20}, size=8)
    for _ in range(2):
        raydistill.check_data(few, settings=["size=8"])
    assert looks == ["look"] * 2
    assert not (tmp_path / "cache").exists()


def test_without_a_cache_nothing_is_kept(many: Path, monkeypatch: pytest.MonkeyPatch, looks: list[str], tmp_path: Path) -> None:
    monkeypatch.setenv("RAYDISTILL_CACHE_GB", "0")
    for _ in range(2):
        raydistill.check_data(many, settings=["size=8"])
    assert looks == ["look"] * 2
    assert not list((tmp_path / "cache").rglob("reports/*.json"))
