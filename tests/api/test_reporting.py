"""Where pages, pictures and tables are written, and what is refused before anything is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hand_certified import certificate
from hand_race import write_race
from typer.testing import CliRunner

import raydistill
from raydistill.cli import app
from raydistill.cli import reporting as commands
from raydistill.errors import CertifyError, InputError, StoreError
from raydistill.report.page.write import Written
from raydistill.storage.lock import study_lock
from raydistill.storage.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a race of sixteen trials."""
    folder = tmp_path_factory.mktemp("store")
    write_race(folder / "race", 16)
    return folder


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


def test_a_page_lies_in_the_folder_of_the_study_and_where_it_is_told_to(store: Path, tmp_path: Path) -> None:
    assert raydistill.write_report("race", store=store) == Written(str(store / "race" / "report.html"), False)
    other = tmp_path / "new" / "page.html"
    assert raydistill.write_report(store / "race", out=other).path == str(other)
    assert other.read_text().startswith("<!doctype html>")


def test_a_certificate_has_its_page_beside_it(tmp_path: Path) -> None:
    (tmp_path / "certificate.json").write_text(certificate().to_json())
    written = raydistill.write_report(tmp_path / "certificate.json")
    assert written == Written(str(tmp_path / "certificate.html"), False)
    assert "Certificate of by-hand" in (tmp_path / "certificate.html").read_text()


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CertifyError, match="no certificate at"):
        raydistill.write_report(tmp_path / "certificate.json")


@pytest.mark.parametrize("given", ["compare/key", "compare/key/comparison.json"])
def test_a_comparison_has_its_page_in_its_folder(tmp_path: Path, given: str) -> None:
    from raydistill.comparison.rows import Comparison, Outcome, rows_of

    outcomes = [Outcome(method="random", draw=draw, accuracy_fractions=(0.9,), distill_seconds=0.0) for draw in range(2)]
    settings = {"dataset": {"name": "digits"}, "ipc": 1, "split": "select", "evaluation": {"recipe": "plain"}}
    comparison = Comparison(rows=rows_of(outcomes), settings=settings, code_sha256="c" * 64, versions={})
    Store(str(tmp_path)).write("compare/key/comparison.json", comparison.model_dump_json())
    assert raydistill.write_report(tmp_path / given).path == str(tmp_path / "compare" / "key" / "report.html")


@pytest.mark.parametrize("out", ["page.pdf", "folder/"])
def test_a_page_is_an_html_file(store: Path, out: str) -> None:
    with pytest.raises(InputError, match=r"a page is an .html file: give for example"):
        raydistill.write_report("race", store=store, out=out)


def test_a_page_that_cannot_be_written_leaves_nothing(store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*file/page\.html"):
        raydistill.write_report("race", store=store, out=tmp_path / "file" / "page.html")
    assert os.listdir(tmp_path) == ["file"]


def test_pictures_and_tables_lie_in_the_study(store: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    code, output = run("plots", "race", "--store", str(store), "--format", "svg")
    assert code == 0
    names = ["accuracy.svg", "cost.svg", "curve.tex", "progress.svg", "sets.tex", "tables.tex"]
    assert sorted(os.listdir(store / "race" / "plots")) == names
    assert output.count("Written ") == len(names)


def test_without_matplotlib_nothing_is_written(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, output = run("plots", "race", "--store", str(store), "--out", str(tmp_path / "figures"))
    assert code == 2
    assert "pip install 'raydistill[plots]'" in output
    assert not (tmp_path / "figures").exists()


def test_a_folder_that_is_no_study_ends_with_two(tmp_path: Path) -> None:
    code, output = run("report", "absent", "--store", str(tmp_path))
    assert code == 2
    assert "no search_space.yaml there" in output
    assert os.listdir(tmp_path) == []


def test_the_command_says_where_the_page_is(store: Path, tmp_path: Path) -> None:
    page = str(tmp_path / "page.html")
    assert run("report", "race", "--store", str(store), "--out", page) == (0, f"Written {page}\n")


def test_a_page_is_written_again_as_long_as_a_search_runs(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first writing sees a search; while the command waits, it ends."""
    holding = study_lock(Store(str(store / "race")))
    holding.__enter__()
    monkeypatch.setattr(commands.time, "sleep", lambda seconds: holding.__exit__(None, None, None))
    page = tmp_path / "page.html"
    code, output = run("report", "race", "--store", str(store), "--out", str(page), "--watch", "5")
    assert (code, output) == (0, f"Written {page}\nNo search works on it now, so this page is the last.\n")
    assert "The search runs" not in page.read_text()
