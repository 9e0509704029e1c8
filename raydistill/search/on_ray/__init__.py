"""Trials and networks on Ray: the only folder that imports it."""

from raydistill.search.on_ray.access import ClusterError
from raydistill.search.on_ray.capacity import ResourcesError
from raydistill.search.on_ray.executor import RayExecutor
from raydistill.search.on_ray.probe import NodeError

__all__ = ["ClusterError", "NodeError", "RayExecutor", "ResourcesError"]
