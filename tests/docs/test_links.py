"""Every link, anchor and path in the documents leads somewhere."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from urllib.parse import urlparse

import pytest
from documents import DOCUMENTS, ROOT, links_in, text_of, without_blocks

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
import hooks

AS_IT_WAS = ("CHANGELOG.md",)
"""Documents that tell of the past, and may name files that are gone."""


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MkDocs make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors_in(text: str) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", without_blocks(text), flags=re.MULTILINE)}


def broken_links(text: str, path: Path) -> list[str]:
    """Relative links of a document whose file, heading, or name in a Python file does not exist."""
    broken = []
    for link in links_in(text):
        target, _, anchor = link.partition("#")
        if "://" in link:
            continue
        file = path.parent / target
        known = anchors_in(text) if not target else {anchor} if not anchor else anchors_of(file, anchor)
        if not file.exists() or (anchor and anchor not in known):
            broken.append(link)
    return broken


def anchors_of(file: Path, wanted: str) -> set[str]:
    """The anchors of a page; of a Python file the wanted one, if it is defined there."""
    if not file.is_file():
        return set()
    if file.suffix != ".py":
        return anchors_in(file.read_text(encoding="utf-8"))
    try:
        hooks.line_of(file, wanted)
    except ValueError:
        return set()
    return {wanted}


def malformed_addresses(text: str) -> list[str]:
    """External links that are not https, or have no host."""
    outside = [link for link in links_in(text) if "://" in link]
    return [link for link in outside if urlparse(link).scheme != "https" or "." not in urlparse(link).netloc]


def missing_paths(text: str) -> list[str]:
    """Paths of this repository that a document names and that lead nowhere."""
    named = re.findall(r"(?<![\w./<>-])((?:raydistill|tests|benchmarks|search_spaces|docs)/[\w./-]*\w/?)", text)
    return [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_somewhere(document: str) -> None:
    assert broken_links(text_of(document), ROOT / document) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_external_link_is_well_formed(document: str) -> None:
    assert malformed_addresses(text_of(document)) == []


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name not in AS_IT_WAS])
def test_every_path_named_exists(document: str) -> None:
    assert missing_paths(text_of(document)) == []


def test_every_picture_has_an_alternative_text_and_is_small() -> None:
    for document in DOCUMENTS:
        for words, target in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", text_of(document)):
            assert len(words.split()) >= 8, (document, words)
            assert ((ROOT / document).parent / target).stat().st_size < 150_000, target


def test_every_guide_is_in_the_navigation() -> None:
    pages = re.findall(r"^ +- [^:]+: (\S+\.md)$|^  - [^:]+: (\S+\.md)$", text_of("mkdocs.yml"), flags=re.MULTILINE)
    named = {name for pair in pages for name in pair if name}
    assert named == {name.removeprefix("docs/") for name in DOCUMENTS if name.startswith("docs/")} | {*hooks.BROUGHT_IN.values()}


def test_the_readme_leads_to_every_guide_but_the_first_page() -> None:
    guides = {name for name in DOCUMENTS if name.startswith("docs/")} - {"docs/index.md"}
    assert guides - {link.partition("#")[0] for link in links_in(text_of("README.md"))} == set()


def walks(text: str) -> dict[str, list[str]]:
    """Walk to the files that it opens, as the section Four walks of CONTRIBUTING.md numbers them."""
    section = text.partition("## Four walks\n")[2].partition("\n## ")[0]
    parts = re.split(r"^\*\*(.+?)\*\*", section, flags=re.MULTILINE)[1:]
    return {
        name: re.findall(r"^\d\. (.+)$", body, flags=re.MULTILINE) for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


def test_no_walk_opens_more_than_six_files() -> None:
    found = walks(text_of("CONTRIBUTING.md"))
    assert len(found) == 4
    assert all(2 <= len(files) <= 6 for files in found.values()), found


def test_every_name_of_a_walk_is_in_its_file() -> None:
    for files in walks(text_of("CONTRIBUTING.md")).values():
        for line in files:
            path = re.match(r"`([\w/]+\.py)`: ", line)
            for name in re.findall(r"`([\w.]+)`", line.partition(": ")[2]) if path else []:
                names = {n for node in ast.walk(ast.parse(text_of(path.group(1)))) for n in names_in(node)} if path else set()
                assert name.rpartition(".")[2] in names, (line, name)


def names_in(node: ast.AST) -> set[str]:
    return {str(getattr(node, field)) for field in ("id", "attr", "name") if hasattr(node, field)}


@pytest.mark.parametrize(
    ("complaints", "expected"),
    [
        (lambda: broken_links("[a](README.md) [b](absent.md) [c](https://x.org/y)", ROOT / "x.md"), ["absent.md"]),
        (lambda: broken_links("# Two words\n[a](#two-words) [b](#three)", ROOT / "x.md"), ["#three"]),
        (lambda: broken_links("[a](raydistill/errors.py#InputErorr)", ROOT / "x.md"), ["raydistill/errors.py#InputErorr"]),
        (lambda: broken_links("```\n[a](absent.md)\n```\n", ROOT / "x.md"), []),
        (lambda: malformed_addresses("[a](https://x.org/y) [b](http://x.org) [c](https://x)"), ["http://x.org", "https://x"]),
        (lambda: missing_paths("`raydistill/absent.py`, raydistill/errors.py and docs/."), ["raydistill/absent.py"]),
    ],
    ids=["file", "heading", "name", "block", "address", "path"],
)
def test_each_check_can_fail(complaints, expected: list[str]) -> None:
    assert complaints() == expected
