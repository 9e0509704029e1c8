"""The documents of the repository, and what is found in them: code blocks, links, commands. Shared by their tests."""

from __future__ import annotations

import dataclasses
import functools
import re
import shlex
from pathlib import Path
from typing import Any

import typer

from raydistill.catalogue import known
from raydistill.cli import app
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.known import Known
from raydistill.spaces.sections import DatasetConfig

ROOT = Path(__file__).parent.parent
FOLDERS = (".", "benchmarks", "benchmarks/results", "docs")
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))
SPACES = sorted(path.stem for path in ROOT.glob("search_spaces/*.yaml"))
FACTS = {
    "mnist": DataFacts(smallest_class=4500, confirm_images=5000),
    "fashion_mnist": DataFacts(smallest_class=5000, confirm_images=5000),
    "image_folder": DataFacts(smallest_class=400, confirm_images=500),
    "cifar10": DataFacts(smallest_class=4250, confirm_images=5000),
    "cifar100": DataFacts(smallest_class=425, confirm_images=5000),
}
"""Data sets that are not inside a wheel; a space over one is checked against these."""


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def links_in(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", without_blocks(text))


def shell_lines(text: str) -> list[list[str]]:
    """The commands of the shell blocks of a document as words; one whose quotes are open goes on in the next line."""
    commands, begun = [], ""
    for line in "\n".join(fenced(text, "sh")).splitlines():
        begun += line
        try:
            words = shlex.split(begun, comments=True)
        except ValueError:
            begun += "\n"
            continue
        commands, begun = [*commands, words], ""
    return [words for words in commands if words]


def commands_in(text: str) -> list[list[str]]:
    """Every `raydistill ...` in a code span, a shell block or inside its quotes, as words."""
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", without_blocks(text))]
    spans += [line for block in fenced(text, "sh") for line in block.splitlines()]
    found = [match.group(1) for span in spans for match in re.finditer(r"(?:^|['\s])raydistill ([^'#]*)", span)]
    return [shlex.split(command) for command in found]


@functools.cache
def program() -> Any:
    """The program as click has it; typer builds it anew at each call."""
    return typer.main.get_command(app)


def find_command(words: list[str]) -> tuple[Any, str, list[str]]:
    """The command that words begin with (None if there is none), its name, and the words after it."""
    group = program()
    name, *rest = words
    command = group.commands.get(name)
    below = getattr(command, "commands", {})
    if rest and rest[0] in below:
        return below[rest[0]], f"{name} {rest[0]}", rest[1:]
    return command, name, rest


@functools.cache
def offline_known() -> Known:
    """What this installation knows, with the sizes of data sets that would have to be fetched."""
    here = known(None)

    def data_facts(config: DatasetConfig) -> DataFacts:
        return FACTS[config.name] if config.name in FACTS else here.data_facts(config)

    return dataclasses.replace(here, data_facts=data_facts)
