"""Tables for a paper: LaTeX that is whole, with what a reader needs in the caption."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from hand_race import result, use_balanced_accuracy, write_race

from raydistill.report.paper_tables import tables_for_paper
from raydistill.report.read import read_whole
from raydistill.storage.store import Store


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_race(tmp_path_factory.mktemp("race") / "by-hand", 120)


def tables_of(folder: Path) -> dict[str, str]:
    return dict(tables_for_paper(read_whole(Store(str(folder)))))


def test_there_is_a_table_of_the_sets_one_of_the_curve_and_a_document_with_both(race: Path) -> None:
    tables = tables_of(race)
    assert list(tables) == ["sets.tex", "curve.tex", "tables.tex"]
    assert re.findall(r"\\input\{(\w+)\}", tables["tables.tex"]) == ["sets", "curve"]
    assert r"\usepackage{booktabs}" in tables["tables.tex"]


@pytest.mark.parametrize("name", ["sets.tex", "curve.tex"])
def test_a_table_is_balanced_with_rules_caption_label_and_the_number_of_trials(race: Path, name: str) -> None:
    text = tables_of(race)[name]
    for environment in ("table", "tabular"):
        assert text.count(f"\\begin{{{environment}}}") == text.count(f"\\end{{{environment}}}") == 1
    for command in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{", r"\label{tab:by-hand-race-"):
        assert text.count(command) == 1
    assert "From 120 trials, of which 108 finished" in text
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1])  # type: ignore[index]
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count("&") + 1 for line in rows} == {columns}


def test_a_caption_says_that_the_same_images_were_looked_at_before(race: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(race, tmp_path / "by-hand"))
    given = json.loads((copy / "result.json").read_text())
    (copy / "result.json").write_text(json.dumps({**given, "earlier_looks": 1}))
    assert r"95\,\% confidence (but the confirm images of this study were looked at once before" in tables_of(copy)["sets.tex"]


def test_captions_name_balanced_accuracy_where_that_is_the_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_balanced_accuracy(monkeypatch)
    tables = tables_of(write_race(tmp_path / "by-hand", 30))
    assert "Gaps to the full data in points of balanced accuracy, with" in tables["sets.tex"]
    assert r"Balanced accuracy in \% with the standard deviation over $n$ networks" in tables["curve.tex"]


def test_underscores_and_percents_are_escaped(race: Path) -> None:
    text = tables_of(race)["sets.tex"]
    assert r"k\_means, new & 13 & 8.00 [6.00, 10.00] & 6 & lossy" in text
    assert r"k\_means, new, factor 2 & 13 & 8.00 [6.00, 10.00] & 6 & lossy" in text
    assert re.search(r"(?<!\\)[_%]", text) is None


def test_many_ipcs_become_twelve_rows_and_the_caption_says_so(race: Path) -> None:
    text = tables_of(race)["curve.tex"]
    assert max(text.count(f"\n{arm} &") for arm in ("dm", "datadam", "random")) <= 12
    assert "the best of each of twelve equal log steps" in text


def test_a_study_without_a_finding_has_the_curve_alone(race: Path, tmp_path: Path) -> None:
    older = Path(shutil.copytree(race, tmp_path / "older"))
    (older / "result.json").write_text(json.dumps({k: v for k, v in result(120).items() if k != "finding"}))
    assert list(tables_of(older)) == ["curve.tex", "tables.tex"]
