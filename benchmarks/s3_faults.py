"""Fails every request of a small search to an S3 store in turn, runs the search again, and compares the records.

    python benchmarks/s3_faults.py [--every N] [--every-for-good N] [--verb PUT ...] [--fault 500 ...]

The store is a bucket on a real S3 server on the loopback. A small search counts its requests; then, for each n, a fresh search
has its n-th request fail: once (`once`), or this one and all that follow (`for good`). A fault is an answer 500 or 503 (slow
down), a connection that is cut before the answer or in the middle of a file, or no answer in time. The search must go on as if
nothing had happened, or end with one message of ours, and come to the records of an undisturbed search when it is run again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from s3_server import bucket_on_loopback
from write_faults import NOT_COMPARED, SMALL, short_recipe

from raydistill.catalogue import load_space
from raydistill.errors import RaydistillError
from raydistill.search.driver import run_search
from raydistill.search.local import LocalExecutor
from raydistill.search.watcher import SilentWatcher
from raydistill.search.workplace import Workplace
from raydistill.storage import lease, remote
from raydistill.storage.store import Store

FAULTS = ("500", "503", "reset", "timeout", "cut body")
SAID = {
    "500": b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>",
    "503": b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
}
"""As S3 says it. An answer whose code were that of a missing file would be believed, whatever its number."""
VERBS = ("PUT", "GET", "HEAD", "DELETE", "POST")
"""A listing is a GET; what deletes several objects at once is a POST."""


@dataclass
class Fault:
    """Lets one request fail, or all from one on."""

    verb: str | None
    kind: str = "500"
    at: int = 0
    """Which one of its verb, counted from 0."""
    for_good: bool = False
    seen: Counter[str] = field(default_factory=Counter)

    def strikes(self, verb: str) -> bool:
        """Count a request; whether it fails."""
        number = self.seen[verb]
        self.seen[verb] += 1
        return verb == self.verb and (number >= self.at if self.for_good else number == self.at)


@contextmanager
def struck(fault: Fault) -> Iterator[None]:
    """Requests of aiobotocore that fail where they would be sent, below its own retries."""
    from aiobotocore.httpsession import AIOHTTPSession
    from aiohttp import ClientPayloadError
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

    send = AIOHTTPSession.send

    from aiobotocore.awsrequest import AioAWSResponse

    async def failing(session: Any, request: Any) -> Any:
        if not fault.strikes(request.method):
            return await send(session, request)
        if fault.kind == "cut body" and request.stream_output:
            answer = await send(session, request)
            answer.raw.content.set_exception(ClientPayloadError("Response payload is not completed"))
            return answer
        if fault.kind in ("reset", "cut body"):
            raise ConnectionClosedError(endpoint_url=request.url)
        if fault.kind == "timeout":
            raise ReadTimeoutError(endpoint_url=request.url)
        answer = AioAWSResponse(request.url, int(fault.kind), {"content-type": "application/xml"}, None)
        answer._content = b"" if request.method == "HEAD" else SAID[fault.kind]
        return answer

    with patch.object(AIOHTTPSession, "send", failing):
        yield


def search(store: str) -> None:
    """The small search, in this process."""
    space = load_space("digits_datadam", list(SMALL), None)
    run_search(space, Store(store), Workplace(executor=LocalExecutor(), data_root=None, watcher=SilentWatcher()))


def records(store: str) -> dict[str, Any]:
    """What must be the same, by trial, and the answers of the result."""
    study, found = Store(store).at("small"), {}
    for trial in study.folders("trials"):
        record = study.read_json(f"trials/{trial}/record.json")
        found[trial] = {key: value for key, value in record.items() if key not in NOT_COMPARED}
    result = study.read_json("result.json")
    found["result"] = {key: result[key] for key in ("verdict", "winner_trial_id", "trials", "gap_interval")}
    return found


def outcome(fault: Fault, undisturbed: dict[str, Any]) -> str:
    """What became of a search with a fault: `went on`, `told and resumed`, or what was wrong."""
    with bucket_on_loopback() as bucket, patch.dict(os.environ, bucket.environment):
        try:
            with struck(fault):
                search(bucket.uri)
            said = "went on"
        except RaydistillError as error:
            said = "told and resumed" if bucket.uri in str(error) else f"no place named: {error}"
        except Exception as error:  # noqa: BLE001  # it is what is looked for
            return f"traceback: {type(error).__name__}: {error}"
        search(bucket.uri)
        return said if records(bucket.uri) == undisturbed else "other records"


@contextmanager
def impatient() -> Iterator[None]:
    """Leases that are taken over at once, because no holder of one lives, and retries without pauses."""
    asked_again = find_spec("raydistill.storage.patience") is not None
    settings = {**remote.S3_OPTIONS["config_kwargs"], "retries": {"total_max_attempts": 3, "mode": "standard"}}
    with (
        patch.object(lease, "POLL_SECONDS", 0.05),
        patch.object(lease, "LEASE_SECONDS", 0.5),
        patch.dict(remote.S3_OPTIONS, {"config_kwargs": settings}),
        patch("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0),
        patch("raydistill.storage.patience.PATIENCE_SECONDS", 1.0) if asked_again else nullcontext(),
        patch("raydistill.storage.patience.PAUSE_SECONDS", 0.1) if asked_again else nullcontext(),
        short_recipe(),
    ):
        yield


def undisturbed_search() -> tuple[dict[str, Any], Counter[str]]:
    """The records of a search without faults, and its requests by verb."""
    counted = Fault(None)
    with bucket_on_loopback() as bucket, patch.dict(os.environ, bucket.environment):
        with struck(counted):
            search(bucket.uri)
        return records(bucket.uri), counted.seen


def main() -> None:
    """Print a row per verb, fault and duration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="strike only every so many requests")
    parser.add_argument("--every-for-good", type=int, default=10, help="the same where all that follow fail, too")
    parser.add_argument("--verb", action="append", choices=VERBS)
    parser.add_argument("--fault", action="append", choices=FAULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with impatient():
        found, seen = undisturbed_search()
        print(
            f"requests of an undisturbed search: {dict(seen)}\n\n| request | fault | how long | failed in turn | outcome |",
            flush=True,
        )
        print("|---|---|---|---|---|")
        for verb in options.verb or [verb for verb in VERBS if seen[verb]]:
            for kind in options.fault or (FAULTS if verb == "GET" else FAULTS[:-1]):  # nothing else has a file for an answer
                for for_good in (False, True):
                    struck_at = range(0, seen[verb], options.every_for_good if for_good else options.every)
                    outcomes = Counter(outcome(Fault(verb, kind, at, for_good), found) for at in struck_at)
                    told = ", ".join(f"{said}: {count}" for said, count in outcomes.most_common())
                    print(f"| {verb} | {kind} | {'for good' if for_good else 'once'} | {len(struck_at)} | {told} |", flush=True)


if __name__ == "__main__":
    main()
