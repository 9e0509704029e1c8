"""A real S3 server (moto's) on a free port of the loopback, in a thread: what speaks to it goes over HTTP."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

SECRET = "wJalrXUtnFEMI-a-secret-of-this-test"


@dataclass
class Requests(logging.Handler):
    """Counts the requests that the server answered, as `METHOD path`."""

    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def emit(self, record: logging.LogRecord) -> None:
        words = re.sub(r"\x1b\[\d+m", "", record.getMessage()).split('"')  # errors are coloured
        self.seen.append(words[1].rpartition(" ")[0])

    __hash__ = object.__hash__


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """An empty bucket."""

    name: str
    endpoint: str
    requests: list[str]

    @property
    def uri(self) -> str:
        return f"s3://{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@cache
def _server() -> tuple[str, Requests]:
    """One server for all tests of a process; it ends with the process."""
    from moto.server import ThreadedMotoServer

    requests = Requests()
    log = logging.getLogger("werkzeug")
    log.setLevel(logging.INFO)
    log.addHandler(requests)
    log.propagate = False
    server: Any = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}", requests


@contextmanager
def bucket_on_loopback() -> Iterator[Bucket]:
    import boto3

    endpoint, requests = _server()
    bucket = Bucket(name=f"bucket-{uuid.uuid4().hex[:12]}", endpoint=endpoint, requests=requests.seen)
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="setup", aws_secret_access_key="setup"
    )
    client.create_bucket(Bucket=bucket.name)
    requests.seen.clear()
    yield bucket
