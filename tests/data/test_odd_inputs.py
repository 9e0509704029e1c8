"""Every odd input of the table in docs/odd-inputs.md gets what the table says."""

from __future__ import annotations

from pathlib import Path

import pytest
from odd_inputs import ODD, Odd
from own_images import fill

import raydistill
from raydistill.data.own.conversions import CONVERSIONS


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.what)
def test_an_odd_input_gets_what_the_table_says(tmp_path: Path, odd: Odd) -> None:
    fill(tmp_path, {"a": 24, "b": 24})
    odd.spoil(tmp_path)
    report = raydistill.check_data(tmp_path, settings=["size=16", *odd.settings])
    assert [group.kind for group in report.problems] == ([] if odd.problem is None else [odd.problem])
    made = {name: count for name, count in report.conversions.items() if name != "scaled_down"}
    assert made == odd.conversions
    if report.is_fine:
        warnings = [warning for warning in report.warnings if odd.warning is None or odd.warning in warning]
        assert len(warnings) == (odd.warning is not None), report.warnings
    assert odd.gets.startswith("refused") != report.is_fine


def test_the_table_has_forty_rows_and_every_conversion() -> None:
    assert len({odd.what for odd in ODD}) == len(ODD) >= 40
    made = {"scaled_down", *(name for odd in ODD for name in odd.conversions)}
    assert set(CONVERSIONS) - made == {"hsv_to_colour", "cut_off_at_value_range"}
