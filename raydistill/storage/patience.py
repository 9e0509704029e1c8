"""Asks a store again that does not answer, so that a search of days outlasts an outage of half a minute.

Only those ask again who have work to lose: the search that holds a study, and the processes of its trials and jobs. Everybody
else is told at once. S3 alone: a local folder or NFS waits by itself, and other stores do not say what their errors mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

PATIENCE_SECONDS = 60.0
"""How long a process asks again. The search itself stops as soon as its lease on the study is too old (`lease.STOP_SECONDS`)."""
PAUSE_SECONDS = 1.0


class Patient:
    """A file system of s3fs whose calls are made again while the store does not answer."""

    def __init__(
        self,
        filesystem: Any,
        guard: Callable[[], None] | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Call `guard`, if there is one, before a call is made again; it raises when the call must not be made any more."""
        self._filesystem = filesystem
        self._guard = guard
        self._clock = clock
        self._sleep = sleep

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._filesystem, name)
        return partial(self._until_it_answers, found) if callable(found) else found

    def _until_it_answers(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        until = self._clock() + PATIENCE_SECONDS
        while True:
            try:
                return call(*arguments, **named)
            except Exception as error:
                if not is_no_answer(error) or self._clock() >= until:
                    raise
            self._sleep(PAUSE_SECONDS)
            if self._guard is not None:
                self._guard()


def is_no_answer(error: Exception) -> bool:
    """Whether an S3 store could not be reached, broke off, or said that it cannot answer now (HTTP 5xx, 429)."""
    from aiohttp import ClientError as BrokenOff
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError

    if isinstance(error, NoConnection | HTTPClientError | BrokenOff | ConnectionError | TimeoutError):
        return True
    cause: Any = error.__cause__  # s3fs raises an OSError from it
    answer = getattr(cause, "response", None) or getattr(error, "response", None) or {}
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return status >= 500 or status == 429
