"""Trials and networks on Ray: the only folder that imports it."""

from raydistill.search.on_ray.access import ClusterError
from raydistill.search.on_ray.capacity import ResourcesError
from raydistill.search.on_ray.executor import RayExecutor

__all__ = ["ClusterError", "RayExecutor", "ResourcesError"]
