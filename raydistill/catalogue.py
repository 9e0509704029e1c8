"""Finds search spaces and studies by name or path, and lists the methods, data sets and recipes of this installation."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from raydistill.errors import DataError, InputError
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.known import Known
from raydistill.spaces.parse import parse_space, read_space
from raydistill.spaces.paths import given_path
from raydistill.spaces.sections import DatasetConfig, ImageFolderConfig
from raydistill.spaces.space import SearchSpace
from raydistill.storage.data_root import DataRoot
from raydistill.storage.layout import SPACE_FILE
from raydistill.storage.store import Store

EDITORS_LINE = "yaml-language-server:"
"""Begins the comment that names a space's schema to editors."""


def load_space(
    source: str | Path | Mapping[str, Any], overrides: Sequence[str], data_root: DataRoot, *, for_search: bool = True
) -> SearchSpace:
    """Read and check a search space, after applying `path.to.field=value` overrides.

    Args:
        source: path of a YAML file, name of a shipped space, or the space as a mapping.
        overrides: e.g. `ipc.high=30`.
        data_root: folder of the data files.
        for_search: see `parse.parse_space`.

    Raises:
        InputError: there is no such space.
        SpaceError: the space has mistakes; the message lists all of them.
    """
    if isinstance(source, Mapping):
        return parse_space(
            yaml.safe_dump(dict(source), sort_keys=False), known(data_root), overrides=overrides, for_search=for_search
        )
    path = find_space(str(source))
    return read_space(path, known(data_root), overrides, for_search=for_search)


def known(data_root: DataRoot) -> Known:
    """The methods, data sets, recipes and checks of this installation."""
    from raydistill.core.lossless import smallest_margin
    from raydistill.core.recipes import EPOCH_RECIPES, RECIPES
    from raydistill.data.datasets import NAMES
    from raydistill.methods import METHODS, method_configs
    from raydistill.methods.configs.fields import soft_name
    from raydistill.methods.configs.soft_coreset import of_the_same_experts

    def facts_of(config: DatasetConfig) -> DataFacts:
        from raydistill.data.splits import data_facts

        try:
            return data_facts(config, data_root)
        except DataError as error:
            if not isinstance(config, ImageFolderConfig):
                raise
            from raydistill.data.inspect import with_every_problem

            raise with_every_problem(config, data_root, error) from error

    return Known(
        methods=method_configs(),
        soft_methods=[name for name, method in METHODS.items() if method.label_kind == "soft"],
        expert_labelled={name: soft_name(name) for name in METHODS if soft_name(name) in METHODS},
        experts_of=of_the_same_experts,
        controls={name: method.control.settings for name, method in METHODS.items() if method.control is not None},
        datasets=NAMES,
        recipes=RECIPES,
        epoch_recipes=EPOCH_RECIPES,
        data_facts=facts_of,
        smallest_margin=smallest_margin,
    )


def shipped_spaces() -> dict[str, Path]:
    """Files of the shipped search spaces by name; they are inside an installed package, and next to the package in a checkout."""
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
    """The file of a search space, given as a path or as the name of a shipped space.

    Raises:
        InputError: it is neither a file nor the name of a shipped space.
    """
    path = given_path(file_or_name)
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
    """The study at a path or URI, or the study of that name in a store.

    Raises:
        InputError: there is no such study.
    """
    is_whole = "://" in given or given_path(given).is_absolute()  # and so no name in a store
    places = [given] if is_whole else [given, f"{store.rstrip('/')}/{given}"]
    for place in places:
        if Store(place).exists(SPACE_FILE):
            return Store(place)
    names = Store(store).folders(".")
    said = f"{given} is not" if is_whole else f"neither {given} nor {store}/{given} is"
    raise InputError(
        f"{said} a study (no search_space.yaml there); {did_you_mean(given, names)}"
        f"Studies in {store}: {', '.join(names) or 'none'}. Give one of these, or a folder <store>/<study>"
    )


def find_file(path: str, name: str) -> tuple[Store, str]:
    """The folder of a file, and the file's name in it.

    Args:
        path: the file itself, or the folder that contains a file called `name`.
        name: name of the file if `path` is a folder; a file given as `path` must have the same suffix.

    Raises:
        InputError: `path` is a file with another suffix.
    """
    ending = Path(name).suffix
    if not path.endswith(ending) and "://" not in path and given_path(path).is_file():
        raise InputError(f"{path} is not a {ending} file; give a {ending} file, or the folder that contains {name}")
    folder, _, last = (path if path.endswith(ending) else f"{path.rstrip('/')}/{name}").rpartition("/")
    return Store(folder or ("/" if path.startswith("/") else ".")), last


def did_you_mean(given: str, allowed: Collection[str]) -> str:
    """`did you mean '...'? ` with the most similar allowed name; empty if no name is similar."""
    near = difflib.get_close_matches(given, allowed, n=1)
    return f"did you mean {near[0]!r}? " if near else ""
