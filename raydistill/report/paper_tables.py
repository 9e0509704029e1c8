r"""The tables of a study for a paper: LaTeX with booktabs, a caption and a label, that compiles as it is.

`curve.tex` and `sets.tex` are tables to \input; `tables.tex` is a document that does so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from raydistill.report.curve import Point, curve_rows, line_of
from raydistill.report.study import Study
from raydistill.storage.record import ControlAt, Smallest

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {c: f"\\{c}" for c in "_%&#${}"}
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


def escaped(text: str) -> str:
    """Text in which LaTeX finds no command."""
    return "".join(SPECIAL.get(character, character) for character in text)


def _sets(study: Study) -> str:
    finding = study.finding
    assert finding is not None
    rows = [_set_row(side, "shown lossless") for side in (finding.distilled, finding.control) if side is not None]
    rows += [_set_row(one, "drawn anew, lossy" if one.is_lossy else "drawn anew, not shown lossy") for one in finding.controls_at]
    sentence = escaped(finding.sentence[:1].upper() + finding.sentence[1:])
    caption = (
        f"{escaped(study.dataset)}, confirm images. {sentence}. Gaps to the full data in points, with one-sided bounds; all of "
        f"it holds at once with {100 * finding.confidence:g}\\,\\% confidence. From {len(study.asked)} trials, of which "
        f"{len(study.finished)} finished; $n$ counts the networks behind each row."
    )
    return _table(pd.DataFrame(rows), caption, f"tab:{study.name}-sets")


def _set_row(one: Smallest | ControlAt, words: str) -> dict[str, str]:
    gap = one.gap_interval
    bounds = f"{100 * gap.gap:.2f} [{100 * gap.lower:.2f}, {100 * gap.upper:.2f}]"
    return {"set": escaped(one.arm), "IPC": str(one.ipc), "gap": bounds, "$n$": str(gap.networks), "": words}


def _curve(study: Study, curve: Sequence[Point]) -> str:
    arms = dict.fromkeys(point.arm for point in curve)
    own = {arm: [point for point in curve if point.arm == arm] for arm in arms}
    rows = [_curve_row(point) for arm in arms for point in line_of(own[arm])]
    thinned = (
        " Where an arm has more than twelve IPCs, the best of each of twelve equal log steps." if len(rows) < len(curve) else ""
    )
    caption = (
        f"{escaped(study.dataset)}, select images: the best trial of each arm at each IPC, by gap.{thinned} Accuracy in \\% with "
        f"the standard deviation over $n$ networks; gap to the full data in points with its one-sided bounds. "
        f"From {len(study.asked)} trials, of which {len(study.finished)} finished; the best of several is optimistic."
    )
    return _table(pd.DataFrame(rows), caption, f"tab:{study.name}-curve")


def _curve_row(point: Point) -> dict[str, str]:
    record = point.best.record
    assert record is not None
    accuracies = pd.Series(record.readings[-1].accuracy_fractions)
    spread = f" ({100 * accuracies.std():.2f})" if len(accuracies) > 1 else ""
    bounds = "" if point.low is None or point.high is None else f" [{100 * point.low:.2f}, {100 * point.high:.2f}]"
    return {
        "arm": escaped(point.arm),
        "IPC": str(point.ipc),
        "accuracy (std)": f"{100 * point.accuracy_fraction:.2f}{spread}",
        "gap": f"{100 * point.gap:.2f}{bounds}",
        "$n$": str(point.networks),
        "trials": str(point.trials),
    }


def _table(frame: pd.DataFrame, caption: str, label: str) -> str:
    text = str(frame.to_latex(index=False, escape=False, caption=caption, label=label, position="tb"))
    return text.replace("\\begin{tabular}", "\\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}\n\\begin{tabular}", 1)
