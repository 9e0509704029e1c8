"""Joins a cluster, or says why not: it is not there, it asks for a token, ours is not its own.

Asked before Ray is, which tries for twenty seconds and then says only that it could not connect.
"""

from __future__ import annotations

import json
import logging
import os
import urllib.error
import urllib.request

import grpc  # comes with ray[default]
import ray
from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
from ray._private.grpc_utils import init_grpc_channel
from ray._private.services import canonicalize_bootstrap_address_or_die
from ray._private.worker import BaseContext
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]
from ray.core.generated.gcs_service_pb2 import CheckAliveRequest  # type: ignore[attr-defined]
from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub
from ray.exceptions import AuthenticationError

from raydistill.errors import ClusterError

TOKEN_PLACES = "RAY_AUTH_TOKEN, then the file that RAY_AUTH_TOKEN_PATH names, then ~/.ray/auth_token"
WAIT_SECONDS = 10
PATIENCE = {
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_gcs_server_port_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
}
"""Environment of a cluster that starts here, unless a person has set it: how long its processes may take to come up.

Ray's own 30 to 100 seconds are not enough on a machine whose cores are all at work: it gives up and leaves half a cluster behind.
"""
SUBMIT = "to send a search from a machine that is no node, write `raydistill submit`"


def join(address: str) -> BaseContext:
    """Start a cluster on this machine (`local`), or join the one at an address.

    Raises:
        ClusterError: it is not there, refuses our token, or cannot be joined from this machine.
    """
    if address == "local":
        be_patient()
    else:
        check_gcs(address)
    try:
        return ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError) as error:
        if address == "local":
            raise
        raise ClusterError(f"the cluster at {address} cannot be joined from this machine: {error}; {SUBMIT}") from error


def be_patient() -> None:
    """Before `ray.init` starts a cluster here: give its processes time."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)


def check_gcs(address: str) -> None:
    """Ask the cluster that `ray.init(address)` would join whether it is there and takes our token.

    Raises:
        ClusterError: it is not, or does not.
    """
    if "://" in address:
        raise ClusterError(f"--address {address}; auto on a node of the cluster, or host:port, is wanted; {SUBMIT}")
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    try:
        if address == "auto":
            # As ray.init does: a token that is found is used where the cluster is found too, but not for a stated address.
            maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        gcs = canonicalize_bootstrap_address_or_die(address)
        with init_grpc_channel(gcs) as channel:
            stub = NodeInfoGcsServiceStub(channel)  # type: ignore[no-untyped-call]
            stub.CheckAlive(CheckAliveRequest(), timeout=WAIT_SECONDS)
    except ConnectionError as error:
        raise ClusterError(
            f"--address {address} finds no Ray on this machine; run the command on a node of the cluster, or give host:port; "
            f"{SUBMIT}"
        ) from error
    except AuthenticationError as error:
        raise ClusterError(refused(address, is_token_sent=_is_token_used())) from error
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise ClusterError(refused(address, is_token_sent=_is_token_used())) from error
        raise ClusterError(
            f"no Ray cluster answers at {address} ({error.code().name}); give auto on a node of the cluster, or host:port; "
            f"{SUBMIT}"
        ) from error


def refused(address: str, *, is_token_sent: bool) -> str:
    """What to say where a token is missing or wrong."""
    cause = "the one found here is not its own" if is_token_sent else "none was sent"
    return (
        f"the cluster at {address} asks for a token, and {cause}. It is looked for in {TOKEN_PLACES}; RAY_AUTH_MODE is "
        f"{os.environ.get('RAY_AUTH_MODE', 'unset')}. Put the cluster's token there (that of the machine where `ray up` ran) and "
        "set RAY_AUTH_MODE=token"
    )


def _is_token_used() -> bool:
    """Whether Ray in this process sends a token."""
    return os.environ.get("RAY_AUTH_MODE", "").lower() == "token" and bool(token_headers())


def token_headers() -> dict[str, str]:
    """The header with the token that Ray finds on this machine now; empty where there is none.

    Raises:
        ClusterError: a variable points to a token that cannot be read.
    """
    loader = AuthenticationTokenLoader.instance()
    loader.reset_cache()
    try:
        return dict(loader.get_token_for_http_header(ignore_auth_mode=True))
    except AuthenticationError as error:
        cause = str(error).partition(". ")[0]
        raise ClusterError(
            f"the token cannot be read ({cause}); it is looked for in {TOKEN_PLACES}: put it there, or unset what leads elsewhere"
        ) from error


def has_authentication(dashboard: str) -> bool:
    """Whether a dashboard refuses a call without a token.

    Args:
        dashboard: its address, `http://host:port`.

    Raises:
        ClusterError: no dashboard of Ray answers there.
    """
    how = "give --address http://host:8265; `ray dashboard cluster.yaml` brings a cluster's to http://127.0.0.1:8265"
    if not dashboard.startswith(("http://", "https://")):
        raise ClusterError(f"--address {dashboard}; the address of a dashboard is wanted: {how}")
    try:
        with urllib.request.urlopen(f"{dashboard.rstrip('/')}/api/jobs/", timeout=WAIT_SECONDS) as answer:
            jobs = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 401:
            return True
        raise ClusterError(f"{dashboard} answers with HTTP {error.code}, as no dashboard of Ray does: {how}") from error
    except ValueError as error:
        raise ClusterError(f"{dashboard} answers, but not as a dashboard of Ray: {how}") from error
    except OSError as error:
        raise ClusterError(f"nothing answers at {dashboard} ({getattr(error, 'reason', error)}); {how}") from error
    if not isinstance(jobs, list):
        raise ClusterError(f"{dashboard} answers, but not as a dashboard of Ray: {how}")
    return False
