"""The search spaces and the Python in the documents are free of mistakes, and those of README.md run."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from documents import DOCUMENTS, SPACES, fenced, offline_known, text_of
from PIL import Image
from typer.testing import CliRunner

import raydistill
from raydistill.cli import app
from raydistill.core.recipes import RECIPES
from raydistill.spaces.parse import parse_space

README = text_of("README.md")
BLOCKS = [(document, text) for document in DOCUMENTS for text in fenced(text_of(document), "python")]
SHORT = ["evaluation.recipe=plain", "evaluation.networks=2", "evaluation.baseline_networks=2", "evaluation.confirm_networks=2"]
SHORT += ["goal.margin_fraction=0.9", "network.width=4", "method.batch_real=4"]
"""Overrides that make the examples a matter of seconds."""


@pytest.fixture
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty steps where the recipe has five hundred."""
    monkeypatch.setitem(RECIPES, "plain", dataclasses.replace(RECIPES["plain"], steps=30))


@pytest.mark.parametrize("name", SPACES)
def test_every_shipped_space_is_free_of_mistakes(name: str) -> None:
    space = parse_space(text_of(f"search_spaces/{name}.yaml"), offline_known())
    assert space.study == name.replace("_", "-")


@pytest.mark.parametrize(
    ("document", "text"),
    [(document, text) for document in DOCUMENTS for text in fenced(text_of(document), "yaml")],
    ids=lambda value: value if value in DOCUMENTS else "",
)
def test_every_space_in_the_documents_is_free_of_mistakes(document: str, text: str) -> None:
    """A section alone stands in the place of the same section of the shipped space for its data."""
    given = yaml.safe_load(text)
    if "study" not in given:
        whole = "image_folder_datadam" if given.get("dataset", {}).get("name") == "image_folder" else "digits_datadam"
        text = yaml.safe_dump({**yaml.safe_load(text_of(f"search_spaces/{whole}.yaml")), **given})
    assert parse_space(text, offline_known(), source=document).study


def absent_names(code: str) -> list[str]:
    """Functions of raydistill that are not there, or are called with arguments that they do not take."""
    absent = []
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("raydistill"):
            module = importlib.import_module(node.module or "")
            absent += [name.name for name in node.names if not hasattr(module, name.name)]
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("raydistill.")):
            continue
        try:
            function = functools.reduce(getattr, ast.unparse(node.func).split(".")[1:], raydistill)
            inspect.signature(function).bind(*node.args, **{word.arg or "": word.value for word in node.keywords})
        except (AttributeError, TypeError) as error:
            absent.append(f"{ast.unparse(node.func)}: {error}")
    return absent


@pytest.mark.parametrize(("document", "code"), BLOCKS, ids=[document for document, _ in BLOCKS])
def test_the_python_in_the_documents_calls_what_there_is(document: str, code: str) -> None:
    compile(code, document, "exec")
    assert absent_names(code) == []


@pytest.mark.parametrize(
    "code", ["raydistill.serach('x')", "raydistill.search('x', trails=3)", "from raydistill.errors import X"]
)
def test_a_name_that_is_not_there_is_found(code: str) -> None:
    assert len(absent_names(code)) == 1


@pytest.mark.usefixtures("short_recipe")
def test_the_python_in_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = fenced(README, "python")
    search, distill = raydistill.search, raydistill.distill
    found: list[Any] = []

    def short(*given: Any, overrides: list[str], **words: Any) -> Any:
        more = [*overrides, *SHORT, "budget.trials=1", "method.random_inits=2"]
        found.append(search(*given, overrides=more, local=True, **words))
        return found[-1]

    def one(*given: Any, overrides: list[str], **words: Any) -> Any:
        return distill(*given, overrides=[*overrides, *SHORT, "method.random_inits=2"], **words)

    monkeypatch.setattr(raydistill, "search", short)
    monkeypatch.setattr(raydistill, "distill", one)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})  # the example as it stands, with its own print
    said = capsys.readouterr().out
    assert "torch.Size([100, 1, 8, 8]) " in said
    (result,) = found
    assert said.startswith(f"{result.verdict} {result.smallest_lossless_ipc} {result.reason}\n")
    assert (result.verdict == "lossless") == (result.smallest_lossless_ipc is not None)


@pytest.mark.usefixtures("short_recipe")
def test_the_search_of_own_images_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two classes of 60 small noisy images, the one dark and the other light."""
    generator = np.random.default_rng(0)
    for name, level in (("cats", 60), ("dogs", 190)):
        (tmp_path / "my_images" / name).mkdir(parents=True)
        for index in range(60):
            pixels = generator.normal(level, 25, (34, 40)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "my_images" / name / f"{index}.png")
    (line,) = re.findall(r"^raydistill (search image_folder .*)$", README, flags=re.MULTILINE)
    words = shlex.split(line.replace("/home/me", str(tmp_path)))
    shared = [override for override in SHORT if not override.startswith("method.")]
    methods = [f"methods.{name}.{field}" for name in ("datadam", "dm") for field in ("random_inits=2", "batch_real=8")]
    more = [*shared, *methods, "budget.trials=3", "ipc.high=3", "controls=[random]"]
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*words, "--local", *(word for override in more for word in ("--set", override))])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "studies" / "my-images" / "result.json").is_file()
