"""Faults of a cluster out of namespaces: a worker killed, the head killed and brought up again, a network cut and healed.

After each the records are those of a search that nothing disturbed, on the same cluster.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_cluster import NODES, ROOT, SPACE, Laptop, eventually, filled_in
from test_faults import SEEDS
from world import World

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]

LONG = {
    **SPACE,
    "method": {**SPACE["method"], "random_inits": 400},  # type: ignore[dict-item]
    "budget": {"trials": 2},
    "resources": {"max_concurrent_trials": 1},
}
"""One trial at a time, so that what is proposed does not depend on which of two ends first; a trial takes some seconds."""
NOT_COMPARED = ("cost", "started_at", "host", "file_sha256")


class Cluster:
    """Three hosts with Ray, and a laptop."""

    def __init__(self, world: World) -> None:
        self.world = world
        (world.shared / "cluster.yaml").write_text(yaml.safe_dump(filled_in()))
        (world.shared / "space.yaml").write_text(yaml.safe_dump(LONG))
        self.laptop = Laptop(world)
        self.laptop.type(self.laptop.token)
        self.up()

    def up(self) -> None:
        """Bring the cluster up, or back."""
        self.laptop.type(self.laptop.up)
        self.laptop.begin(self.laptop.dashboard)
        eventually(lambda: self.laptop.fails("curl -s -o /dev/null http://127.0.0.1:8265")[0] == 0)
        eventually(lambda: len(self.laptop.live_nodes()) == len(NODES))

    def submit(self, store: str) -> subprocess.Popen[str]:
        """Submit the search; the process ends with the job."""
        said = self.laptop.type(self.laptop.submit.replace("/shared/studies", f"/shared/{store}"))
        (follow,) = re.findall(r"^Follow +(.*)$", said, flags=re.MULTILINE)
        words = self.world.command("laptop", f"cd {ROOT}; {follow}", self.laptop.environment)
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def study(self, store: str) -> Path:
        """The study's folder."""
        return self.world.shared / store / str(SPACE["study"])

    def records(self, store: str) -> dict[int, dict[str, Any]]:
        """By ask number, as far as they are compared."""
        found = [json.loads(path.read_text()) for path in self.study(store).glob("trials/*/record.json")]
        records = {r["config"]["ask_number"]: {k: v for k, v in r.items() if k not in NOT_COMPARED} for r in found}
        assert len(records) == len(found)
        return records

    def runs_a_trial(self, host: str) -> bool:
        """Whether a host runs one."""
        return "ray::DistillTrial" in self.world.run(host, "ps ax").stdout

    def kill_all(self, host: str) -> None:
        """Kill every process of a host but its sshd."""
        self.world.run(host, "kill -9 -1 || true; true")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with World(tmp_path_factory.mktemp("chaos"), [ROOT, Path(sys.prefix), Path(sys.base_prefix)]) as world:
        yield Cluster(world)


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster) -> tuple[float, dict[int, dict[str, Any]]]:
    """Seconds and records of a search that nothing disturbs."""
    began = time.monotonic()
    follows = cluster.submit("undisturbed")
    said, _ = follows.communicate(timeout=600)
    assert (cluster.study("undisturbed") / "result.json").exists(), said
    return time.monotonic() - began, cluster.records("undisturbed")


def worker_killed(cluster: Cluster, chance: random.Random) -> None:
    """The one that runs the trial, or one of them; `ray up` brings it back afterwards."""
    busy = [host for host in ("w1", "w2") if cluster.runs_a_trial(host)]
    cluster.kill_all(busy[0] if busy else chance.choice(["w1", "w2"]))


def head_killed(cluster: Cluster, chance: random.Random) -> None:
    cluster.kill_all("head")


def cut_for(least: float, most: float) -> Callable[[Cluster, random.Random], None]:
    def strike(cluster: Cluster, chance: random.Random) -> None:
        """From one worker to all others; healed after some seconds."""
        busy = [host for host in ("w1", "w2") if cluster.runs_a_trial(host)]
        host = busy[0] if busy else chance.choice(["w1", "w2"])
        cluster.world.run(host, "ip link set eth0 down")
        time.sleep(chance.uniform(least, most))
        cluster.world.run(host, "ip link set eth0 up")

    return strike


STRIKES = {
    "worker killed": worker_killed,
    "head killed": head_killed,
    "network cut for a moment": cut_for(2.0, 10.0),
    "network cut for long": cut_for(40.0, 90.0),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", STRIKES)
def test_a_fault_of_a_cluster_costs_a_search_no_record(
    cluster: Cluster, undisturbed: tuple[float, dict[int, dict[str, Any]]], name: str, seed: int
) -> None:
    whole, expected = undisturbed
    chance, store = random.Random(f"{name} {seed}"), f"{name.replace(' ', '-')}-{seed}"
    began = time.monotonic()
    follows = cluster.submit(store)
    eventually(lambda: bool(list(cluster.study(store).glob("trials/*/progress.json"))))
    time.sleep(chance.uniform(0.0, 5.0))
    STRIKES[name](cluster, chance)
    if name == "head killed":
        follows.kill()  # nobody answers it any more
    said, _ = follows.communicate(timeout=600)
    print(said)
    cluster.up()
    if not (cluster.study(store) / "result.json").exists():
        said, _ = cluster.submit(store).communicate(timeout=600)
        print(said)
    seconds = time.monotonic() - began
    print(f"{name}, seed {seed}: {seconds:.0f} s, undisturbed {whole:.0f} s")
    assert (cluster.study(store) / "result.json").exists()
    assert cluster.records(store) == expected
