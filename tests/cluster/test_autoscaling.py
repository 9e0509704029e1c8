"""A search on a cluster that has no node for it yet, and one that never will.

The autoscaler is Ray's own, and its machines are processes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from test_cluster import ROOT, SPACE
from world import PATH, World

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

CLUSTER = """
import sys, time
from pathlib import Path
import yaml
from ray.cluster_utils import AutoscalingCluster

workers = {"cpu_worker": {"resources": {"CPU": 2}, "node_config": {}, "min_workers": 0, "max_workers": 1}}
cluster = AutoscalingCluster(head_resources={"CPU": 0}, worker_node_types=workers, idle_timeout_minutes=5)
# As `ray up` leaves it on a head.
Path("~/ray_bootstrap_config.yaml").expanduser().write_text(yaml.safe_dump(cluster._config))
cluster.start()
Path("/shared/started").touch()
time.sleep(600)
"""
SEARCH = """
from raydistill.search.on_ray import executor, waiting
# Machines that are processes start in seconds.
executor.LOOK_SECONDS, waiting.PATIENCE_SECONDS = 0.5, 1.0
from raydistill.cli import main
main()
"""


class Head:
    """A host with a Ray that may start one worker of two cores."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.environment = {"PATH": f"{sys.prefix}/bin:{PATH}", "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
        (world.shared / "space.yaml").write_text(yaml.safe_dump(SPACE | {"budget": {"trials": 1}}))
        (world.shared / "cluster.py").write_text(CLUSTER)
        (world.shared / "search.py").write_text(SEARCH)
        words = world.command("head", "exec python /shared/cluster.py", self.environment)
        quiet = subprocess.DEVNULL
        subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet)
        world.run("head", "until [ -e /shared/started ]; do sleep 0.2; done", timeout=60)

    def search(self, options: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """How a search ends, and what it says."""
        line = f"python /shared/search.py search /shared/space.yaml --store /shared/studies --address auto {options}"
        words = self.world.command("head", line, self.environment)
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with World(tmp_path_factory.mktemp("growing"), [ROOT, Path(sys.prefix), Path(sys.base_prefix)], ["head"]) as world:
        yield Head(world)


def test_a_trial_that_no_node_will_hold_is_refused_in_seconds(head: Head) -> None:
    done = head.search("--set resources.cpus_per_trial=3", timeout=40)
    assert done.returncode == 2, done.stdout
    said = (
        "one trial asks for 3 CPUs and 0 GPUs, and no node holds that; nodes, live or to be started: 10.77.0.10 (0 CPUs, 0 GPUs)"
    )
    assert said in done.stdout
    assert "cpu_worker (2 CPUs, 0 GPUs). Lower resources.cpus_per_trial" in done.stdout


def test_a_search_that_waits_for_the_autoscaler_says_so_and_goes_on(head: Head) -> None:
    done = head.search("", timeout=200)
    assert done.returncode == 0, done.stdout
    assert (
        "4 networks wait for nodes: each asks for 1 CPUs and 0 GPUs, and no live node holds that yet: they start when the "
        "autoscaler has started one (up to 1 of cpu_worker (2 CPUs, 0 GPUs))"
    ) in done.stdout
