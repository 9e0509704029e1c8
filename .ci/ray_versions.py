"""Looks up the parts of Ray that `raydistill/search/on_ray/private.py` uses in the wheels of other versions of Ray.

    python .ci/ray_versions.py            # every version that pyproject.toml allows and the index has, 70 MB each
    python .ci/ray_versions.py ray.whl    # wheels that lie here

Ends with 1 if a wheel lacks a part. Nothing of a wheel is installed or run: Python files are parsed, and compiled ones are
searched for the names.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PRIVATE = ROOT / "raydistill" / "search" / "on_ray" / "private.py"
COMPILED = ("_raylet", "_pb2")
"""Ends of modules whose names are not written out as Python: the extension, and Protobuf's messages."""


def parts_of(source: str) -> list[tuple[str, str]]:
    """What a module uses of Ray: pairs of a module of Ray and a name in it, `Class.attribute` for what it uses of a class."""
    tree = ast.parse(source)
    origin = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ray.")
        for alias in node.names
    }
    found = [(module, name) for name, module in origin.items()]
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "ATTRIBUTES":
            assert isinstance(node.value, ast.Tuple)
            for owner, names in map(_pair, node.value.elts):
                found += [_attribute(owner, name, origin) for name in names]
    return found


def _pair(node: ast.expr) -> tuple[str, tuple[str, ...]]:
    assert isinstance(node, ast.Tuple)
    return ast.unparse(node.elts[0]), ast.literal_eval(node.elts[1])


def _attribute(owner: str, name: str, origin: dict[str, str]) -> tuple[str, str]:
    if owner in origin:
        return origin[owner], f"{owner}.{name}"
    # `ray._private.state.state` is an object of the class GlobalState; `ray._private.worker` is a module.
    module = owner.removesuffix(".state") if owner.endswith(".state.state") else owner
    return module, name


def lacking(wheel: Path, parts: list[tuple[str, str]]) -> list[str]:
    """The parts that a wheel of Ray does not have."""
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
        missing = []
        for module, name in parts:
            stem = module.replace(".", "/")
            path = next((f for f in (f"{stem}.py", f"{stem}/__init__.py", f"{stem}.so") if f in names), None)
            if path is None or not _has(files.read(path), name, is_compiled=module.endswith(COMPILED)):
                missing.append(f"{module}: {name}")
    return missing


def _has(content: bytes, name: str, *, is_compiled: bool) -> bool:
    if is_compiled:
        return name.rpartition(".")[2].encode() in content
    return name in set(_defined(ast.parse(content)))


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module defines, `Class.name` and, since an object's class is not known, `name` for those in a class."""
    for node in ast.walk(tree):
        for name in _names(node):
            yield name
        if isinstance(node, ast.ClassDef):
            for child in node.body:
                for name in _names(child):
                    yield f"{node.name}.{name}"


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def allowed_versions() -> list[str]:
    """The versions of Ray on pip's index that pyproject.toml allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (ray,) = [r for r in map(Requirement, project["dependencies"]) if r.name == "ray"]
    said = subprocess.run(
        [sys.executable, "-m", "pip", "index", "versions", "ray"], capture_output=True, text=True, check=True
    ).stdout
    listed = re.search(r"^Available versions: (.+)$", said, flags=re.MULTILINE)
    if listed is None:
        raise ValueError(f"pip lists no versions of ray: {said!r}; see to pip's index")
    return sorted((v for v in listed.group(1).split(", ") if v in ray.specifier), key=Version)


def downloaded(version: str, folder: Path) -> Path:
    """The wheel of one version, from pip's index."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    subprocess.run([*command, f"ray=={version}"], check=True)
    (wheel,) = folder.glob(f"ray-{version}-*.whl")
    return wheel


def main(wheels: list[str]) -> int:
    """Print a line per version; returns how many wheels lack a part, at most 1."""
    parts = parts_of(PRIVATE.read_text(encoding="utf-8"))
    has_failed = False
    with tempfile.TemporaryDirectory() as folder:
        for given in wheels or allowed_versions():
            wheel = Path(given) if given.endswith(".whl") else downloaded(given, Path(folder))
            missing = lacking(wheel, parts)
            has_failed = has_failed or bool(missing)
            print(f"{wheel.name}: " + (f"lacks {', '.join(missing)}" if missing else f"has all {len(parts)} parts"))
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
