"""Reports that work waits for free resources on the cluster, so that the search does not look stuck."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from raydistill.search.on_ray.capacity import NodeShape, live_nodes
from raydistill.search.watcher import Watcher
from raydistill.spaces.sections import ResourcesConfig

PATIENCE_SECONDS = 30.0
"""A worker process takes up to about ten seconds to start, a cloud machine minutes."""
REMINDER_SECONDS = 300.0


class Waiting:
    """Reports to the watcher when jobs or trials wait for a long time."""

    def __init__(
        self,
        what: str,
        resources: ResourcesConfig,
        startable: Sequence[NodeShape],
        watcher: Watcher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            what: name of the work, in the plural.
            resources: resources of each job or trial.
            startable: node types that the cluster's autoscaler may start.
            watcher: receives the messages.
            clock: seconds from any fixed point.
        """
        self._what = what
        self._resources = resources
        self._startable = [shape for shape in startable if shape.trials(resources) > 0]
        self._watcher = watcher
        self._clock = clock
        self._tell_at: float | None = None

    def look(self, waiting: int) -> None:
        """Note the number of waiting jobs; reported after `PATIENCE_SECONDS` of waiting, then every `REMINDER_SECONDS`."""
        now = self._clock()
        if waiting == 0:
            self._tell_at = None
        elif self._tell_at is None:
            self._tell_at = now + PATIENCE_SECONDS
        elif now >= self._tell_at:
            self._tell_at = now + REMINDER_SECONDS
            self._watcher.note(self._text(waiting))

    def _text(self, waiting: int) -> str:
        needs = f"{self._resources.cpus_per_trial} CPUs and {self._resources.gpus_per_trial:g} GPUs"
        if holds_one(self._resources):
            why = f"all running nodes are busy: the {self._what} start when a node is free"
        else:
            kinds = ", ".join(f"up to {shape.count} of {shape}" for shape in self._startable)
            why = f"no running node has that many: the {self._what} start when the autoscaler has started a node ({kinds})"
        return f"{self._what} that wait for a node: {waiting}; each needs {needs}, and {why}"


def holds_one(resources: ResourcesConfig) -> bool:
    """Whether a running node has the resources for a trial, if nothing else runs on it."""
    return any(shape.trials(resources) > 0 for shape in live_nodes())
