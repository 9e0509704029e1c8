"""Finds what a person names: search spaces, shipped or their own, read against what this installation knows, and studies."""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from raydistill.errors import InputError
from raydistill.spaces.parse import Known, parse_space, read_space
from raydistill.spaces.space import SearchSpace
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store

EDITORS_LINE = "yaml-language-server:"
"""Begins the comment that names a space's schema to editors."""


def load_space(source: str | Path | Mapping[str, Any], overrides: Sequence[str], data_root: DataRoot) -> SearchSpace:
    """The checked space in a YAML file, a shipped one by name, or a document, after `path.to.field=value` overrides.

    Raises:
        InputError: there is no such space.
        SpaceError: it has mistakes; all of them together.
    """
    if isinstance(source, Mapping):
        return parse_space(yaml.safe_dump(dict(source), sort_keys=False), known(data_root), overrides=overrides)
    path = find_space(str(source))
    return read_space(path, known(data_root), overrides)


def known(data_root: DataRoot) -> Known:
    """The methods, data sets, recipes and checks of this installation."""
    from raydistill.core.lossless import smallest_margin
    from raydistill.core.recipes import EPOCH_RECIPES, RECIPES
    from raydistill.data.splits import NAMES, data_facts
    from raydistill.methods import method_configs

    return Known(
        methods=method_configs(),
        datasets=NAMES,
        recipes=RECIPES,
        epoch_recipes=EPOCH_RECIPES,
        data_facts=functools.partial(data_facts, data_root=data_root),
        smallest_margin=smallest_margin,
    )


def shipped_spaces() -> dict[str, Path]:
    """Files of the shipped spaces by name: beside the modules once installed, beside the package in a checkout."""
    package = Path(__file__).parent
    folders = (package / "search_spaces", package.parent / "search_spaces")
    folder = next((folder for folder in folders if folder.is_dir()), folders[0])
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def described_spaces() -> dict[str, str]:
    """What each shipped space is for, by name: the first comment line of its file after the one for editors."""
    described = {}
    for name, path in shipped_spaces().items():
        comments = [line[1:].strip() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        described[name] = next((line for line in comments if not line.startswith(EDITORS_LINE)), "")
    return described


def space_schema() -> str:
    """The JSON Schema of a search space that this installation reads, as indented text."""
    from raydistill.spaces.schema import schema_of

    return json.dumps(schema_of(known(None)), indent=1) + "\n"


def find_space(file_or_name: str) -> Path:
    """The file of a space.

    Raises:
        InputError: it is neither a file nor the name of a shipped space.
    """
    path = Path(file_or_name).expanduser()
    if path.is_file():
        return path
    shipped = shipped_spaces()
    if file_or_name in shipped:
        return shipped[file_or_name]
    raise InputError(
        f"{file_or_name} is neither a file nor a shipped search space; {did_you_mean(path.stem, shipped)}"
        f"Shipped: {', '.join(shipped) or 'none'}. Give one of these, or the path of a YAML file"
    )


def find_study(given: str, store: str) -> Store:
    """The study in a folder or URI, or the one of that name in a store.

    Raises:
        InputError: there is none.
    """
    for study in (Store(given), Store(f"{store.rstrip('/')}/{given}")):
        if study.exists("search_space.yaml"):
            return study
    names = Store(store).folders(".")
    raise InputError(
        f"{given} is no study (it has no search_space.yaml), nor is {store}/{given}; {did_you_mean(given, names)}"
        f"Studies in {store}: {', '.join(names) or 'none'}. Give one of these, or a folder <store>/<study>"
    )


def find_file(path: str, name: str) -> tuple[Store, str]:
    """The folder of a file and its name there; a path that ends otherwise than `name` is the folder of the file of that name.

    Raises:
        InputError: it is a file of another kind.
    """
    ending = Path(name).suffix
    if not path.endswith(ending) and Path(path).is_file():
        raise InputError(f"{path} is no {ending} file; give {name}, or the folder that holds it")
    folder, _, last = (path if path.endswith(ending) else f"{path.rstrip('/')}/{name}").rpartition("/")
    return Store(folder or ("/" if path.startswith("/") else ".")), last


def did_you_mean(given: str, allowed: Collection[str]) -> str:
    """A question that names the nearest of the allowed names, with a space behind; empty if none is near."""
    near = difflib.get_close_matches(given, allowed, n=1)
    return f"did you mean {near[0]!r}? " if near else ""
