"""The page of a comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raydistill.comparison.rows import Comparison, Outcome, rows_of
from raydistill.errors import StoreError
from raydistill.report.page.comparison_page import comparison_page, read_comparison
from raydistill.storage.store import Store

SETTINGS: dict[str, Any] = {"dataset": {"name": "digits"}, "ipc": 10, "split": "select", "evaluation": {"recipe": "plain"}}


def outcome(method: str, draw: int, accuracy: float) -> Outcome:
    return Outcome(method=method, draw=draw, accuracy_fractions=(accuracy, accuracy), distill_seconds=1.0)


def write_comparison(store: Path, *, dm: float = 0.95) -> Store:
    """Three draws of dm and of random: 95 % and 90 %, give or take a point."""
    outcomes = [outcome("dm", draw, dm + draw / 100) for draw in range(3)]
    outcomes += [outcome("random", draw, 0.90 + (draw % 2) / 100) for draw in range(3)]
    names = [f"compare/outcomes/{o.method}-{o.draw}.json" for o in outcomes]
    for name, one in zip(names, outcomes, strict=True):
        Store(str(store)).write(name, one.model_dump_json())
    comparison = Comparison(
        rows=rows_of(outcomes), outcomes=tuple(names), settings=SETTINGS, code_sha256="c" * 64, versions={"torch": "2"}
    )
    folder = Store(str(store)).at("compare", "key")
    folder.write("comparison.json", comparison.model_dump_json())
    return folder


def page_of(folder: Store) -> str:
    return comparison_page(folder, read_comparison(folder), folder.path("report.html"))


def test_the_most_accurate_method_comes_first_and_then_who_is_above_random(tmp_path: Path) -> None:
    page = page_of(write_comparison(tmp_path))
    assert "<h1>Dm is" not in page
    assert "dm is the most accurate of 2 at IPC 10: 96.00 % over 3 draws" in page
    assert "Shown to be above random images, with the whole interval: dm by 5.67 points." in page


def of_soft_labels(store: Path, datm: float, **settings: Any) -> str:
    """The page of two draws each: random 80 %, k_means 85 %, random_soft 91 %, datm and dm as given or 90 %, give or take."""
    accuracies = {"random": 0.80, "k_means": 0.85, "random_soft": 0.91, "dm": 0.90, "datm": datm}
    outcomes = [outcome(name, draw, mean + draw / 1000) for name, mean in accuracies.items() for draw in range(2)]
    made = Comparison(rows=rows_of(outcomes), settings={**SETTINGS, **settings}, code_sha256="c" * 64, versions={"torch": "2"})
    folder = Store(str(store)).at("compare", "key")
    folder.write("comparison.json", made.model_dump_json())
    return page_of(folder)


def test_a_method_with_soft_labels_is_held_against_the_control_with_the_same_labels(tmp_path: Path) -> None:
    page = of_soft_labels(tmp_path, 0.90)
    assert "Shown to be above random images, with the whole interval: dm by 10.00 points, datm by 10.00 points." in page
    labelled = "above random_soft images, which have labels by the same experts"
    assert f"Not shown to be {labelled}: datm by -1.00 points (-1.00 to -1.00)." in page
    assert '<th scope="col">above random_soft</th>' in page
    assert "<title>datm over random_soft: -1.00 points" in page
    above = of_soft_labels(tmp_path, 0.94)
    assert f"Shown to be {labelled}, with the whole interval: datm by 3.00 points." in above
    assert "Not shown" not in above


def test_controls_are_hollow_and_not_said_to_be_above_random(tmp_path: Path) -> None:
    page = of_soft_labels(tmp_path, 0.90)
    assert "k_means by" not in page
    chart = page.partition('id="above"')[2].partition("</figure>")[0]
    assert ["hollow" in part.rpartition("<")[2] for part in chart.split("<title>")[:-1]] == [True, True, False, False, False]


def test_a_comparison_of_balanced_accuracy_says_so(tmp_path: Path) -> None:
    page = of_soft_labels(tmp_path, 0.90, metric="balanced_accuracy")
    assert "balanced accuracy (%)" in page
    assert "points of balanced accuracy above random" in page
    assert '<th scope="col">balanced accuracy</th>' in page


def test_a_comparison_prints_in_a_line(tmp_path: Path) -> None:
    assert str(read_comparison(write_comparison(tmp_path))) == "Comparison(dm 96.00 %, random 90.33 %; 3 draws)"


def test_without_a_difference_none_is_said_to_be_above(tmp_path: Path) -> None:
    assert "No method is shown to be above random images." in page_of(write_comparison(tmp_path, dm=0.89))


def test_each_draw_is_a_mark_that_leads_to_its_file(tmp_path: Path) -> None:
    page = page_of(write_comparison(tmp_path))
    assert 'href="../outcomes/dm-2.json"' in page
    assert page.count("draw 2:") == 2


def test_a_draw_that_cannot_be_read_is_a_note(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path)
    (tmp_path / "compare" / "outcomes" / "dm-0.json").unlink()
    (tmp_path / "compare" / "outcomes" / "dm-1.json").write_text("{")
    page = page_of(folder)
    assert "dm-0.json is missing, so the page does not show that draw" in page
    assert "dm-1.json is damaged" in page
    assert page.count("draw 0:") == 1


def test_a_comparison_of_an_older_version_has_no_draws(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path)
    document = json.loads(folder.read("comparison.json"))
    folder.write_json("comparison.json", {**document, "outcomes": []})
    assert "0 draws of 2 methods." in page_of(folder)


def test_a_folder_without_a_comparison_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"comparison.json is missing; give the folder <store>/compare/<key> of a comparison"):
        read_comparison(Store(str(tmp_path)))
