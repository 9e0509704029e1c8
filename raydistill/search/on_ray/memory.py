"""Finds out that the kernel killed a trial's process because memory ran out; Ray only knows that the process is gone.

Linux counts the processes that it killed for memory (`oom_kill` in /proc/vmstat, of the whole machine, containers included). The
process of a trial tells the count when it starts and with every later report. If it is lost, and the count on its node has risen
since its last report, a few seconds ago as a rule, it counts as one of those. The kernel may have killed another at that moment;
then memory was short all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

COUNTS = Path("/proc/vmstat")
KILLS = "kernel_kills"
NODE = "kernel_kills_on"
"""Keys of the reports of a trial's process."""
ANSWER_SECONDS = 30.0
"""How long a node may take to start a process that reads the count; one that has no memory for it is out of memory, too."""


def kernel_kills() -> int | None:
    """How many processes the kernel of this machine has killed for memory; None if it does not count them (before Linux 4.13)."""
    counts = dict(line.split() for line in COUNTS.read_text(encoding="ascii").splitlines())
    return int(counts["oom_kill"]) if "oom_kill" in counts else None


def report_of_kills() -> dict[str, Any]:
    """What a trial's process tells when it starts and with every report; nothing where the kernel does not count."""
    kills = kernel_kills()
    return {} if kills is None else {KILLS: kills, NODE: ray.get_runtime_context().get_node_id()}


def kills_on(node_id: str) -> int | None:
    """The count of another node now; None if it does not say."""
    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    asked = ray.remote(num_cpus=0)(kernel_kills).options(scheduling_strategy=here, name="kernel_kills").remote()
    ready, _ = ray.wait([asked], timeout=ANSWER_SECONDS)
    try:
        return int(ray.get(ready[0])) if ready else None
    except RayError:  # the node is gone as well, so this was no matter of memory alone
        return None


def cause_of_loss(told: Mapping[str, Any]) -> str | None:
    """Why a process is gone whose last report is given, if the kernel killed it for memory; otherwise None."""
    kills = kills_on(told[NODE])
    if kills is None or kills <= told[KILLS]:
        return None
    return (
        "its process was killed because the memory of its node ran out: the kernel's count of such kills there (oom_kill) "
        f"rose from {told[KILLS]} to {kills} since its last report"
    )
