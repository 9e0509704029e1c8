"""Trials and networks on Ray: the only folder that imports it."""

from raydistill.errors import ClusterError, NodeError, ResourcesError
from raydistill.search.on_ray.executor import RayExecutor

__all__ = ["ClusterError", "NodeError", "RayExecutor", "ResourcesError"]
