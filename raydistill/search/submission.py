"""Sends a search to a running cluster: checked here first, then `raydistill search` as a job on the cluster's head."""

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
from raydistill.spaces.data_facts import MOST_IMAGES, DataFacts
from raydistill.spaces.parse import Known, read_space
from raydistill.spaces.sections import DatasetConfig
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.units import points
from raydistill.storage.checkout import commit
from raydistill.storage.record import code_sha256
from raydistill.storage.remote import refuse_credentials

WITHOUT_FILES = ("digits",)
"""Data sets inside a package, so that a space over them is checked against the data here too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A search as a job: what runs, and what the dashboard shows with it."""

    space: SearchSpace
    space_file: Path
    """Goes to the cluster as it is."""
    command: str
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
    """Check a search, and say as which job it goes to a cluster.

    Args:
        space: a YAML file, or the name of a shipped space.
        store: as every node of the cluster sees it.
        data_root: folder of the data files, as every node sees it.
        trials: overrides `budget.trials`.
        overrides: `path.to.field=value`, as `--set` takes them.
        accept_code_change: continue a study that other code began.

    Raises:
        SpaceError: the space has mistakes; all are named.
        InputError: there is no such space, or a folder is not named in full.
        StoreError: a URI holds credentials.
    """
    file = find_space(space)
    budget = [] if trials is None else [f"budget.trials={trials}"]
    checked = read_space(file, _known_here(), [*overrides, *budget])
    _refuse_relative("--store", store, "/shared/studies or s3://bucket/studies")
    refuse_credentials(store)
    words = ["raydistill", "search", file.name, "--address", "auto", "--store", store]
    if data_root is not None:
        _refuse_relative("--data-root", data_root, "/shared/data")
        refuse_credentials(data_root)
        words += ["--data-root", data_root]
    words += [] if trials is None else ["--trials", str(trials)]
    words += [word for override in overrides for word in ("--set", override)]
    words += ["--accept-code-change"] if accept_code_change else []
    return Submission(space=checked, space_file=file, command=shlex.join(words), metadata=_metadata(checked))


def submit(submission: Submission, dashboard: str, *, allow_unauthenticated: bool) -> str:
    """Send it; gives the job's submission id.

    Raises:
        ClusterError: no cluster answers there, the token is missing or wrong, or nothing is asked for one.
    """
    from raydistill.search.on_ray.submit import submit_job

    with tempfile.TemporaryDirectory(prefix="raydistill-submit-") as folder:
        shutil.copyfile(submission.space_file, Path(folder) / submission.space_file.name)
        return submit_job(
            dashboard, submission.command, Path(folder), submission.metadata, allow_unauthenticated=allow_unauthenticated
        )


def submitted_lines(submission: Submission, dashboard: str, job: str, store: str, *, allow_unauthenticated: bool) -> str:
    """What was sent, and how to follow it and end it."""
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
    """What this installation knows. Data files may lie on the cluster alone, so what depends on them is checked there."""
    here = known(None)

    def facts(config: DatasetConfig) -> DataFacts:
        if config.name in WITHOUT_FILES:
            return here.data_facts(config)
        return DataFacts(smallest_class=MOST_IMAGES, confirm_images=MOST_IMAGES)

    return dataclasses.replace(here, data_facts=facts)


def _refuse_relative(option: str, given: str, example: str) -> None:
    """Refuse a path that every machine reads in its own way."""
    if "://" not in given and not PurePosixPath(given).is_absolute():
        raise InputError(
            f"{option} {given}; a folder that every node sees is wanted, since nothing of a study may live on one node alone: "
            f"give its full path or URI, as {example}"
        )


def _metadata(space: SearchSpace) -> dict[str, str]:
    return {
        "job_name": f"raydistill:{space.study}",
        "study": space.study,
        "dataset": str(space.template["dataset"]["name"]),
        "method": str(space.template["method"]["name"]),
        "goal": f"gap within {points(space.goal.margin_fraction)} with {100 * space.goal.confidence:g} % confidence",
        "commit": commit() or f"code {code_sha256()[:12]}",
    }
