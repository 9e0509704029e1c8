"""The report's tables next to own results, which are written by hand."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from raydistill.reproduce.run import Asked, Read, Result, Results
from raydistill.reproduce.scales import FULL, SMALL, Scale
from raydistill.reproduce.tables import caption, render_flops, render_results, result_frame

REAL = (3, "mnist", "DataDAM from real images")
READ = Read(
    accuracy_fraction=0.9,
    draws_std=0.003,
    networks_std=0.004,
    draws=2,
    networks=6,
    train_seconds=2.5,
    device="cpu (1 thread)",
)
RESULT = Result(own=READ, random=replace(READ, accuracy_fraction=0.89), random_soft=None, distill_seconds=7.0, errors=())


def results(
    table: int = 3, *, scale: Scale = FULL, reading: Any = "as_run", missing: dict[str, str] | None = None, **changes: Any
) -> Results:
    asked = Asked(tables=(table,), reading=reading, scale=scale)
    rows = {REAL: replace(RESULT, **changes)} if table == 3 else {}
    return Results(asked=asked, rows=rows, missing=missing or {})


def row_of(given: Results, row: str = REAL[2]) -> dict[str, Any]:
    frame = result_frame(given.asked.tables[0], given)
    return frame[frame["row"] == row].iloc[0].to_dict()


def test_the_reports_value_stands_beside_ours_with_runs_deviations_and_random_real() -> None:
    row = row_of(results())
    assert (row["report_accuracy_fraction"], row["own_accuracy_fraction"], row["random_accuracy_fraction"]) == (0.8836, 0.9, 0.89)
    assert (row["draws_std"], row["networks_std"], row["sets"], row["networks"]) == (0.003, 0.004, 2, 6)


def test_times_are_per_network_and_the_reports_are_worked_out_where_its_code_tells() -> None:
    """Its timer divides by ten and sums over 100 networks: 1.594 is 0.1594 s a network."""
    row = row_of(results())
    assert (row["report_seconds_printed"], row["report_seconds_per_network"], row["seconds_per_network"]) == (1.594, 0.1594, 2.5)


def test_a_difference_within_the_scatter_is_no_difference() -> None:
    """The scatter is sqrt(0.003^2 + 0.004^2) = 0.005; 0.8932 is 0.0096 from 0.8836, 0.8938 is 0.0102."""
    inside, outside = (row_of(results(own=replace(READ, accuracy_fraction=value)))["why"] for value in (0.8932, 0.8938))
    assert inside == "within two standard deviations of one run"
    assert outside.startswith("10 image updates")


def test_a_small_run_gives_its_scale_as_the_first_reason() -> None:
    assert row_of(results(scale=SMALL))["why"].startswith("scale small; 10 image updates")


def test_a_difference_without_a_known_reason_says_so() -> None:
    full = Results(asked=results().asked, rows={(3, "mnist", "full data"): replace(RESULT, random=None)}, missing={})
    assert row_of(full, "full data")["why"] == "not known"


def test_each_reading_has_its_reasons() -> None:
    assert "the report's text specifies K x T updates, but its code made 10" in row_of(results(reading="as_specified"))["why"]


def test_sets_that_diverged_are_reported() -> None:
    assert row_of(results(errors=("nan",)))["why"].startswith("1 of the sets diverged")
    lost = row_of(results(own=None, errors=("the loss is nan at step 3", "the loss is nan at step 4")))
    assert lost["why"] == "not run: the loss is nan at step 3; the loss is nan at step 4"


def test_missing_data_says_how_to_get_it() -> None:
    assert row_of(results(4, missing={"mhist": "apply for it"}))["why"] == "not run: apply for it"


def test_the_time_of_trajectory_methods_is_called_incomparable() -> None:
    given = Results(asked=results(7).asked, rows={(7, "mnist", "DATM, IPC 1"): RESULT}, missing={})
    assert row_of(given, "DATM, IPC 1")["why"].endswith("not comparable")


def test_results_are_printed_in_a_line() -> None:
    assert repr(results()) == "Results(tables 3, as_run, scale full; 1 rows)"
    assert repr(results(missing={"mhist": "ask its authors"})).endswith("; 1 rows, without data: mhist)")


def test_the_caption_names_reading_scale_split_and_device() -> None:
    said = caption(3, results(scale=SMALL))
    assert said.startswith("Table 3 of the report (MNIST: DataDAM at IPC 10), as run; scale small: NOT the report's size")
    assert "test images" in said
    assert "cpu (1 thread)" in said


def test_csv_has_reading_and_scale_in_every_row_and_fractions() -> None:
    rows = list(csv.DictReader(io.StringIO(render_results(results(), "csv"))))
    assert [row["row"] for row in rows][1] == REAL[2]
    assert {(row["table"], row["reading"], row["scale"]) for row in rows} == {("3", "as_run", "full")}
    assert rows[1]["own_accuracy_fraction"] == "0.9"


@pytest.mark.parametrize(("suffix", "part"), [("md", "| 88.36 "), ("tex", "& 88.36 &")])
def test_people_read_percent(suffix: str, part: str) -> None:
    assert part in render_results(results(), suffix)


def test_table_1_has_the_flops() -> None:
    row = row_of(results(1), "full data")
    assert (row["report_flops"], row["report_rule_flops"], row["true_input_flops"]) == ("61.3M", 61_287_040, 48_429_056)


def test_table_2_says_what_each_symbol_was_in_the_reports_code_and_is_here() -> None:
    as_run = result_frame(2, results(2)).set_index("symbol")
    assert as_run.loc["K", "report_mnist"] == "100"
    assert as_run.loc["K", "in_the_reports_code"].startswith("number of evaluation networks")
    assert (as_run.loc["T", "ours_mnist"], as_run.loc["K", "ours_mhist"]) == ("10", "5 sets x 40 networks")
    specified = result_frame(2, results(2, reading="as_specified")).set_index("symbol")
    assert (specified.loc["K", "ours_mnist"], specified.loc["zeta_theta", "ours_mnist"]) == ("100", "50")


def test_flops_alone_have_both_counts() -> None:
    text = render_flops("csv")
    assert "61287040" in text
    assert "197960224" in text
    assert "48429056" in text
