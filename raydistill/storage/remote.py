"""File systems behind URIs: opening them, the errors they raise, and the refusal of URIs that contain credentials.

`s3://` and local folders are tested; every other scheme of fsspec is opened in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import fsspec

from raydistill.errors import StoreError, StoreUnavailableError

S3_OPTIONS: dict[str, Any] = {
    "max_concurrency": 1,  # one GET per read; with more, s3fs asks for the size first
    "config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"total_max_attempts": 3, "mode": "standard"}},
}
"""Three attempts with growing pauses: an endpoint that is down is reported within seconds, a busy one is tried again."""


def _one_attempt(connect_seconds: float, read_seconds: float) -> dict[str, Any]:
    waits = {"connect_timeout": connect_seconds, "read_timeout": read_seconds}
    return S3_OPTIONS | {"config_kwargs": {**waits, "retries": {"total_max_attempts": 1, "mode": "standard"}}}


S3_PATIENT_OPTIONS = _one_attempt(3, 10)
"""For `patience`, which asks again itself: a write must end before another process may take the lease (`lease.STOP_SECONDS`)."""
S3_RENEWAL_OPTIONS = _one_attempt(3, 5)
"""For the renewal of a lease, which is made again soon."""

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


def open_file_system(uri: str, s3_options: Mapping[str, Any] = S3_OPTIONS) -> tuple[Any, str]:
    """The file system of a path or URI, and the path in it. Listings are not cached, because other nodes write there too.

    Args:
        uri: path or URI.
        s3_options: attempts and timeouts, where it is one of S3.

    Raises:
        StoreError: no installed package can open the URI.
        StoreUnavailableError: the settings of S3 (profile, end point, credentials) cannot be used.
    """
    options = s3_options if is_s3(uri) else {}
    try:
        filesystem, path = fsspec.url_to_fs(uri, use_listings_cache=False, **options)
    except (ImportError, ValueError) as error:
        raise StoreError(
            f"{uri} cannot be opened ({error}); s3:// needs the extra `raydistill[s3]`, other schemes their fsspec package: "
            "install it, or give a folder"
        ) from error
    if speaks_s3(filesystem):
        filesystem.retries = 1  # s3fs repeats botocore's own attempts; its default of 5 delays an error fivefold
        _send_at_once(filesystem, uri)
    return filesystem, str(path)


def _send_at_once(filesystem: Any, uri: str) -> None:
    """Send what is written without asking first (`Expect: 100-continue`).

    No timeout runs while aiohttp waits for the answer to that, so a store that takes a call and says nothing would be waited for
    without an end. At each opening, because s3fs makes a new client when the connections of its old one are closed.
    """
    from botocore.handlers import add_expect_header

    failing: tuple[type[Exception], ...] = (*failures(filesystem), ValueError)
    try:
        filesystem.connect()
    except failing as error:
        raise StoreUnavailableError(
            f"{uri} cannot be opened: {without_credentials(str(error))}; correct the profile, end point or credentials of S3"
        ) from None
    filesystem.s3.meta.events.unregister("before-call.s3", add_expect_header)


def is_s3(uri: str) -> bool:
    """Whether a path or URI is one of S3."""
    return uri.startswith(("s3://", "s3a://"))


def failures(filesystem: Any) -> tuple[type[Exception], ...]:
    """The exceptions with which a file system reports a failed operation."""
    if not speaks_s3(filesystem):
        return (OSError,)
    from aiohttp import ClientError as BrokenOff  # in the middle of a file: it comes unwrapped
    from botocore.exceptions import BotoCoreError, ClientError

    return (OSError, BotoCoreError, ClientError, BrokenOff)


def speaks_s3(filesystem: Any) -> bool:
    """Whether the file system is s3fs, which supports conditional writes."""
    return "s3" in (filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,))
