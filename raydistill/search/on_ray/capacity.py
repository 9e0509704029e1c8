"""What a cluster can hold: live nodes, and node types that its autoscaler may start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import yaml

from raydistill.errors import ResourcesError
from raydistill.spaces.sections import ResourcesConfig

HEAD = "node:__internal_head__"
"""The resource that Ray gives to the head node alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeShape:
    """One kind of node, and how many there are or may be."""

    name: str
    cpus: float
    gpus: float
    count: int

    def trials(self, resources: ResourcesConfig) -> int:
        """Trials that all nodes of this kind hold at once."""
        by_cpu = int(self.cpus // resources.cpus_per_trial)
        share = resources.gpus_per_trial
        if share == 0:
            return self.count * by_cpu
        # A share lies within one GPU: two thirds do not go into two halves.
        by_gpu = int(self.gpus // share) if share >= 1 else int(self.gpus) * int(1 / share + 1e-9)
        return self.count * min(by_cpu, by_gpu)

    def __str__(self) -> str:
        return f"{self.name} ({self.cpus:g} CPUs, {self.gpus:g} GPUs)"


def trials_at_once(live: Sequence[NodeShape], startable: Sequence[NodeShape], resources: ResourcesConfig) -> int:
    """How many trials the cluster can hold at once, grown to its limit.

    Raises:
        ResourcesError: not one.
    """
    now = sum(shape.trials(resources) for shape in live)
    grown = sum(shape.trials(resources) for shape in startable)
    if now == 0 and grown == 0:
        kinds = ", ".join(dict.fromkeys(str(shape) for shape in (*live, *startable))) or "none"
        raise ResourcesError(
            f"one trial asks for {resources.cpus_per_trial} CPUs and {resources.gpus_per_trial:g} GPUs, and no node holds that; "
            f"nodes, live or to be started: {kinds}. Lower resources.cpus_per_trial or resources.gpus_per_trial, or give the "
            "--address of a cluster with such a node"
        )
    # A live node may be one of those that the autoscaler started, so the two are not added.
    return max(now, grown)


def live_nodes() -> list[NodeShape]:
    """The cluster's live nodes."""
    return [
        NodeShape(
            name=node["NodeManagerAddress"], cpus=node["Resources"].get("CPU", 0), gpus=node["Resources"].get("GPU", 0), count=1
        )
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


def startable_nodes() -> list[NodeShape]:
    """Node types that the cluster's autoscaler may start.

    From the GCS where something reports them there. Ray 2.60's own autoscaler does not: `ray up` leaves its configuration in the
    head's home folder, so a task without CPUs reads it there.
    """
    reported = ray._private.state.state.get_cluster_config()
    if reported is not None and reported.node_group_configs:
        return [
            NodeShape(name=g.name, cpus=g.resources.get("CPU", 0), gpus=g.resources.get("GPU", 0), count=_finite(g.max_count))
            for g in reported.node_group_configs
        ]
    read = ray.remote(num_cpus=0, resources={HEAD: 0.001})(read_bootstrap_config)
    return node_types(ray.get(read.remote()))


def read_bootstrap_config() -> str | None:
    """The configuration with which `ray up` started this head, or None."""
    path = Path("~/ray_bootstrap_config.yaml").expanduser()
    return path.read_text(encoding="utf-8") if path.is_file() else None


def node_types(bootstrap_config: str | None) -> list[NodeShape]:
    """The node types in a configuration as `ray up` completes it; those that it never starts are left out."""
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
    """Ray writes no limit as -1."""
    return 1000 if count == -1 else count
