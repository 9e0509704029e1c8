"""Says that work waits for room on the cluster, so that nobody takes it for hung."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from raydistill.search.on_ray.capacity import NodeShape, live_nodes
from raydistill.search.watcher import Watcher
from raydistill.spaces.sections import ResourcesConfig

PATIENCE_SECONDS = 30.0
"""A worker's process takes up to some ten seconds to start, a machine of a cloud minutes."""
REMINDER_SECONDS = 300.0


class Waiting:
    """Watches how much of one kind of work waits, and tells the watcher when it does so for long."""

    def __init__(
        self,
        what: str,
        resources: ResourcesConfig,
        startable: Sequence[NodeShape],
        watcher: Watcher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch.

        Args:
            what: the work, as it is named in the plural.
            resources: that each of it asks for, as a trial does.
            startable: node types that the cluster's autoscaler may start.
            watcher: told.
            clock: seconds from any fixed point.
        """
        self._what = what
        self._resources = resources
        self._startable = [shape for shape in startable if shape.trials(resources) > 0]
        self._watcher = watcher
        self._clock = clock
        self._tell_at: float | None = None

    def look(self, waiting: int) -> None:
        """Note that so much waits now; told after `PATIENCE_SECONDS` without an end to it, then now and then."""
        now = self._clock()
        if waiting == 0:
            self._tell_at = None
        elif self._tell_at is None:
            self._tell_at = now + PATIENCE_SECONDS
        elif now >= self._tell_at:
            self._tell_at = now + REMINDER_SECONDS
            self._watcher.note(self._text(waiting))

    def _text(self, waiting: int) -> str:
        asks = f"{self._resources.cpus_per_trial} CPUs and {self._resources.gpus_per_trial:g} GPUs"
        if holds_one(self._resources):
            why = "the live nodes are busy: it starts when one has room and its process is up"
        else:
            kinds = ", ".join(f"up to {shape.count} of {shape}" for shape in self._startable)
            why = f"no live node holds that yet: it starts when the autoscaler has started one ({kinds})"
        return f"{self._what} that wait for nodes: {waiting}; each asks for {asks}, and {why}"


def holds_one(resources: ResourcesConfig) -> bool:
    """Whether a live node could hold a trial, if it were empty."""
    return any(shape.trials(resources) > 0 for shape in live_nodes())
