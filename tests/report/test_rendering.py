"""Tables as text: exact in CSV, in percent and points for people."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from hand_made import HandMade

from raydistill.methods import method_configs
from raydistill.report.rendering import frame_of, render
from raydistill.report.tables import read_study, trial_frame


def trials_of(made: HandMade) -> pd.DataFrame:
    return trial_frame(read_study(made.study, method_configs()))


def test_csv_keeps_whole_numbers_whole_and_fractions_exact(by_hand: HandMade) -> None:
    by_hand.trial(7, (0.123456789012345,))
    by_hand.trial(8, None)
    read = pd.read_csv(io.StringIO(render(trials_of(by_hand), "csv")), dtype=str, keep_default_na=False)
    assert list(read["set_bytes"]) == ["17990", ""]
    assert list(read["accuracy_fraction_mean"]) == ["0.123456789012345", ""]


def test_markdown_shows_percent_and_points_under_headers_that_say_so(by_hand: HandMade) -> None:
    trial_id = by_hand.trial(7, (0.95, 0.97), lr_images=0.3)
    by_hand.trial(8, (0.98,), lr_images=2.0)
    lines = render(trials_of(by_hand), "md").splitlines()
    header, _, row, _ = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    cells = dict(zip(header, row, strict=True))
    expected = {"trial_id": trial_id, "ipc": "7", "lr_images": "0.3", "accuracy (%)": "96.00"}
    expected |= {"accuracy std (points)": "1.41", "gap (points)": "2.00", "seconds": "12.0", "set_bytes": "17990"}
    assert {name: cells[name] for name in expected} == expected


def test_markdown_tells_once_what_is_the_same_in_every_row(by_hand: HandMade) -> None:
    by_hand.trial(7)
    by_hand.trial(8)
    first, *table = render(trials_of(by_hand), "md").splitlines()
    assert first.startswith("In every row: state finished, dataset digits, network convnet, method datadam, ")
    assert ", margin (points) 2.00" in first
    assert "dataset" not in "\n".join(table)


def test_a_list_that_is_the_same_in_every_row_is_told_once() -> None:
    """As PAD's `expert_drop_epochs` is, which a record holds as a list."""
    frame = frame_of([{"state": "finished", "ipc": ipc, "expert_drop_epochs": [16, 24]} for ipc in (1, 2)])
    assert render(frame, "md").startswith("In every row: state finished, expert_drop_epochs [16, 24].\n")
    assert render(frame, "tex").startswith("% In every row: state finished, expert_drop_epochs [16, 24].\n")


def test_lists_that_differ_and_missing_ones_are_cells() -> None:
    frame = frame_of([{"state": "finished", "drop": drop} for drop in ([16, 24], [], None)])
    rows = [line.split("|")[1].strip() for line in render(frame, "md").splitlines() if line.startswith("| ")]
    assert rows == ["drop", "[16, 24]", "[]", ""]


def test_a_trial_id_that_looks_like_a_number_stays_text(by_hand: HandMade) -> None:
    frame = pd.DataFrame({"trial_id": ["12e456789012"], "error": ["a|b"]})
    assert "| 12e456789012 | a\\|b" in render(frame, "md")


def test_latex_escapes_and_keeps_units(by_hand: HandMade) -> None:
    by_hand.trial(7, state="diverged", error="loss is 50% & nan")
    by_hand.trial(8, (0.98,))
    text = render(trials_of(by_hand), "tex")
    assert text.startswith("% In every row: ")
    assert "accuracy (\\%)" in text
    assert "loss is 50\\% \\& nan" in text
    assert text.rstrip().endswith("\\end{tabular}")


AWKWARD = [r"a\ b\c", "~ x~y", "^ 2^", "50 % & $3 #1 a_b {c}", "a|b", "  blank  ", "12e4567890ab", ""]
"""What Markdown and LaTeX read as something else, or pad."""


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("name", ["a", "a longer_name & 100 %"])
def test_tables_for_people_are_as_pandas_writes_them(name: str, rows: int) -> None:
    for first in AWKWARD:
        cells = [first, *AWKWARD][:rows]
        frame = pd.DataFrame({name: pd.Series(cells, dtype=object), "b": pd.Series(cells[::-1], dtype=object)})
        escaped = frame.map(lambda cell: cell.replace("|", "\\|"))
        assert render(frame, "md") == f"{escaped.to_markdown(index=False, disable_numparse=True)}\n"
        assert render(frame, "tex") == frame.to_latex(index=False, escape=True)


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="table format 'html'; allowed: md, csv, tex, json: give one of these"):
        render(pd.DataFrame({"ipc": [1]}), "html")


def test_json_is_a_list_of_rows_at_full_precision() -> None:
    rows = json.loads(render(frame_of([{"a": 0.1 + 0.2, "b": 3}, {"a": None, "b": None}]), "json"))
    assert rows[0]["a"] == pytest.approx(0.3, abs=1e-14)
    assert [row["b"] for row in rows] == [3, None]
    assert rows[1]["a"] is None
