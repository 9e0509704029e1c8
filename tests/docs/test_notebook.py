"""The notebook: run from its first cell to its last, in one process.

Its cells are read from the file and executed one after the other. Jupyter would test its own machinery besides, and needs 106 MB
of packages and free ports; the cells have no magics, so Python alone can run them.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from documents import text_of

import raydistill

NOTEBOOK = "docs/tutorial.ipynb"
BOOK = json.loads(text_of(NOTEBOOK))
LESS = [
    "budget.trials=4",
    "method.random_inits=5",
    "evaluation={recipe: quick_plain, networks: 2, baseline_networks: 2, confirm_networks: 3}",
]
CODE = ["".join(cell["source"]) for cell in BOOK["cells"] if cell["cell_type"] == "code"]


def run_cell(code: str, names: dict[str, Any]) -> Any:
    """Execute a cell; returns the value of the expression that it ends with, as a notebook shows it."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, NOTEBOOK, "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), NOTEBOOK, "eval"), names)


@pytest.mark.slow
def test_the_notebook_runs_from_search_to_figure_to_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One network against the mean of two in the record, whose standard deviation on 8 images per class is 1.5 points."""
    search = raydistill.search

    def short(*given: Any, overrides: list[str], **words: Any) -> Any:
        return search(*given, overrides=[*overrides, *LESS], **words)

    monkeypatch.setattr(raydistill, "search", short)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = [run_cell(code, names) for code in CODE]
    assert repr(shown[0]).startswith("SearchResult(tutorial: lossless at IPC ")
    assert list(shown[2].columns) == ["arm", "ipc", "trials", "accuracy_fraction", "gap"]
    assert shown[3]._repr_png_().startswith(b"\x89PNG")
    assert names["accuracy"] == pytest.approx(names["found"].recorded_accuracy_fraction, abs=0.08)
    assert "with 8-bit pixels (" in capsys.readouterr().out
    assert (tmp_path / "tutorial-png" / "about.json").is_file()


def test_the_notebook_is_kept_as_it_ran() -> None:
    """Every cell has run, in order and without an error, and shows no path of the machine that it ran on."""
    cells = [cell for cell in BOOK["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "execute_result"}
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}
    assert [key for output in outputs for key in output.get("data", {})].count("image/png") == 1
    text = json.dumps([{**output, "data": {**output.get("data", {}), "image/png": ""}} for output in outputs])
    assert not any(folder in text for folder in ("/tmp", "/home", "/root", "/work"))


def test_the_notebook_is_one_that_jupyter_opens() -> None:
    assert (BOOK["nbformat"], BOOK["metadata"]["kernelspec"]["name"]) == (4, "python3")
    assert len({cell["id"] for cell in BOOK["cells"]}) == len(BOOK["cells"])
    assert {cell["cell_type"] for cell in BOOK["cells"]} == {"markdown", "code"}
