"""The tables of the guide to methods, from the registry, the settings and the texts at the top of the methods' files."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from source_fields import KEY_HEAD, ROOT, class_in, classes_of, fields_of, key_rows, row, table

SHARED = ("raydistill/core/experts.py",)
"""Files whose definitions the tables of several methods name."""
WHAT = {
    "random": "real images at random",
    "k_center": "real images by greedy k-center on features",
    "herding": "real images by herding on features",
    "k_means": "means of k-means clusters (no real images)",
    "k_means_medoids": "the real image nearest to each k-means centre",
    "datadam_soft": "images as `datadam` distils them, with labels by experts",
    "dm_soft": "images as `dm` distils them, with labels by experts",
    "dc_soft": "images as `dc` distils them, with labels by experts",
    "rat_bptt_soft": "as `rat_bptt`, with labels that start as those of experts and are learned with the images",
}
"""What methods do whose file holds several; the others have the first sentence of their file."""


def docstring(file: str, *, settings: str) -> str:
    """The text at the top of a module; names in its tables are linked: keys to the file that defines them, others to the code."""
    text = ast.get_docstring(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    assert text, file
    tree = ast.parse((ROOT / settings).read_text(encoding="utf-8"))
    configs = [node for node in classes_of(tree) if node.name.endswith("Config")]
    places = {field.name: f"{settings}#{node.name}.{field.name}" for node in configs for field in fields_of(node)}
    places = {**_definitions(file, *SHARED), **places}

    def linked(match: re.Match[str]) -> str:
        name = match.group(1)
        place = places.get(name) or places.get(name.removeprefix("core.experts."))
        return f"[`{name}`](../{place})" if place else match.group(0)

    def cells(line: str) -> str:
        return re.sub(r"`([\w.]+)`", linked, re.sub(r" +\|", " |", line))

    lines = [_escaped(line) for line in text.split("\n")]
    return "\n".join(cells(line) if line.startswith("|") else line for line in lines)


def _definitions(*files: str) -> dict[str, str]:
    """Where functions, classes and their methods are defined, by name: `difficulty`, `Experts.snapshot`, and `features`."""
    found = {"features": "raydistill/core/networks.py#ConvNet.features"}
    for file in files:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        names += [f"{c.name}.{node.name}" for c in classes_of(tree) for node in c.body if isinstance(node, ast.FunctionDef)]
        found |= {name: f"{file}#{name}" for name in names}
    return found


def _escaped(line: str) -> str:
    """A line whose stars and underscores, outside of code, are no emphasis."""
    return "`".join(part if index % 2 else re.sub(r"([*_])", r"\\\1", part) for index, part in enumerate(line.split("`")))


def methods() -> str:
    """A table of the registered methods; then a section for each of their files: its text, and the keys that it adds."""
    registered = registered_methods()
    rows = (
        (f"[`{name}`](#{stem})", _what(name, stem), kind, f"[{stem}.py](../raydistill/methods/{stem}.py)")
        for name, (stem, _, kind) in registered.items()
    )
    parts = [table(("`name`", "what it does", "labels", "file"), rows)]
    for stem in dict.fromkeys(["trajectory", *(stem for stem, _, _ in registered.values())]):
        named = [(name, config) for name, (place, config, _) in registered.items() if place == stem]
        parts += [f"## {stem}", docstring(f"raydistill/methods/{stem}.py", settings=f"raydistill/methods/configs/{stem}.py")]
        for name, config in named or [("", "TrajectoryConfig")]:
            parts += _own_keys(name, config)
    return "\n\n".join(parts)


def registered_methods() -> dict[str, tuple[str, str, str]]:
    """File, config class and kind of labels by the name of a method, as `METHODS` has them."""
    found = {}
    for name, call in _registrations():
        _, stem, config = ast.unparse(call.args[0]).split(".")
        kinds = [ast.literal_eval(word.value) for word in call.keywords if word.arg == "label_kind"]
        found[name] = (stem, config, kinds[0] if kinds else "hard")
    return found


def _registrations() -> Iterator[tuple[str, ast.Call]]:
    """Every entry of `METHODS`: its name, and the call that makes it."""
    tree = ast.parse((ROOT / "raydistill" / "methods" / "__init__.py").read_text(encoding="utf-8"))
    (entries,) = (n.value for n in tree.body if isinstance(n, ast.AnnAssign) and ast.unparse(n.target) == "METHODS")
    assert isinstance(entries, ast.Dict)
    for name, entry in zip(entries.keys, entries.values, strict=True):
        assert isinstance(entry, ast.Call)
        yield ast.literal_eval(name or entry), entry


def _what(name: str, stem: str) -> str:
    control = name.removesuffix("_soft")
    if name not in WHAT and control in WHAT:
        return f"{WHAT[control]}, with labels by experts"
    return WHAT.get(name) or _first_sentence(stem)


def _first_sentence(stem: str) -> str:
    text = ast.get_docstring(ast.parse((ROOT / "raydistill" / "methods" / f"{stem}.py").read_text(encoding="utf-8"))) or ""
    return text.partition("\n\n")[0].replace("\n", " ").removesuffix(".")


def ablations() -> str:
    """A row per method with terms that `raydistill ablate` turns off."""
    rows = []
    for name, call in _registrations():
        for word in call.keywords:
            if word.arg == "ablations":
                _, stem, named = ast.unparse(word.value).split(".")
                rows.append((f"`{name}`", ", ".join(_terms(stem, named))))
    return table(("method", "terms"), iter(rows))


def _terms(stem: str, named: str) -> Iterator[str]:
    tree = ast.parse((ROOT / "raydistill" / "methods" / "configs" / f"{stem}.py").read_text(encoding="utf-8"))
    (entries,) = (n.value for n in tree.body if isinstance(n, ast.AnnAssign) and ast.unparse(n.target) == named)
    assert isinstance(entries, ast.Dict)
    for key, value in zip(entries.keys, entries.values, strict=True):
        if key is None:  # the terms of another method
            *other, name = ast.unparse(value).split(".")
            yield from _terms(other[-1] if other else stem, name)
        else:
            yield ast.literal_eval(key)


SECTIONS = {
    "ExpertFields": "experts",
    "MatchingFields": "a-pool-of-networks-and-an-average-of-the-images",
    "TrajectoryConfig": "trajectory",
}
"""Where in the guide the keys are that several methods share, by the class that defines them."""


def _own_keys(method: str, config: str) -> list[str]:
    """The keys that a method adds, and where those are that it takes over."""
    methods_of = {config: name for name, (_, config, _) in registered_methods().items()}
    own, over = "", []
    for name in ancestors(config):
        file = config_files()[name].relative_to(ROOT).as_posix()
        if name != config and name in methods_of:
            over.append(f"`{methods_of[name]}`")
        elif name in SECTIONS and name != config:
            over.append(f"[{SECTIONS[name].replace('-', ' ')}](#{SECTIONS[name]})")
        elif rows := list(key_rows(file, name)):
            own += "".join(f"\n{row(*cells)}" for cells in rows)
    title = f"`{method}`" if method else "Every method of these"
    if not own:
        return [f"{title} takes the keys of {' and of '.join(over)}." if over else f"{title} has no keys beside `name`."]
    head = "\n".join(row(*cells) for cells in (KEY_HEAD, ["---"] * len(KEY_HEAD)))
    return [f"Keys of {title[:1].lower() + title[1:]}{', beside those of ' + ' and of '.join(over) if over else ''}:", head + own]


def ancestors(config: str) -> list[str]:
    """A config class and those of the methods' settings that it has fields of, up to those that the guide shows elsewhere."""
    found = [config]
    shown = {name for _, name, _ in registered_methods().values()} | set(SECTIONS)
    for base in class_in(config_files()[config], config).bases:
        name = ast.unparse(base).rpartition(".")[2]
        if name in config_files():
            found += [name] if name in shown else ancestors(name)
    return list(dict.fromkeys(found))


@functools.cache
def config_files() -> dict[str, Path]:
    """The file of every class that holds settings of methods."""
    rooms = [ROOT / "raydistill" / "methods" / "configs", ROOT / "raydistill" / "core"]
    files = [file for room in rooms for file in sorted(room.glob("*.py"))]
    return {node.name: file for file in files for node in classes_of(ast.parse(file.read_text(encoding="utf-8")))}
