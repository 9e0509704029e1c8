"""What MkDocs does beside its own work: pages of files that lie outside docs/, and links to their lines.

The guides link to the repository as it lies (`../raydistill/core/lossless.py#gap_interval`), so that the links work where the
files are read as they are. On the site each file that is linked to becomes a page of its own, and a name after the `#` becomes
the line where the file defines it.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
RESULTS = {f"benchmarks/results/{path.name}": f"results-{path.name}" for path in sorted(ROOT.glob("benchmarks/results/*.md"))}
BROUGHT_IN = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/RESULTS.md": "results.md",
    **RESULTS,
}
"""Documents outside docs/ to the pages that they become."""
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".sh": "bash"}


def on_files(files: Files, config: Any) -> Files:
    """Add the documents from outside docs/, and a page for every other file that a page links to."""
    from mkdocs.structure.files import File

    pages = {f"docs/{file.src_uri}": (ROOT / "docs" / file.src_uri).read_text("utf-8") for file in files.documentation_pages()}
    pages |= {path: (ROOT / path).read_text("utf-8") for path in BROUGHT_IN}
    for path, page in BROUGHT_IN.items():
        files.append(File.generated(config, page, content=pages[path]))
    linked = {target for path, text in pages.items() for target, _ in targets(text, path)}
    for target in sorted(linked - set(pages) - {"README.md"}):
        if not target.startswith("docs/"):
            files.append(File.generated(config, page_of(target), content=source_page(target)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    del config, files
    origins = {brought: path for path, brought in BROUGHT_IN.items()}
    path = origins.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return markdown if path.startswith("docs/source/") else with_links_of_the_site(markdown, path)


def with_links_of_the_site(markdown: str, path: str) -> str:
    """The text of a document with its relative links turned into links between pages, which all lie in one folder.

    Args:
        markdown: the text.
        path: of the document, from the root of the repository.
    """

    def rewritten(match: re.Match[str]) -> str:
        link = match.group(1)
        if "://" in link or link.startswith(("#", "mailto:")):
            return link
        target, _, name = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if target.startswith("docs/"):
            return target.removeprefix("docs/") + (f"#{name}" if name else "")
        if target in BROUGHT_IN or target == "README.md":
            return BROUGHT_IN.get(target, "index.md") + (f"#{name}" if name else "")
        return f'{page_of(target)} "line {line_of(ROOT / target, name)}"' if name else page_of(target)

    return LINK.sub(rewritten, markdown)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Point links to a line of a file at that line; MkDocs itself knows no anchors inside of code."""
    del page, config, files
    return re.sub(r'href="([^"]*)" title="line (\d+)"', r'href="\1#line-0-\2" title="line \2"', html)


def targets(text: str, path: str) -> Iterator[tuple[str, str]]:
    """Path from the root of the repository, and the name after the `#`, of every relative link of a page."""
    for link in LINK.findall(text):
        if "://" not in link and not link.startswith(("#", "mailto:")):
            target, _, name = link.partition("#")
            yield posixpath.normpath(posixpath.join(posixpath.dirname(path), target)), name


def page_of(target: str) -> str:
    """The page of a file of the repository."""
    return f"source/{target}.md"


def source_page(target: str) -> str:
    """A file as a page with numbered lines; a folder as the list of what lies in it."""
    if (ROOT / target).is_dir():
        names = sorted(path.name for path in (ROOT / target).iterdir() if path.is_file())
        return f"# {target}\n\n" + "\n".join(f"- `{name}`" for name in names) + "\n"
    text = (ROOT / target).read_text(encoding="utf-8")
    language = LANGUAGES.get(Path(target).suffix, "text")
    return f'---\nsearch: {{exclude: true}}\n---\n\n# {target}\n\n~~~~~{{.{language} linenums="1"}}\n{text}\n~~~~~\n'


def line_of(path: Path, name: str) -> int:
    """The line at which a Python file defines a name, `function`, `Class` or `Class.field`.

    Raises:
        ValueError: it defines no such name.
    """
    body = ast.parse(path.read_text(encoding="utf-8")).body
    line = 0
    for part in name.split("."):
        found = [node for node in body if part in names_of(node)]
        if not found:
            raise ValueError(f"{path.relative_to(ROOT)} defines no {name}; correct the link")
        line, body = found[0].lineno, getattr(found[0], "body", [])
    return line


def names_of(node: ast.stmt) -> set[str]:
    """The names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    assigned = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {name.id for target in assigned for name in ast.walk(target) if isinstance(name, ast.Name)}
