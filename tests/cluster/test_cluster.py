"""A cluster from `ray up` to `ray down`, by the README's own lines, on three hosts out of namespaces."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from world import ADDRESSES, HOME, LAPTOP, PATH, World

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parent.parent.parent
NODES = ("head", "w1", "w2")
SPACE = {
    "study": "on-three-hosts",
    "dataset": {"name": "digits"},
    "network": {"name": "convnet", "depth": 2, "width": 4},
    "method": {
        "name": "datadam",
        "lr_images": {"low": 0.1, "high": 10.0, "log": True},
        "random_inits": 8,
        "batch_real": 8,
    },
    "ipc": {"low": 1, "high": 12},
    "evaluation": {"recipe": "plain", "networks": 2, "baseline_networks": 2, "confirm_networks": 2},
    "goal": {"margin_fraction": 0.5},
    "controls": [],
    "budget": {"trials": 4},
}


def filled_in() -> dict[str, Any]:
    """cluster-local.yaml with the hosts' addresses.

    Two other differences: there is no package index to install from, so the environment is this one, and the code that `ray up`
    brought comes before what is installed in it; and each host says that it has one core, for all have the same ones.
    """
    config = yaml.safe_load((ROOT / "cluster-local.yaml").read_text(encoding="utf-8"))
    config["provider"] |= {"head_ip": ADDRESSES["head"], "worker_ips": [ADDRESSES["w1"], ADDRESSES["w2"]]}
    config["auth"]["ssh_user"] = "root"
    make_environment, install, *others = config["setup_commands"]
    assert "-m venv" in make_environment
    assert "-m pip install" in install
    config["setup_commands"] = [
        f"ln -sfn {sys.prefix} ~/raydistill-env",
        "grep -q PYTHONPATH ~/.bashrc || echo 'export PYTHONPATH=$HOME/raydistill' >> ~/.bashrc",
        *others,
    ]
    for role in ("head", "worker"):
        commands = config[f"{role}_start_ray_commands"]
        config[f"{role}_start_ray_commands"] = [line.replace("ray start", "ray start --num-cpus=1") for line in commands]
    return config


ON_EVERY_NODE = """
import ray, socket
from pathlib import Path
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

@ray.remote(num_cpus=0)
def look():
    import raydistill.trial.run
    Path("/shared", f"seen-by-{socket.gethostname()}").write_text(raydistill.trial.run.__file__)

ray.init()
places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in ray.nodes() if node["Alive"]]
ray.get([look.options(scheduling_strategy=place).remote() for place in places])
"""


def readme_lines() -> list[str]:
    """The five lines from `ray up` to `ray down`, for the files of this test."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## On a cluster\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    lines = [line.partition("#")[0].strip() for line in "".join(blocks).splitlines()]
    return [
        line.replace("cluster.yaml", "/shared/cluster.yaml").replace("digits_datadam", "/shared/space.yaml") for line in lines
    ]


def guide_lines() -> list[str]:
    """The four lines of the guide from the end of the job to `ray down`, for the files of this test."""
    blocks = re.findall(r"^```sh\n(ray exec .*?)^```", (ROOT / "docs/clusters.md").read_text(encoding="utf-8"), flags=re.M | re.S)
    lines = blocks[0].replace("cluster.yaml", "/shared/cluster.yaml").replace("digits-datadam", str(SPACE["study"]))
    return lines.splitlines()


class Laptop:
    """Where a person types the lines."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.token, self.up, self.dashboard, self.submit, self.down = readme_lines()
        self.environment = {"PATH": f"{sys.prefix}/bin:{PATH}", "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}

    def type(self, line: str, timeout: float = 600, **environment: str) -> str:
        """What a line says."""
        said = self.world.run(LAPTOP, f"cd {ROOT}; {line}", timeout=timeout, **self.environment, **environment).stdout
        print(f"$ {line}\n{said}")
        return said

    def fails(self, line: str, **environment: str) -> tuple[int, str]:
        """How a line that does not end with 0 ends, and what it says."""
        words = self.world.command(LAPTOP, f"cd {ROOT}; {line}", {**self.environment, **environment})
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    def begin(self, line: str) -> None:
        """Type a line that goes on until the world ends."""
        subprocess.Popen(
            self.world.command(LAPTOP, f"cd {ROOT}; exec {line}", self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def live_nodes(self) -> list[dict[str, Any]]:
        """As the dashboard lists them."""
        said = self.world.run(
            LAPTOP,
            "ray list nodes --address http://127.0.0.1:8265 --format json 2> /dev/null",
            **self.environment,
            RAY_AUTH_MODE="token",
        ).stdout
        return [node for node in json.loads(said) if node["state"] == "ALIVE"]


def eventually(condition: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world"), [ROOT, Path(sys.prefix), Path(sys.base_prefix)]) as made:
        yield made


@pytest.fixture(scope="module")
def laptop(world: World) -> Laptop:
    """After `ray up`, with the dashboard brought to it, and all nodes in it."""
    (world.shared / "cluster.yaml").write_text(yaml.safe_dump(filled_in()))
    (world.shared / "space.yaml").write_text(yaml.safe_dump(SPACE))
    made = Laptop(world)
    made.type(made.token)
    made.type(made.up)
    made.begin(made.dashboard)
    eventually(lambda: made.fails("curl -s -o /dev/null http://127.0.0.1:8265")[0] == 0)
    eventually(lambda: len(made.live_nodes()) == len(NODES))
    return made


def test_ray_up_starts_ray_on_every_host(laptop: Laptop) -> None:
    assert {node["node_ip"] for node in laptop.live_nodes()} == {ADDRESSES[name] for name in NODES}


def test_every_host_runs_the_code_that_was_brought_and_sees_the_shared_folder(laptop: Laptop, world: World) -> None:
    (world.shared / "look.py").write_text(ON_EVERY_NODE)
    laptop.type("ray job submit --address http://127.0.0.1:8265 -- python /shared/look.py", RAY_AUTH_MODE="token")
    seen = {path.name.removeprefix("seen-by-"): path.read_text() for path in world.shared.glob("seen-by-*")}
    assert seen == dict.fromkeys(NODES, f"{HOME}/raydistill/raydistill/trial/run.py")


def listening(world: World, host: str) -> dict[str, set[str]]:
    """Port to the addresses that it is listened at; sshd's apart."""
    found: dict[str, set[str]] = {}
    for line in world.run(host, "ss -ltnH").stdout.splitlines():
        address, _, port = line.split()[3].rpartition(":")
        found.setdefault(port, set()).add(address)
    del found["22"]
    return found


@pytest.mark.parametrize("host", NODES)
def test_every_port_beyond_loopback_asks_for_a_token_or_shows_numbers_alone(laptop: Laptop, world: World, host: str) -> None:
    """The metrics' ports: of the node, and on the head of the dashboard and of the autoscaler as well."""
    beyond = [port for port, addresses in listening(world, host).items() if addresses - {"127.0.0.1", "[::ffff:127.0.0.1]"}]
    answers = json.loads(laptop.type(f"python {ROOT}/tests/cluster/ports.py {ADDRESSES[host]} {' '.join(beyond)} 2> /dev/null"))
    counts = Counter(answers.values())
    assert set(counts) == {"metrics", "asks for a token"}
    assert counts["metrics"] == (3 if host == "head" else 1)


def test_the_dashboard_listens_on_loopback_alone(laptop: Laptop, world: World) -> None:
    assert listening(world, "head")["8265"] == {"127.0.0.1"}


def test_a_search_without_the_token_is_refused(laptop: Laptop) -> None:
    code, said = laptop.fails(laptop.submit, RAY_AUTH_TOKEN="f" * 64)
    assert (code, "requires a token, and the token of this machine is a different one" in said) == (2, True)


def test_a_search_is_submitted_and_leaves_its_records_in_the_shared_folder(laptop: Laptop, world: World) -> None:
    said = laptop.type(laptop.submit)
    (follow,) = re.findall(r"^Follow +(.*)$", said, flags=re.MULTILINE)
    laptop.type(follow)
    study = world.shared / "studies" / "on-three-hosts"
    records = [json.loads(path.read_text()) for path in study.glob("trials/*/record.json")]
    assert [record["state"] for record in records] == ["finished"] * 4
    assert {record["host"] for record in records} <= set(NODES)
    result = json.loads((study / "result.json").read_text())
    assert (result["verdict"] == "lossless") == (result["winner_trial_id"] in {record["trial_id"] for record in records})


def test_the_finding_is_looked_at_and_the_store_is_fetched_before_the_nodes_are_gone(laptop: Laptop, world: World) -> None:
    status, certify, fetch, down = guide_lines()
    assert "Verdict" in laptop.type(status)
    assert certify.startswith("ray exec /shared/cluster.yaml 'raydistill certify ")
    assert down == laptop.down
    laptop.type(fetch.replace(" studies/", " /shared/fetched/"))
    assert (world.shared / "fetched" / str(SPACE["study"]) / "result.json").is_file()


def test_ray_down_ends_the_head(laptop: Laptop, world: World) -> None:
    laptop.type(laptop.down)
    assert "gcs_server" not in world.run("head", "ps ax").stdout
