"""File systems behind URIs: opening them, the errors they raise, and the refusal of URIs that contain credentials.

`s3://` and local folders are tested; every other scheme of fsspec is opened in the same way.
"""

from __future__ import annotations

import re
from typing import Any

import fsspec

from raydistill.errors import StoreError

S3_OPTIONS: dict[str, Any] = {
    "max_concurrency": 1,  # one GET per read; with more, s3fs asks for the size first
    "config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"total_max_attempts": 3, "mode": "standard"}},
}
"""Three attempts with growing pauses: an endpoint that is down is reported within seconds, a busy one is tried again."""

_USER_AND_PASSWORD = re.compile(r"(\w+://)[^/@\s:]*:[^/@\s]*@")
_SIGNED_QUERY = re.compile(r"([?&][\w-]*(?:key|secret|token|sig|password|credential)[\w-]*=)[^&\s]*", re.IGNORECASE)


def refuse_credentials(uri: str) -> None:
    """Check that a URI contains no credentials.

    Raises:
        StoreError: it contains a password, a key or a signature; the message does not repeat it.
    """
    if without_credentials(uri) != uri:
        raise StoreError(
            f"{without_credentials(uri)} contains credentials, but URIs are written to records and logs: remove them, and set "
            "them in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role of the machine)"
        )


def without_credentials(text: str) -> str:
    """The text with users, passwords, keys and signatures of URIs replaced by ***."""
    blotted = _USER_AND_PASSWORD.sub(r"\1***@", text)
    return _SIGNED_QUERY.sub(r"\1***", blotted) if "://" in text else blotted


def open_file_system(uri: str) -> tuple[Any, str]:
    """The file system of a path or URI, and the path in it. Listings are not cached, because other nodes write there too.

    Raises:
        StoreError: no installed package can open the URI.
    """
    options = S3_OPTIONS if uri.startswith(("s3://", "s3a://")) else {}
    try:
        filesystem, path = fsspec.url_to_fs(uri, use_listings_cache=False, **options)
    except (ImportError, ValueError) as error:
        raise StoreError(
            f"{uri} cannot be opened ({error}); s3:// needs the extra `raydistill[s3]`, other schemes their fsspec package: "
            "install it, or give a folder"
        ) from error
    if speaks_s3(filesystem):
        filesystem.retries = 1  # s3fs repeats botocore's own attempts; its default of 5 delays an error fivefold
    return filesystem, str(path)


def failures(filesystem: Any) -> tuple[type[Exception], ...]:
    """The exceptions with which a file system reports a failed operation."""
    if not speaks_s3(filesystem):
        return (OSError,)
    from botocore.exceptions import BotoCoreError, ClientError

    return (OSError, BotoCoreError, ClientError)


def speaks_s3(filesystem: Any) -> bool:
    """Whether the file system is s3fs, which supports conditional writes."""
    return "s3" in (filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,))
