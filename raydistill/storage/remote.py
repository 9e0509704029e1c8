"""File systems behind URIs: how they are opened, what they raise, and that no credentials stand in a URI.

A leaf. `s3://` and local folders are tested; what else fsspec knows is opened the same way.
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
"""Three attempts with growing pauses: an end point that does not answer is told in seconds, one that is busy is asked again."""

_USER_AND_PASSWORD = re.compile(r"(\w+://)[^/@\s:]*:[^/@\s]*@")
_SIGNED_QUERY = re.compile(r"([?&][\w-]*(?:key|secret|token|sig|password|credential)[\w-]*=)[^&\s]*", re.IGNORECASE)


def refuse_credentials(uri: str) -> None:
    """Check that a URI names a place and nothing secret.

    Raises:
        StoreError: it holds a password, a key or a signature; the message does not.
    """
    if without_credentials(uri) != uri:
        raise StoreError(
            f"{without_credentials(uri)} holds credentials, and a URI is written to records and logs: name the place alone, and "
            "give the credentials in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role of the machine)"
        )


def without_credentials(text: str) -> str:
    """A text in which users, passwords, keys and signatures of URIs are blotted out."""
    blotted = _USER_AND_PASSWORD.sub(r"\1***@", text)
    return _SIGNED_QUERY.sub(r"\1***", blotted) if "://" in text else blotted


def open_file_system(uri: str) -> tuple[Any, str]:
    """The file system of a path or URI, and the path in it; listings are not cached, for other nodes write there too.

    Raises:
        StoreError: no installed package serves such URIs.
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
        filesystem.retries = 1  # around botocore's own attempts: five times as long until an error is told
    return filesystem, str(path)


def failures(filesystem: Any) -> tuple[type[Exception], ...]:
    """What a file system raises where it cannot do what is asked."""
    if not speaks_s3(filesystem):
        return (OSError,)
    from botocore.exceptions import BotoCoreError, ClientError

    return (OSError, BotoCoreError, ClientError)


def speaks_s3(filesystem: Any) -> bool:
    """Whether it is s3fs, whose writes may have a condition."""
    return "s3" in (filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,))
