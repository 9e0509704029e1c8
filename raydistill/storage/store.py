"""A study's folder on any fsspec file system: atomic writes, checked paths, readable errors.

Layout of a study: ``search_space.yaml``, ``trials/<id>/...``, ``baseline/``, ``study.db``, ``artifacts/``, ``result.json``.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from raydistill.errors import StoreError, StoreUnavailableError
from raydistill.spaces.bounded import read_json
from raydistill.spaces.paths import from_root, is_writable, regular, shown
from raydistill.storage.patience import Patient, is_no_answer
from raydistill.storage.remote import (
    S3_OPTIONS,
    S3_PATIENT_OPTIONS,
    failures,
    is_s3,
    open_file_system,
    refuse_credentials,
    speaks_s3,
    without_credentials,
)

__all__ = ["Store", "StoreError"]

SEND_SECONDS = 120.0
"""How long a write to S3 may take besides the sending: longer than all its attempts (`remote.S3_OPTIONS`)."""
SEND_BYTES_PER_SECOND = 100_000
"""The slowest line to an S3 store on which a write is not given up."""


@dataclass(frozen=True, slots=True)
class Store:
    """Files below one root, addressed by relative paths; every write is atomic."""

    root: str
    """Local folder or fsspec URI."""
    guard: Callable[[], None] | None = field(default=None, compare=False, repr=False)
    """Called before every write and deletion; raises if the lease on the study is lost. Not pickled with the store."""
    is_patient: bool = field(default=False, compare=False, repr=False)
    """Whether calls are made again while the store does not answer; see `patience`."""
    s3_options: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """Attempts and timeouts in place of those of a patient or impatient store. Not pickled with the store."""

    def __post_init__(self) -> None:
        if not is_writable(self.root):
            raise StoreError(f"{shown(self.root)} cannot be a folder or URI (it holds NUL, or what is no text); give another")
        refuse_credentials(self.root)

    def __reduce__(self) -> tuple[type[Store], tuple[str, None, bool]]:
        return Store, (self.root, None, self.is_patient)

    def at(self, *parts: str) -> Store:
        """The store rooted at a folder below this one."""
        return replace(self, root=self.path(*parts))

    @property
    def absolute(self) -> Store:
        """The same store with an absolute path without `..`, valid in every process; its `parent` is the folder above."""
        return replace(self, root=str(from_root(self.local_path(".")))) if self.is_local else self

    @property
    def parent(self) -> Store:
        """The store of the parent folder."""
        above = self.root.rstrip("/").rpartition("/")[0]
        return replace(self, root=above or ("/" if self.root.startswith("/") else "."))

    def path(self, *parts: str) -> str:
        """The full path of a file or folder in this store, given its relative path.

        Raises:
            StoreError: the path is absolute, contains `..` or NUL, or is no text.
        """
        relative = PurePosixPath(*parts)
        if not is_writable(str(relative)):
            raise StoreError(f"{shown(relative)} cannot be a file in the store {self.root}; give a path without NUL, and of text")
        if relative.is_absolute() or ".." in relative.parts:
            raise StoreError(f"path {relative} is outside of the store {self.root}; give a relative path without '..'")
        # In an object store "bucket/study/." is another key than "bucket/study".
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
            raise StoreError(f"store {self.root} is not a local folder; copy the file to a local folder first")
        try:
            return Path(self.path(*parts).removeprefix("file://")).expanduser()
        except RuntimeError as error:
            raise StoreError(f"store {self.root}: {error}; give a folder without ~, or the name of a user there is") from error

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file atomically and durably: a reader sees the old file or the new one, also after a power cut.

        Raises:
            StoreError: the store cannot be written.
        """
        content = data.encode() if isinstance(data, str) else data
        with self._changing(name, "write") as (filesystem, path):
            if self.is_local:
                _write_local(self.local_path(name), content)
            else:
                # aiohttp's timeouts do not run while it sends, which ends nowhere if the other side takes nothing in.
                limit = {"timeout": SEND_SECONDS + len(content) / SEND_BYTES_PER_SECOND} if speaks_s3(filesystem) else {}
                filesystem.pipe_file(path, content, **limit)

    def write_json(self, name: str, value: Any) -> None:
        """Write a value as indented JSON; NaN and infinity are errors."""
        self.write(name, json.dumps(value, indent=2, allow_nan=False) + "\n")

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            FileNotFoundError: there is no such file.
            StoreError: the store cannot be read.
        """
        if self.is_local:
            # A study has two files per trial, and a file system of fsspec takes as long to open as a file takes to read.
            path = os.path.expanduser(self.path(name).removeprefix("file://"))
            with self._readable(name, (OSError,)), open(path, "rb", opener=regular) as file:
                return file.read()
        with self.reading(name) as (filesystem, path):
            return bytes(filesystem.cat_file(path))

    def read_or_none(self, name: str) -> bytes | None:
        """The bytes of a file, or None if it does not exist: one request instead of two for `exists` and `read`.

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
            return read_json(self.read(name))
        except ValueError as error:
            raise StoreError(
                f"{self.path(name)} is damaged ({error}); restore it, or delete it so that it is made again"
            ) from error

    def exists(self, name: str) -> bool:
        """Whether a file or folder exists."""
        with self.reading(name) as (filesystem, path):
            return bool(filesystem.exists(path))

    def delete(self, name: str) -> None:
        """Remove a file if it exists."""
        with self._changing(name, "delete") as (filesystem, path), suppress(FileNotFoundError):
            filesystem.rm_file(path)

    def delete_folder(self, name: str) -> None:
        """Remove a folder and everything in it, if it exists."""
        with self._changing(name, "delete") as (filesystem, path), suppress(FileNotFoundError):
            if self.is_local:
                filesystem.rm(path, recursive=True)
                return
            # `rm` would take `*`, `?` and `[` in the path for patterns, and delete what lies in other folders.
            for file in filesystem.find(path):
                filesystem.rm_file(file)

    def folders(self, name: str) -> list[str]:
        """Sorted names of the folders in a folder; none if it does not exist."""
        return self._names(name, "directory")

    def files(self, name: str) -> list[str]:
        """Sorted names of the files in a folder; none if it does not exist.

        Names that begin with a dot are left out: so are files called that are being written, or were when their process ended.
        """
        return [found for found in self._names(name, "file") if not found.startswith(".")]

    def _names(self, name: str, kind: str) -> list[str]:
        with self.reading(name) as (filesystem, path):
            try:
                entries = filesystem.ls(path, detail=True)
            except FileNotFoundError:
                return []
        return sorted(PurePosixPath(e["name"]).name for e in entries if e["type"] == kind)

    def stamps(self) -> dict[str, str]:
        """A stamp of every file below this folder, by relative path: the ETag, or size and time, which change with the file."""
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
        """Open a file for reading: yields the file system and the path in it.

        Raises:
            FileNotFoundError: there is no such file.
            StoreError: reading fails for any other reason.
        """
        filesystem, path = self.open(name)
        with self._readable(name, failures(filesystem)):
            yield filesystem, path

    def open(self, name: str) -> tuple[Any, str]:
        """The file system of a file and the path in it; its calls raise what `remote.failures` lists.

        Raises:
            StoreError: no installed package can open the URI.
        """
        options = self.s3_options or (S3_PATIENT_OPTIONS if self.is_patient else S3_OPTIONS)
        filesystem, path = open_file_system(self.path(name), options)
        return (Patient(filesystem, self.guard) if self.is_patient and speaks_s3(filesystem) else filesystem), path

    @contextmanager
    def _readable(self, name: str, failing: tuple[type[Exception], ...]) -> Iterator[None]:
        """Turn what fails, but for a missing file, into an error that names the file."""
        try:
            yield
        except FileNotFoundError:
            raise
        except failing as error:
            said = without_credentials(str(error))
            raise self._unavailable(
                error,
                f"cannot read {self.path(name)}: {said}; check the connection and the permission to read it, or give another "
                "--store",
            ) from None  # the cause may contain the URL of an endpoint with a password in it

    @contextmanager
    def _changing(self, name: str, verb: str) -> Iterator[tuple[Any, str]]:
        """Open a file for a change: like `reading`, after the guard has allowed the change."""
        if self.guard is not None:
            self.guard()
        filesystem, path = self.open(name)
        try:
            yield filesystem, path
        except failures(filesystem) as error:
            said = without_credentials(str(error)) or "it has not taken the file in time"  # a timeout has no words
            raise self._unavailable(
                error, f"cannot {verb} {self.path(name)}: {said}; give a folder or URI that can be written"
            ) from None

    def _unavailable(self, error: Exception, message: str) -> StoreUnavailableError:
        unavailable = StoreUnavailableError(message)
        unavailable.is_silent = is_s3(self.root) and is_no_answer(error)
        return unavailable

    def check_writable(self) -> None:
        """Write and delete a probe file.

        Raises:
            StoreError: the store cannot be written.
        """
        probe = f".probe-{socket.gethostname()}-{os.getpid()}"
        try:
            self.write(probe, b"raydistill")
            self.delete(probe)
        except StoreUnavailableError as error:
            raise StoreError(
                f"{error}, or run the same command again once {self.root} can be written: this command has changed nothing"
            ) from None


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
