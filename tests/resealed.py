"""Changes a value in a sealed JSON file and seals it again, as a program would that wrote another value."""

from __future__ import annotations

import json
from typing import Any

from raydistill.storage.sealed import seal, unseal
from raydistill.storage.store import Store


def content(store: Store, name: str) -> dict[str, Any]:
    """A file's values without the seal."""
    values: dict[str, Any] = json.loads(unseal(store.read(name)))
    return values


def reseal(store: Store, name: str, **changes: Any) -> None:
    """Write a file with some of its values replaced."""
    store.write(name, seal(json.dumps({**content(store, name), **changes}, indent=2)))
