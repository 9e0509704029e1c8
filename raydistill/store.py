"""A study's folder on any fsspec file system: atomic writes, checked paths, one search at a time.

A leaf. Layout of a study: ``search_space.yaml``, ``trials/<id>/...``, ``baseline/``, ``study.db``, ``result.json``.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec


class StoreError(Exception):
    """The store cannot be written, or a file in it is not what it should be."""


class StudyInUseError(Exception):
    """Another search holds the study."""


@dataclass(frozen=True, slots=True)
class Store:
    """Files below one root, addressed by relative paths; every write is whole or not at all."""

    root: str
    """Local folder or fsspec URI."""

    def at(self, *parts: str) -> Store:
        """The store rooted at a folder below this one."""
        return Store(self.path(*parts))

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

    def absolute(self) -> Store:
        """The same store by a path that holds in other processes, whatever folder they run in."""
        return Store(str(self.local_path(".").absolute())) if self.is_local else self

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
        try:
            if self.is_local:
                _write_local(self.local_path(name), content)
            else:
                filesystem, path = self._open(name)
                filesystem.pipe_file(path, content)
        except OSError as error:
            raise StoreError(f"cannot write {self.path(name)}: {error}; give a --store that can be written") from error

    def write_json(self, name: str, value: Any) -> None:
        """Write a value as indented JSON; NaN and infinity are errors."""
        self.write(name, json.dumps(value, indent=2, allow_nan=False) + "\n")

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        filesystem, path = self._open(name)
        return bytes(filesystem.cat_file(path))

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
        filesystem, path = self._open(name)
        return bool(filesystem.exists(path))

    def delete(self, name: str) -> None:
        """Remove a file if it is there."""
        filesystem, path = self._open(name)
        if filesystem.exists(path):
            filesystem.rm_file(path)

    def folders(self, name: str) -> list[str]:
        """Sorted names of the folders in a folder; none if it does not exist."""
        return self._entries(name, "directory")

    def files(self, name: str) -> list[str]:
        """Sorted names of the files in a folder; none if it does not exist."""
        return self._entries(name, "file")

    def _entries(self, name: str, kind: str) -> list[str]:
        filesystem, path = self._open(name)
        if not filesystem.exists(path):
            return []
        entries = filesystem.ls(path, detail=True)
        return sorted(PurePosixPath(e["name"]).name for e in entries if e["type"] == kind)

    def _open(self, name: str) -> tuple[Any, str]:
        """The file system and the path in it; listings are not cached, for other nodes write here too."""
        filesystem, path = fsspec.url_to_fs(self.path(name), use_listings_cache=False)
        return filesystem, str(path)

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


@contextmanager
def study_lock(store: Store, wait_seconds: float = 5.0) -> Iterator[None]:
    """Hold a study for one search.

    The lock is the kernel's (flock): a killed process lets go of it at once, so a lock that is left behind is taken over
    without waiting. A holder that is just ending is waited for, at most `wait_seconds`.

    Raises:
        StudyInUseError: another live process holds it; named.
    """
    path = store.local_path(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    holder = file.read().strip() or "another process"
                    raise StudyInUseError(
                        f"study {store.root} is in use by {holder}; wait for it or end it, then run the same command again"
                    ) from None
                time.sleep(0.1)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()
