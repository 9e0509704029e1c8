r"""The tables of a study for a paper: LaTeX with booktabs, a caption and a label, that compiles as it is.

`curve.tex` and `sets.tex` are tables to \input; `tables.tex` is a document that does so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from raydistill.report.cells import sample_std
from raydistill.report.curve import Point, curve_rows, line_of
from raydistill.report.rendering import latex_tabular, latex_text
from raydistill.report.study import Study
from raydistill.spaces.units import looked_before
from raydistill.storage.result import ControlAt, Smallest

DOCUMENT = r"""\documentclass[twocolumn]{{article}}
\usepackage[T1]{{fontenc}}
\usepackage{{booktabs}}
\begin{{document}}
{inputs}
\end{{document}}
"""


def tables_for_paper(study: Study) -> Iterator[tuple[str, str]]:
    """File name and text of every table; that of the finding is left out where the study has none."""
    names = []
    finding = study.finding
    if finding is not None and (finding.distilled or finding.control or finding.controls_at):
        names.append("sets")
        yield "sets.tex", _sets(study)
    curve = curve_rows(study)
    if curve:
        names.append("curve")
        yield "curve.tex", _curve(study, curve)
    yield "tables.tex", DOCUMENT.format(inputs="\n".join(f"\\input{{{name}}}" for name in names))


def _sets(study: Study) -> str:
    finding = study.finding
    assert finding is not None
    rows = [_set_row(side, "lossless") for side in (finding.distilled, finding.control) if side is not None]
    rows += [_set_row(one, "lossy" if one.is_lossy else "open") for one in finding.controls_at]
    sentence = latex_text(finding.sentence[:1].upper() + finding.sentence[1:])
    caption = (
        f"{latex_text(study.dataset)}, confirm images. {sentence}. Gaps to the full data in points of {study.metric_words}, "
        f"with one-sided bounds; all of it holds at once with {100 * finding.confidence:g}\\,\\% confidence{_looked(study)}. "
        f"From {len(study.asked)} trials, of which {len(study.finished)} finished; $n$ counts the networks behind each row. "
        f"\\emph{{New}}: drawn anew, a network for each draw; \\emph{{open}}: not shown to be lossy."
    )
    return _table(rows, caption, f"tab:{study.name}-sets")


def _looked(study: Study) -> str:
    looks = 0 if study.verdict is None else study.verdict.earlier_looks
    return f" (but {looked_before(looks)})" if looks else ""


def _set_row(one: Smallest | ControlAt, words: str) -> dict[str, str]:
    gap = one.gap_interval
    bounds = f"{100 * gap.gap:.2f} [{100 * gap.lower:.2f}, {100 * gap.upper:.2f}]"
    new, packed = "" if isinstance(one, Smallest) else ", new", "" if one.factor == 1 else f", factor {one.factor}"
    return {
        "set": f"{one.arm}{new}{packed}",
        "IPC": str(one.ipc),
        "gap": bounds,
        "n": str(gap.networks),
        "shown": words,
    }


def _curve(study: Study, curve: Sequence[Point]) -> str:
    arms = dict.fromkeys(point.arm for point in curve)
    own = {arm: [point for point in curve if point.arm == arm] for arm in arms}
    rows = [_curve_row(point) for arm in arms for point in line_of(own[arm])]
    thinned = (
        " Where an arm has more than twelve IPCs, the best of each of twelve equal log steps." if len(rows) < len(curve) else ""
    )
    caption = (
        f"{latex_text(study.dataset)}, select images: the best of $t$ trials of each arm at each IPC, by gap.{thinned} "
        f"{study.metric_words.capitalize()} in \\% with the standard deviation over $n$ networks; gap to the full data in points "
        f"with its one-sided bounds. "
        f"From {len(study.asked)} trials, of which {len(study.finished)} finished; the best of several is optimistic."
    )
    return _table(rows, caption, f"tab:{study.name}-curve")


def _curve_row(point: Point) -> dict[str, str]:
    record = point.best.record
    assert record is not None
    spread = sample_std(record.readings[-1].accuracy_fractions)
    of_networks = "" if spread is None else f" ({100 * spread:.2f})"
    bounds = "" if point.low is None or point.high is None else f" [{100 * point.low:.2f}, {100 * point.high:.2f}]"
    return {
        "arm": point.arm,
        "IPC": str(point.ipc),
        "acc. (std)": f"{100 * point.accuracy_fraction:.2f}{of_networks}",
        "gap": f"{100 * point.gap:.2f}{bounds}",
        "n": str(point.networks),
        "t": str(point.trials),
    }


def _table(rows: Sequence[Mapping[str, str]], caption: str, label: str) -> str:
    """A table to input: the tabular in small letters, below its caption, which is LaTeX already."""
    tabular = latex_tabular({head: [row[head] for row in rows] for head in rows[0]})
    above = ["\\begin{table}[tb]", "\\centering\\scriptsize", f"\\caption{{{caption}}}", f"\\label{{{label}}}"]
    return "\n".join([*above, "\\setlength{\\tabcolsep}{2pt}", tabular + "\\end{table}", ""])
