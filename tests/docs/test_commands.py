"""Every command in the documents is one that the program takes; those that are cheap are run."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from documents import DOCUMENTS, ROOT, SPACES, commands_in, fenced, find_command, offline_known, shell_lines, text_of
from typer.testing import CliRunner

from raydistill.cli import app
from raydistill.errors import CorrectableError
from raydistill.methods import METHODS
from raydistill.spaces.parse import parse_space

COMMANDS = "docs/commands.md"
RUN = ("raydistill spaces", "raydistill reproduce --flops-only", "raydistill reproduce --ledger", "raydistill experts list")
"""Those of the documents that train nothing and need no file."""
UsageError: Any = typer.BadParameter.__base__
"""What typer raises for a line that it cannot take; it exports no name for it."""
PROGRAMS = frozenset(
    {"raydistill", "ray", "make", "pip", "python", "grafana-server", ".venv/bin/pre-commit", "OMP_NUM_THREADS=1"}
    | {"docker", "kubectl", "export", "sbatch", "mkdir", "~/raydistill-env/bin/pip"}
)
"""What a line of a shell block may begin with."""


def unknown_commands(text: str) -> list[str]:
    """Commands, and options of commands, that the program does not have."""
    complaints = []
    for words in commands_in(text):
        command, name, rest = find_command(words)
        if command is None and name not in ("COMMAND", "--help", "--version", "--install-completion"):
            complaints.append(f"raydistill {name}")
        elif command is not None:
            options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            complaints += [f"raydistill {name} {word}" for word in rest if word.startswith("--") and word not in options]
    return complaints


def refused_lines(text: str) -> list[str]:
    """Commands in shell blocks that the program does not take as they stand: arguments that lack, values of another kind."""
    complaints = []
    for words in shell_lines(text):
        command, name, rest = find_command(words[1:]) if words[0] == "raydistill" else (None, "", [])
        if command is None:
            continue
        try:
            command.make_context(name, list(rest))
        except UsageError as error:
            complaints.append(f"{' '.join(words)}: {error.format_message()}")
    return complaints


def refused_spaces(text: str) -> list[str]:
    """Names of shipped spaces that are none, overrides that their spaces do not take, and methods that are none."""
    complaints = []
    for words in commands_in(text):
        _, name, rest = find_command(words)
        if name not in ("search", "plan", "submit", "compare", "experts build") or not re.fullmatch(
            r"[a-z0-9_]+", " ".join(rest[:1])
        ):
            continue
        complaints += mistakes_in(rest[0], [word for option, word in pairwise(rest) if option == "--set"])
        methods = [word for option, word in pairwise(rest) if option == "--methods"]
        complaints += [f"no method {m}" for joined in methods for m in joined.split(",") if m not in METHODS and m not in SPACES]
    return complaints


def mistakes_in(space: str, overrides: list[str]) -> list[str]:
    if space not in SPACES:
        return [f"no space {space}"]
    given = [override for override in overrides if not re.search(r"=[A-Z]$", override)]  # P stands for several values
    try:
        parse_space(text_of(f"search_spaces/{space}.yaml"), offline_known(), source=space, overrides=given)
    except CorrectableError as error:
        return [str(error)]
    return []


def unknown_lines(text: str) -> list[str]:
    """Lines of shell blocks whose program is none of the known, and scripts and extras that are not there."""
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
    complaints = []
    for words in shell_lines(text):
        scripts = [word for word in words if words[0] == "python" and word.endswith(".py") and not (ROOT / word).is_file()]
        named = {extra for word in words if words[0] == "pip" for extra in re.findall(r"\[(\w+)\]", word)}
        if words[0] not in PROGRAMS or scripts or named - set(extras):
            complaints.append(" ".join(words))
    return complaints


def unknown_targets(text: str) -> list[str]:
    """`make` targets that the Makefile does not have."""
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), flags=re.MULTILINE))
    named = re.findall(r"^make ([a-z-]+)", "\n".join(fenced(text, "sh")), flags=re.MULTILINE)
    return [target for target in named + re.findall(r"`make ([a-z-]+)", text) if target not in targets]


@pytest.mark.parametrize("check", [unknown_commands, refused_lines, refused_spaces, unknown_lines, unknown_targets])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_in_the_documents_can_be_given(check, document: str) -> None:
    assert check(text_of(document)) == []


def test_every_command_has_its_line_in_the_guide() -> None:
    named = {" ".join(words[:length]) for words in commands_in(text_of(COMMANDS)) for length in (1, 2)}
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    below = {f"{name} {sub}" for name, command in commands.items() for sub in getattr(command, "commands", {})}
    assert {*commands, *below} - named == set()


@pytest.mark.parametrize("line", RUN)
def test_a_command_that_trains_nothing_runs_as_it_stands(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any(line.split()[1:] == words[: len(line.split()) - 1] for d in DOCUMENTS for words in commands_in(text_of(d)))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, line.split()[1:])
    assert (result.exit_code, bool(result.output.strip())) == (0, True), result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("complaints", "expected"),
    [
        (lambda: unknown_commands("`raydistill serach x`"), "raydistill serach"),
        (lambda: unknown_commands("```sh\nray exec 'raydistill search x --locl'\n```"), "raydistill search --locl"),
        (lambda: refused_lines("```sh\nraydistill search\n```"), "raydistill search: Missing argument"),
        (
            lambda: refused_lines("```sh\nraydistill compare x --methods dm --ipc ten\n```"),
            "unable to parse string as an integer",
        ),
        (lambda: refused_spaces("`raydistill search digits_datadm`"), "no space digits_datadm"),
        (lambda: refused_spaces("`raydistill search digits_datadam --set ipc.hgih=4`"), "ipc.hgih"),
        (lambda: refused_spaces("`raydistill compare digits_dm --methods dm,dx --ipc 1`"), "no method dx"),
        (lambda: unknown_lines("```sh\npython benchmarks/absent.py\n```"), "python benchmarks/absent.py"),
        (lambda: unknown_lines("```sh\npip install '.[absent]'\n```"), "pip install .[absent]"),
        (lambda: unknown_targets("```sh\nmake tset\n```"), "tset"),
    ],
    ids=["command", "option", "argument", "value", "space", "override", "method", "script", "extra", "target"],
)
def test_each_check_can_fail(complaints, expected: str) -> None:
    (complaint,) = complaints()
    assert expected in complaint
