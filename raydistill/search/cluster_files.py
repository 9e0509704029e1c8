"""Writes out the files that start a cluster, with what an install on its nodes needs.

An installed package holds them in `cluster_files/`; in a checkout they lie beside the package's folder. What is written is laid
out as a checkout is: `ray up` brings it to the nodes, and `docker build` copies it into an image.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from raydistill.errors import InputError
from raydistill.spaces.paths import given_path

PACKAGE = Path(__file__).parents[1]
FILES = ("cluster.yaml", "cluster-local.yaml", "clusters")
"""What starts a cluster."""
PROJECT = ("pyproject.toml", "README.md", "LICENSE")
"""What an install needs beside the package and its spaces."""
HELD = "cluster_files"
SPACES = "search_spaces"
SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenFiles:
    """What was done in a folder; paths are relative to it."""

    folder: Path
    written: tuple[str, ...]
    alike: tuple[str, ...]
    """There already, with the same content."""


def shipped_files(package: Path = PACKAGE) -> dict[str, Path]:
    """Path below the folder that is written, to the file of this installation.

    Raises:
        InputError: this installation lacks some.
    """
    installed = (package / HELD).is_dir()
    beside = package / HELD if installed else package.parent
    spaces = package / SPACES if installed else package.parent / SPACES
    sources = {name: beside / name for name in (*FILES, *PROJECT)} | {"raydistill": package, SPACES: spaces}
    if lacking := [name for name, source in sources.items() if not source.exists()]:
        raise InputError(
            f"this installation of raydistill in {package} lacks {', '.join(lacking)}; install it from a wheel or a checkout: "
            "pip install raydistill, or pip install . in a checkout"
        )
    return {
        name if source.is_file() else f"{name}/{path.relative_to(source).as_posix()}": path
        for name, source in sources.items()
        for path in ([source] if source.is_file() else sorted(source.rglob("*")))
        if path.is_file() and not _is_left_out(path, source)
    }


def _is_left_out(path: Path, source: Path) -> bool:
    """Whether a file is compiled, or lies inside an installed package but beside it in a checkout."""
    parts = path.relative_to(source).parts
    return "__pycache__" in parts or (source.name == "raydistill" and parts[:1] in ((HELD,), (SPACES,)))


def write_cluster_files(folder: Path, *, force: bool = False) -> WrittenFiles:
    """Write the files of clusters into a folder.

    Args:
        folder: made if it is not there.
        force: overwrite files that are there with another content.

    Raises:
        InputError: files with other content are there, and `force` is not given; or the folder cannot be written, or has links.
            Then nothing is overwritten.
    """
    folder, files = given_path(folder), shipped_files()
    try:
        if links := [name for name in _paths_to(files) if (folder / name).is_symlink()]:
            raise InputError(
                f"{folder} has links where files are to be written: {_few(links)}; what they point to would be overwritten: "
                "remove them, or give another folder"
            )
        alike = [name for name, source in files.items() if _is_alike(folder / name, source)]
        others = [name for name in files if name not in alike and (folder / name).exists()]
        if others and not force:
            raise InputError(
                f"{folder} has files of these names with other content: {_few(others)}; give another folder, or --force to "
                "overwrite them"
            )
        written = [name for name in files if name not in alike]
        for name in written:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(files[name], folder / name)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error}; give a folder that can") from error
    return WrittenFiles(folder=folder, written=tuple(written), alike=tuple(alike))


def _paths_to(files: Iterable[str]) -> list[str]:
    """The files and all folders above them, in the order of their names."""
    return sorted({str(path) for name in files for path in (Path(name), *Path(name).parents[:-1])})


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _is_alike(path: Path, source: Path) -> bool:
    return path.is_file() and path.read_bytes() == source.read_bytes()
