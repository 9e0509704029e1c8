"""Rows as pandas frames, and those as CSV, Markdown and LaTeX.

CSV keeps the frame's values: fractions, bytes, seconds, at full precision. Markdown and LaTeX are for people: accuracies in
percent, gaps and margins in points (hundredths of accuracy), rounded, without the columns that only a script needs. The header
names the unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raydistill.report.cells import measured_cells

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("md", "csv", "tex")

IN_PERCENT = {
    "accuracy_fraction_mean": "accuracy (%)",
    "accuracy_fraction": "accuracy (%)",
    "baseline_accuracy_fraction_mean": "baseline accuracy (%)",
    "train_accuracy_fraction": "train accuracy (%)",
    "report_accuracy_fraction": "report (%)",
    "own_accuracy_fraction": "ours (%)",
    "random_accuracy_fraction": "random real (%)",
    "random_soft_accuracy_fraction": "random real, experts' labels (%)",
    "published_accuracy_fraction": "published (%)",
}
IN_POINTS = {
    "accuracy_fraction_std": "accuracy std (points)",
    "baseline_accuracy_fraction_std": "baseline accuracy std (points)",
    "gap": "gap (points)",
    "gain_over_start": "gain over start (points)",
    "best_gap": "best gap (points)",
    "gap_low": "gap, low",
    "gap_high": "gap, high",
    "closest_gap": "closest gap (points)",
    "margin_fraction": "margin (points)",
    "draws_std": "std over draws (points)",
    "networks_std": "std over networks (points)",
    "above_random": "above random (points)",
    "above_random_low": "low",
    "above_random_high": "high",
    "above_random_soft": "above random_soft (points)",
    "above_random_soft_low": "low ",
    "above_random_soft_high": "high ",
    "published_std": "published std (points)",
    "own_std": "own std (points)",
}
FOR_SCRIPTS = frozenset(
    {"seed", "data_sha256", "code_sha256", "images_sha256", "started_at", "host", "device", "split_seed"}
    | {"distill_seconds", "evaluate_seconds", "peak_memory_bytes", "train_macs", "epoch_macs"}
)
"""Columns of the trials' CSV that people's tables leave out."""


def frame_of(rows: Sequence[Mapping[str, Any]], columns_if_empty: Sequence[str] = ()) -> pd.DataFrame:
    """Rows as a frame, cells under their names, whose columns of whole numbers stay whole where cells are missing."""
    # Here, because `status` prints no table and need not wait for it.
    import pandas as pd

    columns = list(dict.fromkeys(column for row in rows for column in row)) or list(columns_if_empty)
    typed = {}
    for column in columns:
        cells = [row.get(column) for row in rows]
        present = [type(cell) for cell in cells if cell is not None]
        dtype = (
            "Int64" if present and set(present) == {int} else "float64" if present and set(present) <= {int, float} else "object"
        )
        typed[column] = pd.Series(cells, dtype=dtype)
    return pd.DataFrame(typed, columns=columns)


def render(frame: pd.DataFrame, suffix: str) -> str:
    """A frame as text: `csv` as it is, `md` and `tex` as people read it.

    Raises:
        ValueError: the suffix is another.
    """
    if suffix == "csv":
        return str(frame.to_csv(index=False, lineterminator="\n"))
    if suffix not in FORMATS:
        raise ValueError(f"table format {suffix!r}; allowed: {', '.join(FORMATS)}: give one of these")
    shown, alike = _for_people(frame)
    if suffix == "md":
        escaped = shown.map(lambda cell: cell.replace("|", "\\|"))
        # With numparse, tabulate prints the trial id 12e4567890ab as a number.
        table = str(escaped.to_markdown(index=False, disable_numparse=True))
        return f"In every row: {alike}.\n\n{table}\n" if alike else f"{table}\n"
    # Needs booktabs; the comment keeps the file one tabular, as \input wants it.
    return (f"% In every row: {alike}.\n" if alike else "") + str(shown.to_latex(index=False, escape=True))


def _for_people(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The cells as text under headers with units, and the values that are the same in every row of a trial table."""
    import pandas as pd

    columns = {str(c): frame[c] for c in frame if str(c) not in FOR_SCRIPTS and not (len(frame) and frame[c].isna().all())}
    shown = {c: [None if gap else cell for cell, gap in zip(cells, cells.isna(), strict=True)] for c, cells in columns.items()}
    alike = {}
    if "state" in frame and len(frame) > 1:
        measured = set(measured_cells(None)) - {"label_kind"}
        alike = {c: cells[0] for c, cells in shown.items() if c not in measured and len(set(map(str, cells))) == 1}
    table = {_header(c): [_cell(c, cell) for cell in cells] for c, cells in shown.items() if c not in alike}
    common = ", ".join(f"{_header(column)} {_cell(column, cell)}" for column, cell in alike.items())
    return pd.DataFrame(table, dtype=object), common


def _header(column: str) -> str:
    return IN_PERCENT.get(column) or IN_POINTS.get(column) or column


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column in IN_PERCENT or column in IN_POINTS:
        return f"{100 * value:.2f}"
    if isinstance(value, float):
        return f"{value:.1f}" if column == "seconds" else f"{value:.4g}"
    return str(value)
