"""Submits a search to a running cluster: checks it here first, then runs `raydistill search` as a job on the cluster's head."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from raydistill.catalogue import find_space, known
from raydistill.errors import InputError
from raydistill.search.again import AGAIN
from raydistill.spaces.data_facts import MOST_IMAGES, DataFacts
from raydistill.spaces.known import Known
from raydistill.spaces.parse import read_space
from raydistill.spaces.sections import DatasetConfig
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.units import points
from raydistill.storage.checkout import commit
from raydistill.storage.given import whole_space
from raydistill.storage.record import code_sha256
from raydistill.storage.remote import refuse_credentials

WITHOUT_FILES = ("digits",)
"""Data sets that are part of a package; spaces with other data sets are checked against the data only on the cluster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A search as a job: its command, and the metadata that the dashboard shows."""

    space: SearchSpace
    space_file: Path
    """Uploaded to the cluster unchanged."""
    command: str
    again: tuple[str, ...]
    """The words that submit it, but for the cluster's address."""
    metadata: dict[str, str]


def plan_submission(
    space: str,
    *,
    store: str,
    data_root: str | None = None,
    trials: int | None = None,
    overrides: Sequence[str] = (),
    accept_code_change: bool = False,
) -> Submission:
    """Check a search, and prepare its submission as a job.

    Args:
        space: a YAML file, or the name of a shipped space.
        store: folder or URI of the store, the same on every node.
        data_root: folder or URI of the data files, the same on every node.
        trials: overrides `budget.trials`.
        overrides: `path.to.field=value`, as `--set` takes them.
        accept_code_change: continue a study that another version of the code began.

    Raises:
        SpaceError: the space has mistakes; the message lists all of them.
        InputError: there is no such space, or a path is relative.
        StoreError: a URI contains credentials.
    """
    file = find_space(space)
    budget = [] if trials is None else [f"budget.trials={trials}"]
    # Only the file goes to the cluster, so images beside it are not looked for here.
    checked = read_space(file, _known_here(), [*overrides, *budget], finds_beside=False)
    _refuse_relative("--store", store, "/shared/studies or s3://bucket/studies")
    refuse_credentials(store)
    options = ["--store", store]
    if data_root is not None:
        _refuse_relative("--data-root", data_root, "/shared/data")
        refuse_credentials(data_root)
        options += ["--data-root", data_root]
    options += [] if trials is None else ["--trials", str(trials)]
    options += [word for override in overrides for word in ("--set", override)]
    options += ["--accept-code-change"] if accept_code_change else []
    return Submission(
        space=checked,
        space_file=file,
        command=shlex.join(["raydistill", "search", file.name, "--address", "auto", *options]),
        again=("raydistill", "submit", whole_space(space) or space, *options),
        metadata=_metadata(checked),
    )


def submit(submission: Submission, dashboard: str, *, allow_unauthenticated: bool) -> str:
    """Submit the job; returns its submission id.

    Raises:
        ClusterError: no cluster answers at this address, the token is missing or wrong, or the cluster requires no token.
    """
    from raydistill.search.on_ray.submit import submit_job

    again = [*submission.again, "--address", dashboard, *(["--allow-unauthenticated"] if allow_unauthenticated else [])]
    with tempfile.TemporaryDirectory(prefix="raydistill-submit-") as folder:
        shutil.copyfile(submission.space_file, Path(folder) / submission.space_file.name)
        return submit_job(
            dashboard,
            submission.command,
            Path(folder),
            submission.metadata,
            environment={AGAIN: shlex.join(again)},
            allow_unauthenticated=allow_unauthenticated,
        )


def submitted_lines(submission: Submission, dashboard: str, job: str, store: str, *, allow_unauthenticated: bool) -> str:
    """The lines printed after a submission: the job, and how to follow and stop it."""
    study = submission.space.study
    mode = "" if allow_unauthenticated else "RAY_AUTH_MODE=token "
    at = f"--address {shlex.quote(dashboard)}"
    rows = [
        ("Submitted", f"{submission.metadata['job_name']} as {job}: {submission.command}"),
        ("Follow", f"{mode}ray job logs {at} --follow {job}"),
        ("Status", f"raydistill status {shlex.join([study, '--store', store])}  # on any machine that sees the store"),
        ("Dashboard", dashboard),
        ("End", f"{mode}ray job stop {at} {job}  # finished work is saved; submitted again, the search continues"),
    ]
    return "\n".join(f"{name:<10} {value}" for name, value in rows)


def _known_here() -> Known:
    """The names that a space may use. Data files may exist only on the cluster, so checks against them happen there."""
    here = known(None)

    def facts(config: DatasetConfig) -> DataFacts:
        if config.name in WITHOUT_FILES:
            return here.data_facts(config)
        return DataFacts(smallest_class=MOST_IMAGES, confirm_images=MOST_IMAGES)

    return dataclasses.replace(here, data_facts=facts)


def _refuse_relative(option: str, given: str, example: str) -> None:
    """Refuse a relative path, which means a different folder on every machine."""
    if "://" not in given and not PurePosixPath(given).is_absolute():
        raise InputError(
            f"{option} {given} is a relative path; every node must find the same folder: give an absolute path or a URI, like "
            f"{example}"
        )


def _metadata(space: SearchSpace) -> dict[str, str]:
    return {
        "job_name": f"raydistill:{space.study}",
        "study": space.study,
        "dataset": str(space.shared["dataset"]["name"]),
        "method": ", ".join(arm.label for arm in space.methods),
        "goal": f"gap within {points(space.goal.margin_fraction)} at {100 * space.goal.confidence:g} % confidence",
        "commit": commit() or f"code {code_sha256()[:12]}",
    }
