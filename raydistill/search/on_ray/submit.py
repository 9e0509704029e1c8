"""Sends a command to a running cluster as a job, through its dashboard."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from raydistill.errors import ClusterError
from raydistill.search.on_ray.access import has_authentication, refused, token_headers

OVERRIDING = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Variables that Ray's client obeys in place of the address it is given."""

TALKATIVE = ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging")
"""Loggers that tell of each upload."""


def submit_job(
    dashboard: str, command: str, folder: Path, metadata: Mapping[str, str], *, allow_unauthenticated: bool = False
) -> str:
    """The submission id of a job that now runs, or waits to run, on the cluster's head.

    Args:
        dashboard: address of the cluster's dashboard, `http://host:port`.
        command: what the job runs, for a shell.
        folder: goes to the cluster and is the job's working folder there.
        metadata: shown with the job; `job_name` is its name.
        allow_unauthenticated: take a cluster that asks nobody for a token.

    Raises:
        ClusterError: no cluster answers there, the token is missing or wrong, or nothing is asked for one.
    """
    for name in OVERRIDING:
        if os.environ.get(name, dashboard) != dashboard:
            raise ClusterError(
                f"--address {dashboard}, and {name} is {os.environ[name]}, which Ray would take in its place; "
                f"one of them is wanted: unset {name}, or give its value to --address"
            )
    is_guarded = has_authentication(dashboard)
    if not is_guarded and not allow_unauthenticated:
        raise ClusterError(
            f"the cluster at {dashboard} asks for no token: whoever reaches it can run anything on its nodes. Only clusters with "
            "RAY_AUTH_MODE=token are taken: start it as cluster.yaml does, or give --allow-unauthenticated if you trust everyone "
            "who can reach it"
        )
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    headers = token_headers() if is_guarded else {}
    try:
        client = JobSubmissionClient(dashboard, headers=headers)
        return str(client.submit_job(entrypoint=command, runtime_env={"working_dir": str(folder)}, metadata=dict(metadata)))
    except AuthenticationError as error:
        raise ClusterError(refused(dashboard, is_token_sent=bool(headers))) from error
    except (ConnectionError, RuntimeError) as error:
        raise ClusterError(
            f"the cluster at {dashboard} did not take the job: {error}; look at its dashboard, then try again"
        ) from error
