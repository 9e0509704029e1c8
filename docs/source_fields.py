"""Reads the fields of config classes from the source of the package, and writes them as rows of a table. Nothing is imported."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
BOUNDS = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "below {}"}
PLAIN_TYPES = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "`true` or `false`",
    "None": "`null`",
    "tuple[NonNegativeInt, NonNegativeInt]": "list of two whole numbers from 0",
    "tuple[Share, Share]": "list of two numbers from 0 to 1",
    "tuple[Level, Level, Level]": "list of three whole numbers from 0 to 255",
    "tuple[float, float]": "list of two numbers",
    "tuple[str, ...]": "list of texts",
    "Curriculum": "section",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field of a config."""

    name: str
    annotation: str
    bounds: dict[str, str]
    default: str | None
    """As YAML; None for a field that must be given."""
    meaning: str


def classes_of(tree: ast.Module) -> Iterator[ast.ClassDef]:
    """The classes that a module defines, in order."""
    return (node for node in tree.body if isinstance(node, ast.ClassDef))


def class_in(path: Path, name: str) -> ast.ClassDef:
    """The definition of a class in a file.

    Raises:
        ValueError: the file has no such class.
    """
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise ValueError(f"{path} has no class {name}; correct the comment in the page")


def fields_of(node: ast.ClassDef) -> list[Field]:
    """The fields that a class itself defines, in order; the `name` of a method or network is left out."""
    found = []
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        annotation = ast.unparse(statement.annotation)
        name, meaning = statement.target.id, _text_of(following)
        if annotation.startswith("ClassVar") or (name == "name" and annotation.startswith("Literal")):
            continue
        default, bounds = _default_and_bounds(statement.value)
        found.append(Field(name=name, annotation=annotation, bounds=bounds, default=default, meaning=meaning))
    return found


def _default_and_bounds(value: ast.expr | None) -> tuple[str | None, dict[str, str]]:
    if value is None:
        return None, {}
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "Field"):
        return _as_yaml(value), {}
    words = {word.arg: word.value for word in value.keywords if word.arg}
    bounds = {name: ast.unparse(words[name]).replace(" ** ", "^") for name in BOUNDS if name in words}
    return (_as_yaml(words["default"]) if "default" in words else None), bounds


def _as_yaml(value: ast.expr) -> str:
    try:
        plain = ast.literal_eval(value)
    except ValueError:  # a constant of the module, or a sum
        return ast.unparse(value)
    if isinstance(plain, bool) or plain is None:
        return {True: "true", False: "false", None: "null"}[plain]
    if isinstance(plain, float):
        # YAML reads 1e-05 as text.
        return re.sub(r"^(-?\d+)e", r"\1.0e", str(plain))
    return str(list(plain)) if isinstance(plain, tuple) else str(plain)


def _in_words(annotation: str, bounds: dict[str, str]) -> str:
    options = []
    for named in annotation.split(" | "):
        option, own = aliases().get(named, (named, {}))
        if literal := re.fullmatch(r"Literal\[(.*)\]", option):
            options += [f"`{name.strip()}`" for name in literal.group(1).replace("'", "").split(",")]
        else:
            asked = {**own, **bounds}.items() if option in ("int", "float") else ()
            limits = " ".join(BOUNDS[name].format(bound) for name, bound in asked)
            options.append(f"{PLAIN_TYPES[option]} {limits}".strip())
    return ", ".join(options)


@functools.cache
def aliases() -> dict[str, tuple[str, dict[str, str]]]:
    """Names that the package gives to types of fields, each with its type and bounds: `GradientKind` to `Literal[...]`."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for path in [file for room in ("core", "methods") for file in sorted((ROOT / "raydistill" / room).rglob("*.py"))]:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
                continue
            written = ast.unparse(node.value)
            if re.fullmatch(r"Literal\[[^]]*\]", written):
                found[node.targets[0].id] = (written, {})
            elif match := re.match(r"Annotated\[(\w+),", written):
                assert isinstance(node.value, ast.Subscript)
                assert isinstance(node.value.slice, ast.Tuple)
                found[node.targets[0].id] = (match.group(1), _default_and_bounds(node.value.slice.elts[1])[1])
    return found


def _text_of(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str):
        return " ".join(statement.value.value.split())
    return ""


def row(*cells: str) -> str:
    """A row of a table in Markdown."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    return "\n".join([row(*head), row(*["---"] * len(head)), *(row(*cells) for cells in rows)])


def keys(file: str, name: str) -> str:
    """A row per key that a person may write: what it takes, its default, what it means."""
    return table(KEY_HEAD, key_rows(file, name))


KEY_HEAD = ("key", "takes", "default", "meaning")


def key_rows(file: str, name: str) -> Iterator[tuple[str, ...]]:
    """The rows of `keys`, under `KEY_HEAD`."""
    for f in fields_of(class_in(ROOT / file, name)):
        key = f"[`{f.name}`](../{file}#{name}.{f.name})"
        yield key, _in_words(f.annotation, f.bounds), _shown_default(f.default), f.meaning


def _shown_default(default: str | None) -> str:
    return "must be given" if default is None else f"`{default}`"
