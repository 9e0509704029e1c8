"""The capacity of a cluster: running nodes, and node types that its autoscaler may start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import yaml

from raydistill.errors import ResourcesError
from raydistill.search.on_ray.private import node_groups
from raydistill.spaces.sections import ResourcesConfig

HEAD = "node:__internal_head__"
"""A resource that Ray assigns only to the head node."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeShape:
    """A type of node, and the number of such nodes that run or may be started."""

    name: str
    cpus: float
    gpus: float
    count: int

    def trials(self, resources: ResourcesConfig) -> int:
        """Number of trials that all nodes of this type can run at the same time."""
        by_cpu = int(self.cpus // resources.cpus_per_trial)
        share = resources.gpus_per_trial
        if share == 0:
            return self.count * by_cpu
        # A fraction of a GPU must be on one GPU: a trial with two thirds of a GPU cannot use halves of two.
        by_gpu = int(self.gpus // share) if share >= 1 else int(self.gpus) * int(1 / share + 1e-9)
        return self.count * min(by_cpu, by_gpu)

    def __str__(self) -> str:
        return f"{self.name} ({self.cpus:g} CPUs, {self.gpus:g} GPUs)"


def trials_at_once(live: Sequence[NodeShape], startable: Sequence[NodeShape], resources: ResourcesConfig) -> int:
    """Number of trials that the cluster can run at the same time, when the autoscaler has started all nodes.

    Raises:
        ResourcesError: no node has the resources for a trial.
    """
    now = sum(shape.trials(resources) for shape in live)
    grown = sum(shape.trials(resources) for shape in startable)
    if now == 0 and grown == 0:
        kinds = ", ".join(dict.fromkeys(str(shape) for shape in (*live, *startable))) or "none"
        raise ResourcesError(
            f"a trial needs {resources.cpus_per_trial} CPUs and {resources.gpus_per_trial:g} GPUs, but no node has that many; "
            f"nodes that run or may be started: {kinds}. Lower resources.cpus_per_trial or resources.gpus_per_trial, or give the "
            "--address of a cluster with such a node"
        )
    # A running node may be one that the autoscaler started, so the two numbers are not added.
    return max(now, grown)


def live_nodes() -> list[NodeShape]:
    """The cluster's running nodes."""
    return [
        NodeShape(
            name=node["NodeManagerAddress"], cpus=node["Resources"].get("CPU", 0), gpus=node["Resources"].get("GPU", 0), count=1
        )
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


def startable_nodes() -> list[NodeShape]:
    """Node types that the cluster's autoscaler may start.

    Read from the GCS if they are reported there. Ray 2.60's own autoscaler does not report them, but `ray up` stores its
    configuration in the head node's home folder, where a task without CPUs reads it.
    """
    if reported := node_groups():
        return [
            NodeShape(name=g.name, cpus=g.resources.get("CPU", 0), gpus=g.resources.get("GPU", 0), count=_finite(g.max_count))
            for g in reported
        ]
    read = ray.remote(num_cpus=0, resources={HEAD: 0.001})(read_bootstrap_config)
    return node_types(ray.get(read.remote()))


def read_bootstrap_config() -> str | None:
    """The configuration with which `ray up` started this head node, or None."""
    path = Path("~/ray_bootstrap_config.yaml").expanduser()
    return path.read_text(encoding="utf-8") if path.is_file() else None


def node_types(bootstrap_config: str | None) -> list[NodeShape]:
    """The node types in a configuration that `ray up` has completed, without those that it never starts."""
    if bootstrap_config is None:
        return []
    config: Mapping[str, Any] = yaml.safe_load(bootstrap_config)
    limit = config.get("max_workers", 2)
    return list(_worker_types(config.get("available_node_types", {}), limit))


def _worker_types(types: Mapping[str, Mapping[str, Any]], limit: int) -> Iterable[NodeShape]:
    for name, node_type in types.items():
        count = min(limit, node_type.get("max_workers", limit))
        resources = node_type.get("resources", {})
        if count > 0:
            yield NodeShape(name=name, cpus=resources.get("CPU", 0), gpus=resources.get("GPU", 0), count=count)


def _finite(count: int) -> int:
    """Replace -1, which means no limit to Ray, by a large number."""
    return 1000 if count == -1 else count
