"""Help and completion: an example for every command, one that parses, answered without anything heavy."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from raydistill.catalogue import shipped_spaces
from raydistill.cli import app
from raydistill.cli.completion import complete_space, complete_study

WIDEST = 78
"""A longer line is wrapped by the help on a terminal of 80 columns, and cannot be copied then."""


def commands(command: Any, name: str = "") -> dict[str, Any]:
    """Every command by its words, the program itself by none."""
    found = {name: command}
    for below, child in getattr(command, "commands", {}).items():
        found |= commands(child, f"{name} {below}".strip())
    return found


COMMANDS = commands(typer.main.get_command(app))


def parse(words: list[str]) -> str:
    """The name of the command that takes these words; click raises for what it does not know."""
    command: Any = typer.main.get_command(app)
    name = ""
    while words and words[0] in getattr(command, "commands", {}):
        name, command, words = f"{name} {words[0]}".strip(), command.commands[words[0]], words[1:]
    command.make_context(name, words)
    return name


def examples(command: Any) -> list[str]:
    return [line.removeprefix("Example: ") for line in (command.epilog or "").splitlines() if line.startswith("Example: ")]


@pytest.mark.parametrize("name", COMMANDS, ids=lambda name: name or "raydistill")
def test_the_help_of_every_command_has_an_example_that_parses(name: str) -> None:
    (example,) = examples(COMMANDS[name])
    assert len(f"Example: {example}") <= WIDEST
    program, *words = shlex.split(example.partition(" > ")[0])
    assert program == "raydistill"
    assert f"{parse(words)} ".startswith(f"{name} ".lstrip())


@pytest.mark.parametrize("name", COMMANDS, ids=lambda name: name or "raydistill")
def test_the_example_is_on_the_screen_in_one_line(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert result.exit_code == 0
    (example,) = examples(COMMANDS[name])
    assert f"Example: {example}" in [line.strip() for line in result.output.splitlines()]


def loaded_by(arguments: list[str], **environment: str) -> tuple[str, str]:
    """What a command prints, and which heavy packages it has loaded when it ends."""
    code = (
        "import atexit, sys\n"
        "heavy = {'torch', 'ray', 'optuna', 'pandas', 'sklearn'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
        "from raydistill.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    return done.stdout, done.stderr.strip()


@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    said, loaded = loaded_by(arguments)
    assert "Usage: raydistill" in said
    assert loaded == "[]"


def test_a_shell_completes_shipped_spaces_and_loads_nothing_heavy() -> None:
    said, loaded = loaded_by(
        [],
        _RAYDISTILL_COMPLETE="complete_bash",
        COMP_WORDS="raydistill search digits_d",
        COMP_CWORD="2",
    )
    assert said.split() == ["digits_datadam", "digits_datadam_bilevel", "digits_datm", "digits_dc", "digits_dm"]
    assert loaded == "[]"


def test_a_shell_completes_the_studies_of_the_store(tmp_path: Path) -> None:
    for name in ("digits-dm", "digits-dc", "mnist-dm"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "search_space.yaml").write_text("")
    (tmp_path / "digits-no-study").mkdir()
    said, _ = loaded_by(
        [],
        _RAYDISTILL_COMPLETE="complete_bash",
        COMP_WORDS=f"raydistill status --store {tmp_path} digits",
        COMP_CWORD="4",
    )
    assert said.split() == ["digits-dc", "digits-dm"]


def test_the_studies_of_a_remote_store_are_not_asked_for() -> None:
    context = typer.Context(COMMANDS["status"])
    context.params["store"] = "s3://bucket/studies"
    assert complete_study(context, "") == []


def test_the_spaces_that_are_completed_are_the_shipped_ones() -> None:
    assert complete_space("") == sorted(shipped_spaces())
