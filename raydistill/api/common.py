"""What several functions of the API share: how a space is given, and where the work is done."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from raydistill.errors import InputError, StoreError
from raydistill.storage.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.search.watcher import Watcher
    from raydistill.search.workplace import Executor, Workplace
    from raydistill.spaces.sections import ResourcesConfig
    from raydistill.storage.store import Store

Given = ParamSpec("Given")
Returned = TypeVar("Returned")
SpaceSource = str | Path | Mapping[str, Any]
"""A YAML file, the name of a shipped space, or the document itself."""


def sees_changed_images(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """A function of the API that reads own images anew at each call, as each command does: they may have changed meanwhile."""

    @functools.wraps(function)
    def on_images_of_now(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        splits = sys.modules.get("raydistill.data.splits")  # not loaded here: it brings torch
        if splits is not None:
            splits.look_again()
        return function(*args, **kwargs)

    return on_images_of_now


def workplace_for(
    resources: ResourcesConfig,
    *,
    data_root: str | Path | None,
    local: bool,
    address: str | None,
    watcher: Watcher | None,
    job_hours: float | None = None,
) -> Workplace:
    """Where a command works, from what every function of the API takes; on Ray a job may take `job_hours`.

    Raises:
        InputError: both `local` and an address are given.
        StoreError: the data root is a URI with credentials.
    """
    from raydistill.search.watcher import SilentWatcher
    from raydistill.search.workplace import Workplace

    return Workplace(
        executor=executor_for(resources, local=local, address=address, job_hours=job_hours),
        data_root=as_data_root(data_root),
        watcher=watcher or SilentWatcher(),
    )


def executor_for(resources: ResourcesConfig, *, local: bool, address: str | None, job_hours: float | None = None) -> Executor:
    """What carries trials out: this process alone, a Ray cluster on this machine, or one at an address.

    Raises:
        InputError: both `local` and an address are given.
    """
    if local and address:
        raise InputError(
            f"given local and the address {address}; the first runs without Ray, the second on a cluster: give one of them"
        )
    if local:
        from raydistill.search.local import LocalExecutor

        return LocalExecutor()
    from raydistill.search.on_ray import RayExecutor

    return RayExecutor(address, resources, job_hours)


def resources_of(study: Store) -> ResourcesConfig:
    """The resources of one trial of a study, from the space that the study was run with.

    Raises:
        StoreError: the space's file is damaged.
    """
    from pydantic import ValidationError

    from raydistill.search.resume import stored_document
    from raydistill.spaces.sections import ResourcesConfig
    from raydistill.storage.layout import SPACE_FILE

    try:
        stored = stored_document(study)["resources"]
        # Studies of older versions may ask for more GPUs than the one that a trial computes on.
        has_more = isinstance(stored, dict) and isinstance(gpus := stored.get("gpus_per_trial"), int | float) and gpus > 1
        return ResourcesConfig.model_validate({**stored, "gpus_per_trial": 1} if has_more else stored)
    except ValidationError as error:
        first = error.errors()[0]
        raise StoreError(
            f"{study.path(SPACE_FILE)} is damaged, or of another version (resources.{first['loc'][0]}: {first['msg']}): restore "
            "it, or use the version that wrote it"
        ) from error
