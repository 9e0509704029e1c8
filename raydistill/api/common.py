"""What several functions of the API share: how a space is given, and who carries trials out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raydistill.config import ResourcesConfig
    from raydistill.search.driver import Executor
    from raydistill.store import Store

SpaceSource = str | Path | Mapping[str, Any]
"""A YAML file, the name of a shipped space, or the document itself."""


def executor_for(resources: ResourcesConfig, *, local: bool, address: str | None) -> Executor:
    """What carries trials out: this process alone, a Ray cluster on this machine, or one at an address.

    Raises:
        InputError: both `local` and an address are given.
    """
    if local and address:
        from raydistill.spaces import InputError

        raise InputError(f"local and the address {address}; the one runs without Ray, the other on a cluster: give one of them")
    if local:
        from raydistill.search.local import LocalExecutor

        return LocalExecutor()
    from raydistill.search.on_ray import RayExecutor

    return RayExecutor(address, resources)


def resources_of(study: Store) -> ResourcesConfig:
    """What one trial of a study was given, by its space as it was run."""
    import yaml

    from raydistill.config import ResourcesConfig

    return ResourcesConfig.model_validate(yaml.safe_load(study.read("search_space.yaml")).get("resources", {}))
