"""Joins a cluster, or reports why that fails: there is no cluster, or the token is missing or wrong.

This is checked before `ray.init`, which tries for twenty seconds and then reports only that it cannot connect.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import grpc  # comes with ray[default]
import psutil  # type: ignore[import-untyped]  # comes with ray
import ray
from ray.exceptions import AuthenticationError

from raydistill.errors import ClusterError
from raydistill.search.on_ray.private import (
    ThisNode,
    ask_gcs,
    is_mode_set,
    is_token_used,
    token_header,
    use_token_if_found,
)
from raydistill.search.on_ray.starting import interruptible, quiet

TOKEN_PLACES = "RAY_AUTH_TOKEN, then the file that RAY_AUTH_TOKEN_PATH names, then ~/.ray/auth_token"
WAIT_SECONDS = 10
LEAVE_SECONDS = 3.0
"""How long Ray may take to let go of a cluster that has ended."""
PATIENCE = {
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_gcs_server_port_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
}
"""Environment of a cluster that is started here, unless the user has set it: how long its processes may take to start.

Ray's own 30 to 100 seconds are too short on a machine whose cores are all busy: Ray gives up and leaves half a cluster running.
"""
MARK = "RAYDISTILL_CLUSTER"
"""Environment variable by which the processes of a cluster that is started here are known when they are nobody's children."""
_MARKED = uuid.uuid4().hex
"""A part of its value, beside the number of the process: a fork has the same."""
SUBMIT = "to start a search from a machine that is not a node of the cluster, use `raydistill submit`"


class Joined(Protocol):
    """What `ray.init` returns of a cluster."""

    dashboard_url: str | None


def join(address: str) -> Joined:
    """Start a cluster on this machine (`local`), or join the one at an address.

    Raises:
        ClusterError: there is no cluster, it refuses the token, or it cannot be joined from this machine.
    """
    if address == "local":
        be_patient()
    else:
        check_gcs(address)
    try:
        with _handlers_kept(), interruptible(), quiet(), _marked():
            return ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError) as error:
        if address == "local":
            raise
        raise ClusterError(f"the cluster at {address} cannot be joined from this machine: {error}; {SUBMIT}") from error


def leave(*, is_own: bool, is_lost: bool) -> None:
    """Shut down the cluster that was started here, or leave the one that was joined.

    Args:
        is_own: it was started here.
        is_lost: Ray has ended already; what is left of it here is killed, and no answer from it is waited for.
    """
    began: list[psutil.Process] = []
    for process in started_here() if is_own else ():
        with suppress(psutil.Error):
            began += process.children(recursive=True)
    try:
        _leave(is_lost=is_lost)
    finally:
        # Some, such as those that Ray's dashboard has started, would notice the end much later on a busy machine.
        for process in began:
            with suppress(psutil.Error):
                process.kill()
        if is_own:
            kill_orphans()  # that began in the meantime


def _leave(*, is_lost: bool) -> None:
    with _handlers_kept():
        if not is_lost:
            ray.shutdown()
            return
        kill_with_children(ThisNode().process_ids())
        # Ray would wait for its head process for twenty seconds, and again when Python ends.
        atexit.unregister(ray.shutdown)
        closing = threading.Thread(target=ray.shutdown, name="raydistill-leave", daemon=True)
        closing.start()
        closing.join(LEAVE_SECONDS)


def started_here() -> list[psutil.Process]:
    """Ray's processes that this one has started."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if f"{os.sep}ray{os.sep}" in " ".join(child.cmdline()):
                found.append(child)
    return found


def kill_orphans() -> None:
    """Kill what a cluster that this process has started left behind when a process of its own was killed.

    Such are the agents of a raylet and the modules of the dashboard: on a busy machine they would end much later by themselves.
    """
    own = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    orphans = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # another user's, or one that has ended
            if process.pid not in own and process.environ().get(MARK) == _mark():
                orphans.append(process.pid)
    # A process that has set its title shows no environment; those of Ray are children of one that does.
    kill_with_children(orphans)


def kill_with_children(processes: Iterable[int]) -> None:
    """Kill processes and all that they have started; those that have ended are passed over."""
    found = []
    for number in processes:
        try:
            process = psutil.Process(number)
            found += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _mark() -> str:
    """The value of the mark: this process's own."""
    return f"{os.getpid()}-{_MARKED}"


@contextmanager
def _marked() -> Iterator[None]:
    """Have the processes that are started meanwhile, and all that they start, carry the mark of this one."""
    os.environ[MARK] = _mark()
    try:
        yield
    finally:
        del os.environ[MARK]


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Have the command's handler of SIGTERM, or that it is ignored, outlive Ray's.

    `ray.init` installs its own, and `ray.shutdown` the system's, which Python does not see.
    """
    before = signal.getsignal(signal.SIGTERM)
    if not (callable(before) or before is signal.SIG_IGN) or threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        yield
    except SystemExit:
        # So ends Ray's handler if the signal comes inside `ray.init`.
        signal.signal(signal.SIGTERM, before)
        signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def be_patient() -> None:
    """Before `ray.init` starts a cluster here: give its processes time."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)


def check_gcs(address: str) -> None:
    """Check that the cluster that `ray.init(address)` would join exists and accepts the token.

    Raises:
        ClusterError: there is no cluster, or it refuses the token.
    """
    if "://" in address:
        raise ClusterError(f"--address {address}; expected host:port, or auto on a node of the cluster; {SUBMIT}")
    try:
        _ask(address)
    except ConnectionError as error:
        raise ClusterError(
            f"--address {address}: Ray does not run on this machine; run the command on a node of the cluster, or give "
            f"host:port; {SUBMIT}"
        ) from error
    except AuthenticationError as error:
        raise ClusterError(refused(address, is_token_sent=is_token_used() and bool(token_headers()))) from error
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise ClusterError(refused(address, is_token_sent=is_token_used() and bool(token_headers()))) from error
        raise ClusterError(
            f"no Ray cluster answers at {address} ({error.code().name}); give auto on a node of the cluster, or host:port; "
            f"{SUBMIT}"
        ) from error


def _ask(address: str) -> None:
    """Ask the GCS, with this machine's token if it wants one.

    To the address `auto` a token that is found is sent at once, as `ray.init` of Ray 2.60 does. To another address this Ray
    sends none unless RAY_AUTH_MODE says so; here it is sent when the cluster asks for it, so that a search joins a cluster that
    wants a token, as Ray 2.61 has them all, whatever Ray's default is.
    """
    if address == "auto":
        use_token_if_found()
    try:
        ask_gcs(address, WAIT_SECONDS)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.UNAUTHENTICATED or is_mode_set() or not use_token_if_found():
            raise
        ask_gcs(address, WAIT_SECONDS)


def refused(address: str, *, is_token_sent: bool) -> str:
    """The message for a missing or wrong token."""
    cause = "the token of this machine is a different one" if is_token_sent else "none was sent"
    return (
        f"the cluster at {address} requires a token, and {cause}. Ray looks for it in {TOKEN_PLACES}; RAY_AUTH_MODE is "
        f"{os.environ.get('RAY_AUTH_MODE', 'unset')}. Put the cluster's token there (the one of the machine where `ray up` ran) "
        "and set RAY_AUTH_MODE=token"
    )


def token_headers() -> dict[str, str]:
    """The HTTP header with the token that Ray finds on this machine; empty if there is none.

    Raises:
        ClusterError: an environment variable names a token file that cannot be read.
    """
    try:
        return dict(token_header())
    except AuthenticationError as error:
        cause = str(error).partition(". ")[0]
        raise ClusterError(
            f"the token cannot be read ({cause}); Ray looks for it in {TOKEN_PLACES}: put it there, or unset the variable"
        ) from error


def has_authentication(dashboard: str) -> bool:
    """Whether a dashboard refuses a call without a token.

    Args:
        dashboard: its address, `http://host:port`.

    Raises:
        ClusterError: no Ray dashboard answers at the address.
    """
    how = "give --address http://host:8265; `ray dashboard cluster.yaml` makes a cluster's available at http://127.0.0.1:8265"
    if not dashboard.startswith(("http://", "https://")):
        raise ClusterError(f"--address {dashboard}; expected the address of a Ray dashboard: {how}")
    try:
        with urllib.request.urlopen(f"{dashboard.rstrip('/')}/api/jobs/", timeout=WAIT_SECONDS) as answer:
            jobs = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 401:
            return True
        raise ClusterError(f"{dashboard} answers with HTTP {error.code}, so it is not a Ray dashboard: {how}") from error
    except ValueError as error:
        raise ClusterError(f"{dashboard} answers, but is not a Ray dashboard: {how}") from error
    except OSError as error:
        raise ClusterError(f"nothing answers at {dashboard} ({getattr(error, 'reason', error)}); {how}") from error
    if not isinstance(jobs, list):
        raise ClusterError(f"{dashboard} answers, but is not a Ray dashboard: {how}")
    return False
