"""What the documents say holds: links, commands, options, make targets, spaces, Python examples."""

import ast
import dataclasses
import inspect
import re
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import typer

import raydistill
from raydistill.catalogue import known
from raydistill.cli import app
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.parse import Known, parse_space
from raydistill.spaces.sections import DatasetConfig

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPACES = sorted(path.stem for path in ROOT.glob("search_spaces/*.yaml"))
FACTS = {
    "mnist": DataFacts(smallest_class=4500, confirm_images=5000),
    "fashion_mnist": DataFacts(smallest_class=5000, confirm_images=5000),
    "image_folder": DataFacts(smallest_class=400, confirm_images=500),
    "cifar10": DataFacts(smallest_class=4250, confirm_images=5000),
    "cifar100": DataFacts(smallest_class=425, confirm_images=5000),
}
"""Data sets that are not inside a wheel; a space over one is checked against these."""
INDEX_HOSTS = re.compile("|".join([r"py" r"pi\.org", r"python" r"hosted\.org", r"npm" r"js\.(org|com)", r"deb\.deb" r"ian\.org"]))


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def broken_links(text: str, folder: Path) -> list[str]:
    """Relative link targets that do not exist."""
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in links if "://" not in link and not (folder / link.partition("#")[0]).exists()]


def commands_in(text: str) -> list[list[str]]:
    """Every `raydistill ...` in a code span, a shell block or inside its quotes, as words."""
    spans = re.findall(r"`([^`\n]+)`", text) + [line for block in fenced(text, "sh") for line in block.splitlines()]
    found = [match.group(1) for span in spans for match in re.finditer(r"(?:^|['\s])raydistill ([^'#]*)", span)]
    return [shlex.split(command) for command in found]


def unknown_commands(text: str) -> list[str]:
    """Commands, and options of commands, that the program does not have."""
    group = typer.main.get_command(app)
    complaints = []
    for name, *words in commands_in(text):
        command = group.commands.get(name)
        if words and words[0] in getattr(command, "commands", {}):
            name, command = f"{name} {words[0]}", command.commands[words[0]]
        if command is None and name not in ("COMMAND", "--help", "--version"):
            complaints.append(f"raydistill {name}")
        elif command is not None:
            options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            complaints += [f"raydistill {name} {word}" for word in words if word.startswith("--") and word not in options]
    return complaints


def unknown_targets(text: str) -> list[str]:
    """`make` targets that the Makefile does not have."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    lines = "\n".join(fenced(text, "sh"))
    named = re.findall(r"^make ([a-z-]+)", lines, flags=re.MULTILINE) + re.findall(r"`make ([a-z-]+)", text)
    return [target for target in named if target not in targets]


def index_hosts(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Names of texts that name the host of a package index; which one is used is the business of each machine."""
    return [name for name, text in texts if INDEX_HOSTS.search(text)]


def offline_known() -> Known:
    """What this installation knows, with the sizes of data sets that would have to be fetched."""
    here = known(None)

    def data_facts(config: DatasetConfig) -> DataFacts:
        return FACTS[config.name] if config.name in FACTS else here.data_facts(config)

    return dataclasses.replace(here, data_facts=data_facts)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_somewhere(document: str) -> None:
    path = ROOT / document
    assert broken_links(path.read_text(encoding="utf-8"), path.parent) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_named_exists_with_its_options(document: str) -> None:
    assert unknown_commands((ROOT / document).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_named_exists(document: str) -> None:
    assert unknown_targets((ROOT / document).read_text(encoding="utf-8")) == []


def test_every_command_is_in_the_readme() -> None:
    named = {" ".join(words[:length]) for words in commands_in(README) for length in (1, 2)}
    commands = typer.main.get_command(app).commands
    below = {f"{name} {sub}" for name, command in commands.items() for sub in getattr(command, "commands", {})}
    assert {*commands, *below} - named == set()


def test_no_tracked_file_names_a_package_index() -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [(name, ROOT / name) for name in names if (ROOT / name).is_file()]
    assert len(files) > 20
    assert index_hosts((name, path.read_text(encoding="utf-8", errors="ignore")) for name, path in files) == []


@pytest.mark.parametrize("name", SPACES)
def test_every_shipped_space_is_free_of_mistakes(name: str) -> None:
    space = parse_space((ROOT / "search_spaces" / f"{name}.yaml").read_text(encoding="utf-8"), offline_known())
    assert space.study == name.replace("_", "-")


def test_the_space_in_the_readme_is_free_of_mistakes() -> None:
    (text,) = fenced(README, "yaml")
    assert parse_space(text, offline_known()).study == "digits-datadam"


def test_the_python_in_the_readme_calls_what_there_is() -> None:
    (code,) = fenced(README, "python")
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    called = [(call.func.attr, call) for call in calls if ast.unparse(call.func.value) == "raydistill"]
    assert {name for name, _ in called} == {"search", "distill", "evaluate"}
    for name, call in called:
        signature = inspect.signature(getattr(raydistill, name))
        signature.bind(*call.args, **{keyword.arg: keyword.value for keyword in call.keywords})


@pytest.mark.parametrize(
    ("complaints", "expected"),
    [
        (lambda: broken_links("[a](README.md) [b](absent.md) [c](https://x.org/y)", ROOT), ["absent.md"]),
        (lambda: unknown_commands("`raydistill serach x`"), ["raydistill serach"]),
        (lambda: unknown_commands("```sh\nray exec 'raydistill search x --locl'\n```"), ["raydistill search --locl"]),
        (lambda: unknown_targets("```sh\nmake tset\n```"), ["tset"]),
        (lambda: index_hosts([("a", "see https://py" + "pi.org/x"), ("b", "the package index")]), ["a"]),
    ],
    ids=["link", "command", "option", "target", "index"],
)
def test_each_check_can_fail(complaints, expected: list[str]) -> None:
    assert complaints() == expected
