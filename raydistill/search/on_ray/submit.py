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
from raydistill.search.on_ray.private import LOGGER_OF_UPLOADS

OVERRIDING = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Environment variables that Ray's client uses instead of the given address."""

TALKATIVE = ("ray.dashboard.modules.dashboard_sdk", LOGGER_OF_UPLOADS)
"""Loggers that report each upload."""


def submit_job(
    dashboard: str,
    command: str,
    folder: Path,
    metadata: Mapping[str, str],
    *,
    environment: Mapping[str, str] | None = None,
    allow_unauthenticated: bool = False,
) -> str:
    """Submit a job, which runs on the cluster's head node; returns its submission id.

    Args:
        dashboard: address of the cluster's dashboard, `http://host:port`.
        command: shell command of the job.
        folder: uploaded to the cluster; the working folder of the job.
        metadata: shown with the job; `job_name` is its name.
        environment: variables of the job.
        allow_unauthenticated: accept a cluster that requires no token.

    Raises:
        ClusterError: no cluster answers at this address, the token is missing or wrong, or the cluster requires no token.
    """
    for name in OVERRIDING:
        if os.environ.get(name, dashboard) != dashboard:
            raise ClusterError(
                f"--address is {dashboard}, but {name} is {os.environ[name]}, which Ray would use instead; "
                f"unset {name}, or give its value as --address"
            )
    is_guarded = has_authentication(dashboard)
    if not is_guarded and not allow_unauthenticated:
        raise ClusterError(
            f"the cluster at {dashboard} requires no token: everyone who can reach it can run any code on its nodes. Only "
            "clusters with RAY_AUTH_MODE=token are accepted: start it as cluster.yaml does, or give --allow-unauthenticated if "
            "you trust everyone who can reach it"
        )
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    headers = token_headers() if is_guarded else {}
    try:
        client = JobSubmissionClient(dashboard, headers=headers)
        runtime = {"working_dir": str(folder), "env_vars": dict(environment or {})}
        return str(client.submit_job(entrypoint=command, runtime_env=runtime, metadata=dict(metadata)))
    except AuthenticationError as error:
        raise ClusterError(refused(dashboard, is_token_sent=bool(headers))) from error
    except (ConnectionError, RuntimeError) as error:
        raise ClusterError(
            f"the cluster at {dashboard} did not accept the job: {error}; check its dashboard, then try again"
        ) from error
