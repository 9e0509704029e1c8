"""Writes frozen values to JSON files of a store, sealed with a hash of themselves, and reads them with readable errors."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from raydistill.errors import StoreError
from raydistill.spaces.bounded import read_json
from raydistill.spaces.sections import Config
from raydistill.storage.sealed import SealError, seal, unseal
from raydistill.storage.store import Store

Value = TypeVar("Value", bound=Config)


def sealed_json(value: Config) -> str:
    """A value as the text of its file."""
    return seal(value.model_dump_json(indent=2))


def write_stored(store: Store, name: str, value: Config) -> None:
    """Write a value, with a hash of the file as its last key (`file_sha256`).

    Raises:
        StoreError: the store cannot be written.
    """
    store.write(name, sealed_json(value))


def read_stored(store: Store, name: str, model: type[Value], remedy: str) -> Value | None:
    """The value in a file, or None if there is no file.

    Args:
        store: the store with the file.
        name: path of the file in the store.
        model: class of the value; if it has a `record_version`, the file must have the same version.
        remedy: what to do about a damaged file, as the end of the error message.

    Raises:
        StoreError: the file is damaged, was changed after it was written, or another version of raydistill wrote it.
    """
    data = store.read_or_none(name)
    if data is None:
        return None
    try:
        return model.model_validate_json(unseal(data))
    except SealError as error:
        raise StoreError(f"{store.path(name)} is damaged: {error}; {remedy}") from error
    except ValidationError as error:
        version, own = _version(data), model.model_fields.get("record_version")
        if own is not None and version not in (None, own.default):
            raise StoreError(
                f"{store.path(name)} was written by another version of raydistill (record_version {version}; this version reads "
                f"{own.default}): keep the file, and use the version of raydistill that wrote it"
            ) from error
        first = error.errors()[0]
        cause = ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
        raise StoreError(f"{store.path(name)} is damaged ({cause}); {remedy}") from error


def read_needed(store: Store, name: str, model: type[Value], remedy: str) -> Value:
    """Like `read_stored`, for a file that must exist.

    Raises:
        StoreError: the file is missing, damaged, or written by another version of raydistill.
    """
    found = read_stored(store, name, model, remedy)
    if found is None:
        raise StoreError(f"{store.path(name)} is missing; run the same command again, which makes it")
    return found


def _version(data: bytes) -> object:
    """The `record_version` in a file; None if it has none."""
    try:
        document = read_json(data)
    except ValueError:
        return None
    return document.get("record_version") if isinstance(document, dict) else None
