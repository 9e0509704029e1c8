"""Frozen values in JSON files of a store, read back with their errors in a sentence."""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import ValidationError

from raydistill.errors import StoreError
from raydistill.spaces.sections import Config
from raydistill.storage.store import Store

Value = TypeVar("Value", bound=Config)


def read_stored(store: Store, name: str, model: type[Value], remedy: str) -> Value | None:
    """The value in a file, or None if there is no file.

    Args:
        store: holds the file.
        name: of the file, in the store.
        model: what is in it; its `record_version`, where it has one, must be the file's.
        remedy: what to do about a damaged file, as the end of a sentence.

    Raises:
        StoreError: the file is damaged, or another version of raydistill wrote it.
    """
    data = store.read_or_none(name)
    if data is None:
        return None
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        version, own = _version(data), model.model_fields.get("record_version")
        if own is not None and version not in (None, own.default):
            raise StoreError(
                f"{store.path(name)} was written by another version of raydistill (record_version {version}, and this one reads "
                f"{own.default}): it may be whole, so leave it, and use that version"
            ) from error
        first = error.errors()[0]
        cause = ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
        raise StoreError(f"{store.path(name)} is damaged ({cause}); {remedy}") from error


def read_needed(store: Store, name: str, model: type[Value], remedy: str) -> Value:
    """As `read_stored`, of a file that was just written.

    Raises:
        StoreError: the same, or the file is missing.
    """
    found = read_stored(store, name, model, remedy)
    if found is None:
        raise StoreError(f"{store.path(name)} is missing; run the same command again to have it made")
    return found


def _version(data: bytes) -> object:
    """What a file says of its version; None if it says nothing."""
    try:
        document = json.loads(data)
    except ValueError:
        return None
    return document.get("record_version") if isinstance(document, dict) else None
