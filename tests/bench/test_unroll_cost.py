"""The cost of an unrolled iteration, at a size that takes a moment."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from raydistill.bench.unroll_cost import time_one, time_unrolling
from raydistill.cli import app
from raydistill.errors import DeviceError


def test_one_measurement_names_what_it_measured() -> None:
    cost = time_one("recompute", 1, 2, 4, "cpu", 1)
    assert (cost.gradient, cost.ipc, cost.student_steps, cost.device, cost.threads) == ("recompute", 1, 2, "cpu", 1)
    assert cost.seconds > 0
    assert cost.grown_bytes >= 0


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="device 'tpu' is not available; allowed: cpu, or cuda on a machine with a GPU"):
        time_unrolling([1], [1], width=4, device="tpu", threads=1)


@pytest.mark.slow
def test_the_command_has_a_row_for_each_gradient_and_full_unrolling_grows_most() -> None:
    words = ["bench", "unroll", "--ipc", "4", "--student-steps", "10", "--width", "8", "--format", "csv"]
    rows = [line.split(",") for line in CliRunner().invoke(app, words).stdout.splitlines()]
    header, *measured = rows
    grown = {row[0]: int(row[header.index("grown_bytes")]) for row in measured}
    assert set(grown) == {"full", "recompute", "tesla"}
    assert grown["full"] > 2 * max(grown["recompute"], grown["tesla"])


@pytest.mark.parametrize("given", ["", "1,x", "0"])
def test_sizes_that_are_no_numbers_are_refused(given: str) -> None:
    result = CliRunner().invoke(app, ["bench", "unroll", "--ipc", given])
    assert result.exit_code == 2
    assert "whole numbers from 1" in result.output
