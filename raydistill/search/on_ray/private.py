"""The parts of Ray that are not its public interface. Nothing else of the package imports them (`tests/test_layers.py`).

Ray may move or remove them in any release. So they are imported here, checked when this module is loaded, and reached by the rest
through the functions below: a Ray that lacks one ends with a message instead of an AttributeError in the middle of a search.
`.ci/ray_versions.py` looks the same names up in the wheel of each version that pyproject.toml allows.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import ray

from raydistill.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OLDEST, BELOW = (2, 60), (3,)
"""The range of versions, as pyproject.toml has it."""
TRIED = "2.60.0"
"""The newest version with which the tests have run."""
INSTALL = 'pip install "ray[default,tune]=={}"'
MODE = "RAY_AUTH_MODE"
"""Ray's environment variable: `token` or `disabled`. Ray 2.60 takes unset as disabled, but for a cluster that `ray.init` starts,
and for `ray start --head` and the address `auto` where a token is found; as its makers announce, Ray 2.61 takes it as `token`
for every cluster."""


def number(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (2, 61, 0) of `2.61.0rc1`."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def check_version(version: str) -> None:
    """Refuse a Ray outside the range.

    Raises:
        ClusterError: it is older or newer.
    """
    if not OLDEST <= number(version) < BELOW:
        raise ClusterError(
            f"Ray {version} is installed, but raydistill works with Ray from {_dotted(OLDEST)} and below {_dotted(BELOW)}; "
            f"install one of these on every node, {INSTALL.format(TRIED)}, or search without Ray: --local"
        )


def lacks(version: str, part: str) -> ClusterError:
    """The error for a Ray within the range that has lost a part.

    Args:
        version: of the installed Ray.
        part: what is missing, in Ray's or Python's words.
    """
    return ClusterError(
        f"Ray {version} is installed, but lacks a part of Ray that raydistill uses ({part}); install the version with which "
        f"raydistill was tested on every node, {INSTALL.format(TRIED)}, or search without Ray: --local"
    )


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


check_version(ray.__version__)
try:
    import ray._private.node
    import ray._private.services
    import ray._private.state
    import ray._private.worker
    import ray._raylet
    from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.node import Node
    from ray._private.services import canonicalize_bootstrap_address_or_die
    from ray._private.state import GlobalState
    from ray._raylet import (  # type: ignore[attr-defined]
        AuthenticationMode,
        AuthenticationTokenLoader,
        get_authentication_mode,
    )
    from ray.core.generated.gcs_service_pb2 import CheckAliveRequest  # type: ignore[attr-defined]
    from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub
except ImportError as error:
    raise lacks(ray.__version__, str(error)) from error

ATTRIBUTES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (ray._private.state.state, ("get_cluster_config",)),
    (ray._private.node, ("wait_for_persisted_port",)),
    (ray._private.services, ("get_node", "_get_gcs_client_options")),
    (ray._private.worker, ("_global_node", "print_to_stdstream")),
    (ray._raylet, ("CoreWorker",)),
    (GlobalState, ("_initialize_global_state", "node_table")),
    (Node, ("live_processes", "dead_processes", "gcs_address", "raylet_socket_name")),
    (AuthenticationMode, ("TOKEN",)),
    (AuthenticationTokenLoader, ("instance", "reset_cache", "has_token", "get_token_for_http_header")),
)
"""What is used of the imported parts."""


def missing(attributes: tuple[tuple[Any, tuple[str, ...]], ...]) -> list[str]:
    """Names that objects lack, each with the name of its object."""
    return [
        f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
        for owner, names in attributes
        for name in names
        if not hasattr(owner, name)
    ]


if _missing := missing(ATTRIBUTES):
    raise lacks(ray.__version__, ", ".join(_missing))

node: Any = ray._private.node
services: Any = ray._private.services
worker: Any = ray._private.worker
raylet: Any = ray._raylet
"""Modules in which `starting` replaces a function for a while."""
LOGGER_OF_UPLOADS = "ray._private.runtime_env.packaging"
"""Reports each upload of a job's folder."""
logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # else Ray tells at each start whether it uses a token


class ThisNode:
    """Ray's processes on this machine, of the cluster that this process has started or joined."""

    def __init__(self, own: Node | None = None) -> None:
        """Find it; `ray.init` comes first."""
        found = own or ray._private.worker._global_node
        assert found is not None  # after `join`
        self._node: Any = found

    @property
    def gcs_address(self) -> str:
        """Where Ray's head process listens, `host:port`."""
        return str(self._node.gcs_address)

    @property
    def raylet_socket(self) -> str:
        """Path of the socket of this machine's raylet."""
        return str(self._node.raylet_socket_name)

    def dead_kinds(self) -> set[str]:
        """Kinds of processes, such as `raylet`, that were started here and have ended."""
        return {kind for kind, _ in self._node.dead_processes()}

    def process_ids(self) -> Iterator[int]:
        """Numbers of all processes that were started here."""
        for _, process in (*self._node.live_processes(), *self._node.dead_processes()):
            yield process.pid


def ask_gcs(address: str, seconds: float) -> None:
    """Ask a cluster's head process whether it is alive.

    Args:
        address: `host:port`, or `auto` for a cluster of which this machine is a node.
        seconds: how long it may take to answer.

    Raises:
        ConnectionError: the address is `auto`, and Ray does not run on this machine.
        AuthenticationError: a token is wanted, and none is found.
        grpc.RpcError: the cluster refuses, or does not answer.
    """
    with init_grpc_channel(canonicalize_bootstrap_address_or_die(address)) as channel:
        stub = NodeInfoGcsServiceStub(channel)  # type: ignore[no-untyped-call]
        stub.CheckAlive(CheckAliveRequest(), timeout=seconds)


def use_token_if_found() -> bool:
    """Have Ray send this machine's token, if there is one and RAY_AUTH_MODE is unset; returns whether Ray uses tokens now."""
    return bool(maybe_enable_token_auth_if_token_available())


def is_token_used() -> bool:
    """Whether Ray in this process wants to send a token: by RAY_AUTH_MODE, or by Ray's own choice where it is unset."""
    return bool(get_authentication_mode() == AuthenticationMode.TOKEN)


def is_mode_set() -> bool:
    """Whether the user has decided on tokens."""
    return MODE in os.environ


def token_header() -> Mapping[str, str]:
    """The HTTP header with the token that Ray finds on this machine, read anew; empty if there is none.

    Raises:
        AuthenticationError: an environment variable names a token file that cannot be read.
    """
    loader = AuthenticationTokenLoader.instance()
    loader.reset_cache()
    return dict(loader.get_token_for_http_header(ignore_auth_mode=True))


def nodes_at(gcs_address: str) -> Callable[[], list[Mapping[str, Any]]]:
    """A look at the table of nodes of a cluster, `host:port`, that this process has not joined yet; a row has a `NodeID`."""
    state = GlobalState()  # type: ignore[no-untyped-call]
    state._initialize_global_state(services._get_gcs_client_options(gcs_address))
    return state.node_table


def node_groups() -> list[Any]:
    """The node groups that an autoscaler has reported to the GCS: `name`, `resources` and `max_count` (-1: no limit)."""
    reported = ray._private.state.state.get_cluster_config()
    return [] if reported is None else list(reported.node_group_configs)
