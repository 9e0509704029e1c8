"""The metrics of a running trial for Prometheus, through the Ray metrics endpoint of its node.

Each gauge is exported as `ray_raydistill_<name>`. Its tags are study, method and the trial's ask number; Ray adds node and
process. A trial has a process of its own, and one more if that was lost, so a study creates at most twice `budget.trials` series
per gauge. A series ends with its process: Ray exports it every 10 seconds, and drops it 20 seconds after the last export.
"""

from __future__ import annotations

from typing import Any

import torch
from ray.util.metrics import Gauge

from raydistill.spaces.trial import TrialConfig
from raydistill.storage.record import Reading

PREFIX = "raydistill_"
TAGS = ("study", "method", "trial")
GAUGES = {
    "accuracy_fraction": "Mean accuracy on the select images at the last reading, 0 to 1",
    "gap": "Full-data accuracy minus the accuracy at the last reading, as a fraction",
    "ipc": "Images per class of the set being distilled",
    "step": "Image updates done",
    "seconds": "Seconds since the trial started in this process",
    "gpu_memory_bytes": "Peak device memory of the trial; absent on a CPU",
}
"""Description by name, without the prefix."""


class TrialGauges:
    """The gauges of the trial that runs in this process."""

    def __init__(self, study: str, config: TrialConfig[Any]) -> None:
        """Create the gauges, and set the values that are known before the trial begins."""
        self._is_on_gpu = config.device == "cuda"
        tags = {"study": study, "method": config.method.name, "trial": str(config.ask_number)}
        self._gauges = {name: Gauge(PREFIX + name, text, tag_keys=TAGS) for name, text in GAUGES.items()}
        for gauge in self._gauges.values():
            gauge.set_default_tags(tags)
        self._gauges["ipc"].set(config.ipc)

    def reading(self, reading: Reading) -> None:
        """Set accuracy and gap."""
        self._gauges["accuracy_fraction"].set(reading.accuracy_fraction)
        self._gauges["gap"].set(reading.gap)

    def step(self, step: int, seconds: float) -> None:
        """Set the progress of the trial."""
        self._gauges["step"].set(step)
        self._gauges["seconds"].set(seconds)
        if self._is_on_gpu:
            self._gauges["gpu_memory_bytes"].set(torch.cuda.max_memory_allocated())
