"""A study's folder on any fsspec file system: atomic writes, checked paths, errors in a sentence.

A leaf. Layout of a study: ``search_space.yaml``, ``trials/<id>/...``, ``baseline/``, ``study.db``, ``result.json``.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from raydistill.errors import StoreError
from raydistill.storage.remote import failures, open_file_system, refuse_credentials, without_credentials

__all__ = ["Store", "StoreError"]


@dataclass(frozen=True, slots=True)
class Store:
    """Files below one root, addressed by relative paths; every write is whole or not at all."""

    root: str
    """Local folder or fsspec URI."""
    guard: Callable[[], None] | None = field(default=None, compare=False, repr=False)
    """Called before every write and deletion; raises where a lease on the study was lost. Stays in this process."""

    def __post_init__(self) -> None:
        refuse_credentials(self.root)

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.root,)

    def at(self, *parts: str) -> Store:
        """The store rooted at a folder below this one."""
        return replace(self, root=self.path(*parts))

    @property
    def absolute(self) -> Store:
        """The same store by a path that holds in other processes, whatever folder they run in."""
        return replace(self, root=str(self.local_path(".").absolute())) if self.is_local else self

    @property
    def parent(self) -> Store:
        """The store of the folder that this one lies in."""
        return replace(self, root=self.root.rstrip("/").rpartition("/")[0] or ".")

    def path(self, *parts: str) -> str:
        """The full path of a relative one.

        Raises:
            StoreError: the path would leave this store.
        """
        relative = PurePosixPath(*parts)
        if relative.is_absolute() or ".." in relative.parts:
            raise StoreError(f"path {relative} leaves its store {self.root}; give a path below it")
        # An object store knows no ".": "bucket/study/." would be another key than "bucket/study".
        return f"{self.root.rstrip('/')}/{relative}" if relative.parts else self.root

    @property
    def is_local(self) -> bool:
        """Whether the root is a folder of this machine's file system."""
        return "://" not in self.root or self.root.startswith("file://")

    def local_path(self, *parts: str) -> Path:
        """The path for programs that need a real file.

        Raises:
            StoreError: the store is not a local folder.
        """
        if not self.is_local:
            raise StoreError(f"store {self.root} is not a local folder; copy the file first")
        return Path(self.path(*parts).removeprefix("file://")).expanduser()

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file atomically and durably: a reader or a power cut sees the old file or the new one.

        Raises:
            StoreError: the store cannot be written.
        """
        content = data.encode() if isinstance(data, str) else data
        with self._changing(name, "write") as (filesystem, path):
            if self.is_local:
                _write_local(self.local_path(name), content)
            else:
                filesystem.pipe_file(path, content)

    def write_json(self, name: str, value: Any) -> None:
        """Write a value as indented JSON; NaN and infinity are errors."""
        self.write(name, json.dumps(value, indent=2, allow_nan=False) + "\n")

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            FileNotFoundError: there is none.
            StoreError: the store cannot be read.
        """
        with self.reading(name) as (filesystem, path):
            return bytes(filesystem.cat_file(path))

    def read_or_none(self, name: str) -> bytes | None:
        """The bytes of a file, or None if there is none: one request, where `exists` before `read` makes two.

        Raises:
            StoreError: the store cannot be read.
        """
        try:
            return self.read(name)
        except FileNotFoundError:
            return None

    def read_json(self, name: str) -> Any:
        """The value in a JSON file.

        Raises:
            StoreError: the file is not JSON.
        """
        try:
            return json.loads(self.read(name))
        except ValueError as error:
            raise StoreError(f"{self.path(name)} is damaged ({error}); restore it, or delete it to have it made again") from error

    def exists(self, name: str) -> bool:
        """Whether a file or folder is there."""
        with self.reading(name) as (filesystem, path):
            return bool(filesystem.exists(path))

    def delete(self, name: str) -> None:
        """Remove a file if it is there."""
        with self._changing(name, "delete") as (filesystem, path), suppress(FileNotFoundError):
            filesystem.rm_file(path)

    def delete_folder(self, name: str) -> None:
        """Remove a folder and all that is in it, if it is there."""
        with self._changing(name, "delete") as (filesystem, path), suppress(FileNotFoundError):
            filesystem.rm(path, recursive=True)

    def folders(self, name: str) -> list[str]:
        """Sorted names of the folders in a folder; none if it does not exist."""
        return self._names(name, "directory")

    def files(self, name: str) -> list[str]:
        """Sorted names of the files in a folder; none if it does not exist."""
        return self._names(name, "file")

    def _names(self, name: str, kind: str) -> list[str]:
        with self.reading(name) as (filesystem, path):
            try:
                entries = filesystem.ls(path, detail=True)
            except FileNotFoundError:
                return []
        return sorted(PurePosixPath(e["name"]).name for e in entries if e["type"] == kind)

    def stamps(self) -> dict[str, str]:
        """Of every file in this folder and below, by relative path: what changes when the file does."""
        with self.reading(".") as (filesystem, path):
            try:
                found = filesystem.find(path, detail=True)
            except FileNotFoundError:
                return {}
        stamps = {}
        for name, info in found.items():
            changed_at = info.get("mtime") or info.get("created")
            stamps[str(PurePosixPath(name).relative_to(path))] = str(info.get("ETag") or (info["size"], changed_at))
        return stamps

    @contextmanager
    def reading(self, name: str) -> Iterator[tuple[Any, str]]:
        """The file system and the path in it; what goes wrong, but for a missing file, is told in a sentence."""
        filesystem, path = open_file_system(self.path(name))
        try:
            yield filesystem, path
        except FileNotFoundError:
            raise
        except failures(filesystem) as error:
            said = without_credentials(str(error))
            raise StoreError(
                f"cannot read {self.path(name)}: {said}; see to it that this machine reaches it and may read it, or give another "
                "--store"
            ) from None  # the cause may name an end point with a password in it

    @contextmanager
    def _changing(self, name: str, verb: str) -> Iterator[tuple[Any, str]]:
        """The same for a change, which the guard must allow."""
        if self.guard is not None:
            self.guard()
        filesystem, path = open_file_system(self.path(name))
        try:
            yield filesystem, path
        except failures(filesystem) as error:
            said = without_credentials(str(error))
            raise StoreError(f"cannot {verb} {self.path(name)}: {said}; give a place that can be written") from None

    def check_writable(self) -> None:
        """Write and delete a probe file.

        Raises:
            StoreError: it did not work.
        """
        probe = f".probe-{socket.gethostname()}-{os.getpid()}"
        self.write(probe, b"raydistill")
        self.delete(probe)


def _write_local(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
