"""The object of a lease in a store, which of two processes that write it only one replaces.

**Atomicity.** On S3 a lease is created, renewed and taken over with conditional writes (If-None-Match, If-Match): if two
processes try, one succeeds. On other stores a process writes the lease and reads it back `SETTLE_SECONDS` later: two processes
that take a free lease may both believe that they hold it, if one write reaches the store later than that. The process that lost
notices at its first renewal.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from raydistill.errors import StoreError, StoreUnavailableError
from raydistill.spaces.bounded import read_json
from raydistill.storage.remote import S3_RENEWAL_OPTIONS, failures, speaks_s3, without_credentials
from raydistill.storage.store import Store

FILE = ".lock"
SETTLE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A lease as read from the store."""

    holder: str
    token: str
    """Of the process that wrote it."""
    expires_at: str
    """By the holder's clock; for messages only."""
    version: str
    """Changes with every renewal."""
    modified: datetime
    """By the store's clock."""


class LeaseFile:
    """The object of a lease; a write replaces only the version that was read before."""

    def __init__(self, store: Store) -> None:
        """The lease on a folder."""
        self.store = store

    def for_renewal(self) -> LeaseFile:
        """The same lease, through a store that makes one attempt of few seconds: the next renewal is the next attempt."""
        return LeaseFile(replace(self.store, guard=None, is_patient=False, s3_options=S3_RENEWAL_OPTIONS))

    def read(self) -> Found | None:
        """The lease in the store, or None.

        Raises:
            StoreError: the file is not a lease, or the store cannot be read.
        """
        with self.store.reading(FILE) as (filesystem, path):
            try:
                info = filesystem.info(path)
                modified = filesystem.modified(path)
            except FileNotFoundError:
                return None
        content = self.store.read_or_none(FILE)
        if content is None:
            return None
        version = info["ETag"] if speaks_s3(filesystem) else content.decode()
        try:
            row = read_json(content)
            return Found(
                holder=row["holder"], token=row["token"], expires_at=row["expires_at"], version=version, modified=modified
            )
        except (ValueError, KeyError, TypeError) as error:
            # For example the lock file of a study that was searched in a local folder and then copied here.
            raise StoreError(
                f"{self.store.path(FILE)} is not the lease of a search; if no search of the study is running, delete the file "
                "and run the same command again"
            ) from error

    def write(self, content: str, instead_of: str | None) -> str | None:
        """Replace a version (None: create the object); returns the new version, or None if the store holds another version.

        Raises:
            StoreError: the store cannot be written.
        """
        filesystem, path = self.store.open(FILE)
        if speaks_s3(filesystem):
            return self._write_s3(filesystem, path, content, instead_of)
        found = self.read()
        if (found.version if found else None) != instead_of:
            return None
        self.store.write(FILE, content)
        if instead_of is None or json.loads(instead_of)["token"] != json.loads(content)["token"]:
            time.sleep(SETTLE_SECONDS)
        return content if self.store.read_or_none(FILE) == content.encode() else None

    def _write_s3(self, filesystem: Any, path: str, content: str, instead_of: str | None) -> str | None:
        condition = {"mode": "create"} if instead_of is None else {"IfMatch": instead_of}
        try:
            return str(filesystem.pipe_file(path, content.encode(), **condition)["ETag"])
        except FileExistsError:
            return None
        except failures(filesystem) as error:
            cause: Any = error.__cause__
            code = getattr(cause, "response", {}).get("Error", {}).get("Code")
            # Deleted, replaced, or being replaced at this moment.
            if code in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                return None
            said = without_credentials(str(error))
            raise StoreUnavailableError(
                f"cannot write {self.store.path(FILE)}: {said}; give a folder or URI that can be written"
            ) from None

    def now(self) -> datetime:
        """The store's time: the modification time of an object written now."""
        name = f"{FILE}-now-{uuid.uuid4().hex}"
        self.store.write(name, b"")
        with self.store.reading(name) as (filesystem, path):
            now: datetime = filesystem.modified(path)
        self.store.delete(name)
        return now

    def delete(self) -> None:
        """Release the lease."""
        self.store.delete(FILE)
