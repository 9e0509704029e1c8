"""Runs trials and networks on Ray. No other folder imports Ray."""

from raydistill.errors import ClusterError, NodeError, ResourcesError
from raydistill.search.on_ray.executor import RayExecutor

__all__ = ["ClusterError", "NodeError", "RayExecutor", "ResourcesError"]
