"""What a running trial tells Prometheus, through Ray's metrics endpoint of the node that it runs on.

Each gauge is exported as `ray_raydistill_<name>`. Its tags are study, method and the trial's ask number; Ray adds node and
process. A trial has a process of its own, and one more if that was lost, so that a study leaves at most twice `budget.trials`
series per gauge. A series lives as long as the process: Ray exports it every 10 seconds, and forgets it 20 seconds after the last
export.
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
    "gap": "Full-data accuracy minus that, as a fraction",
    "ipc": "Images per class of the set that is distilled",
    "step": "Image updates done",
    "seconds": "Seconds since the trial began in this process",
    "gpu_memory_bytes": "Most device memory that the trial has held; absent on a CPU",
}
"""Name, without the prefix, to its description."""


class TrialGauges:
    """The gauges of the trial that runs in this process."""

    def __init__(self, study: str, config: TrialConfig[Any]) -> None:
        """Set what is known before the trial begins."""
        self._is_on_gpu = config.device == "cuda"
        tags = {"study": study, "method": config.method.name, "trial": str(config.ask_number)}
        self._gauges = {name: Gauge(PREFIX + name, text, tag_keys=TAGS) for name, text in GAUGES.items()}
        for gauge in self._gauges.values():
            gauge.set_default_tags(tags)
        self._gauges["ipc"].set(config.ipc)

    def reading(self, reading: Reading) -> None:
        """Set what a reading says."""
        self._gauges["accuracy_fraction"].set(reading.accuracy_fraction)
        self._gauges["gap"].set(reading.gap)

    def step(self, step: int, seconds: float) -> None:
        """Set how far the trial is."""
        self._gauges["step"].set(step)
        self._gauges["seconds"].set(seconds)
        if self._is_on_gpu:
            self._gauges["gpu_memory_bytes"].set(torch.cuda.max_memory_allocated())
