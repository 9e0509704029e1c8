"""Rows as pandas frames, and those as CSV, JSON, Markdown and LaTeX.

CSV and JSON keep the frame's values: fractions, bytes, seconds, at full precision. Markdown and LaTeX are for people: accuracies
in percent, gaps and margins in points (hundredths of accuracy), rounded, without the columns that only a script needs. The header
names the unit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raydistill.report.cells import measured_cells

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("md", "csv", "tex")
FORMATS_OF_SCRIPTS = ("csv", "json")
"""Those with a row per reading, at full precision."""

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
    """A frame as text: `csv` and `json` (a list of rows) as it is, `md` and `tex` as people read it.

    Raises:
        ValueError: the suffix is another.
    """
    if suffix == "csv":
        return str(frame.to_csv(index=False, lineterminator="\n"))
    if suffix == "json":
        return json.dumps(json.loads(frame.to_json(orient="records", double_precision=15)), indent=2) + "\n"
    if suffix not in FORMATS:
        raise ValueError(f"table format {suffix!r}; allowed: {', '.join((*FORMATS, 'json'))}: give one of these")
    shown, alike = _for_people(frame)
    if suffix == "md":
        return (f"In every row: {alike}.\n\n" if alike else "") + _markdown(shown)
    # Needs booktabs; the comment keeps the file one tabular, as \input wants it.
    return (f"% In every row: {alike}.\n" if alike else "") + latex_tabular(shown)


def _for_people(frame: pd.DataFrame) -> tuple[dict[str, list[str]], str]:
    """The cells as text under headers with units, and the values that are the same in every row of a trial table."""
    columns = {str(c): frame[c] for c in frame if str(c) not in FOR_SCRIPTS and not (len(frame) and frame[c].isna().all())}
    shown = {c: [None if gap else cell for cell, gap in zip(cells, cells.isna(), strict=True)] for c, cells in columns.items()}
    alike = {}
    if "state" in frame and len(frame) > 1:
        measured = set(measured_cells(None)) - {"label_kind"}
        alike = {c: cells[0] for c, cells in shown.items() if c not in measured and len(set(map(str, cells))) == 1}
    table = {_header(c): [_cell(c, cell) for cell in cells] for c, cells in shown.items() if c not in alike}
    common = ", ".join(f"{_header(column)} {_cell(column, cell)}" for column, cell in alike.items())
    return table, common


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


def _markdown(table: Mapping[str, Sequence[str]]) -> str:
    """Columns of cells by header as a Markdown table, padded so that it can be read as text too.

    As pandas' `to_markdown` writes it, which takes seconds for ten thousand rows, because it looks at each cell several times.
    """
    columns = [[header, *(cell.replace("|", "\\|").strip() for cell in cells)] for header, cells in table.items()]
    # As wide as the longest cell; a header has room for two more.
    widths = [max(len(header) + 2, *map(len, cells), 0) for header, *cells in columns]
    padded = [[cell.ljust(width) for cell in column] for column, width in zip(columns, widths, strict=True)]
    head, *rows = (f"| {' | '.join(cells)} |" for cells in zip(*padded, strict=True))
    rule = f"|{'|'.join((':-' if rows else '--') + '-' * width for width in widths)}|"
    return "\n".join([head, rule, *rows]) + "\n"


def latex_tabular(table: Mapping[str, Sequence[str]]) -> str:
    """Columns of cells by header as one tabular of LaTeX, for the package booktabs; as pandas' `to_latex` writes it."""
    columns = [[header, *cells] for header, cells in table.items()]
    head, *rows = (" & ".join(map(latex_text, cells)) + " \\\\" for cells in zip(*columns, strict=True))
    begin = f"\\begin{{tabular}}{{{'l' * len(columns)}}}"
    return "\n".join([begin, "\\toprule", head, "\\midrule", *rows, "\\bottomrule", "\\end{tabular}"]) + "\n"


LATEX = str.maketrans(
    {**{sign: f"\\{sign}" for sign in "&%$#_{}"}, "~": r"\textasciitilde ", "^": r"\textasciicircum ", "\\": r"\textbackslash "}
)
"""Signs with a meaning in LaTeX, as text."""


def latex_text(cell: str) -> str:
    """Text in which LaTeX finds no command."""
    # LaTeX would swallow a blank after the name of a command.
    return re.sub(r"(?<=[\\~^]) ", "\0", cell).translate(LATEX).replace("\0", r"\space ")
