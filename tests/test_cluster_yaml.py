"""cluster.yaml and cluster-local.yaml held against Ray's own schema and defaults, with no network and no AWS account."""

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent


FILES = ("cluster.yaml", "cluster-local.yaml")


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.fixture
def cluster() -> dict[str, Any]:
    return read("cluster.yaml")


@pytest.fixture(params=FILES)
def either(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read(request.param)


def validate(cluster: dict[str, Any]) -> dict[str, Any]:
    """The config as `ray up` completes it; raises what `ray up` would."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(cluster))
    validate_config(prepared)
    return prepared


@pytest.mark.ray
def test_ray_accepts_it(cluster: dict[str, Any]) -> None:
    prepared = validate(cluster)
    assert prepared["setup_commands"] == cluster["setup_commands"]
    assert prepared["available_node_types"]["head"]["max_workers"] == 0


@pytest.mark.ray
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("idle_minutes",), 5),
        (("available_node_types", "gpu_worker", "spot"), True),
        (("available_node_types", "gpu_worker", "min_workers"), 100),
        (("head_node_type",), "haed"),
    ],
    ids=["unknown key", "unknown key of a node type", "more workers than the cap", "unknown head type"],
)
def test_ray_refuses_it_with_a_mistake(cluster: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    from jsonschema import ValidationError

    section = cluster
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    with pytest.raises((ValidationError, ValueError), match=r"idle_minutes|spot|max_workers|head_node_type"):
        validate(cluster)


def test_the_head_runs_no_trials_and_workers_start_from_none(cluster: dict[str, Any]) -> None:
    types = cluster["available_node_types"]
    assert types.pop(cluster["head_node_type"])["resources"] == {"CPU": 0, "GPU": 0}
    assert {name: kind["min_workers"] for name, kind in types.items()} == {"gpu_worker": 0, "cpu_worker": 0}
    assert types["gpu_worker"]["resources"]["GPU"] >= 1
    assert all(kind["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"} for kind in types.values())


VCPUS = {"m7i.large": 2, "g5.xlarge": 4, "c7i.2xlarge": 8}
"""As AWS lists them."""


def test_the_vcpus_that_count_on_the_quotas_are_those_of_the_machines(cluster: dict[str, Any]) -> None:
    text = (ROOT / "cluster.yaml").read_text(encoding="utf-8")
    for name, kind in cluster["available_node_types"].items():
        machine, count = kind["node_config"]["InstanceType"], kind.get("max_workers", 1)
        line = rf"^# +{name} +{count} x {machine} +{count * VCPUS[machine]} vCPUs +L-[0-9A-F]{{8}}  "
        assert re.search(line, text, flags=re.MULTILINE), name
        assert kind["resources"]["CPU"] in (0, VCPUS[machine])
    workers = [kind["max_workers"] for kind in cluster["available_node_types"].values() if "max_workers" in kind]
    assert cluster["max_workers"] == sum(workers)


def test_no_price_is_stated_since_it_would_be_old() -> None:
    assert not re.search(r"\d\.\d+ USD|USD \d|\$\d", (ROOT / "cluster.yaml").read_text(encoding="utf-8"))


@pytest.mark.ray
def test_how_fast_a_cluster_grows_is_as_the_comment_says(cluster: dict[str, Any]) -> None:
    """Five machines of a kind wait to start and none runs: one is asked for. Where two run, two are."""
    from ray.autoscaler.v2.instance_manager.reconciler import Reconciler
    from ray.core.generated.instance_manager_pb2 import Instance

    def asked(running: int, requested: int = 0) -> int:
        queued = [Instance(instance_type="w", instance_id=str(i), status=Instance.QUEUED) for i in range(5)]
        for instance in queued:
            instance.status_history.add(instance_status=Instance.QUEUED, timestamp_ns=1)
        run = [Instance(instance_type="w") for _ in range(running)]
        way = [Instance(instance_type="other") for _ in range(requested)]
        found = Reconciler._compute_to_launch(queued, way, run, cluster["upscaling_speed"], 10)
        return len(found["w"])

    assert (asked(0), asked(1), asked(2), asked(0, requested=10)) == (1, 1, 2, 0)


@pytest.mark.ray
def test_ray_accepts_the_file_for_machines_of_ones_own_and_starts_all_of_them() -> None:
    local = read("cluster-local.yaml")
    prepared = validate(local)
    (kind,) = prepared["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == prepared["max_workers"] == len(local["provider"]["worker_ips"]) == 2
    assert prepared["head_start_ray_commands"] == local["head_start_ray_commands"]


@pytest.mark.ray
def test_ray_refuses_node_types_among_machines_of_ones_own(cluster: dict[str, Any]) -> None:
    import click

    with pytest.raises(click.ClickException, match="available_node_types is not supported"):
        validate(read("cluster-local.yaml") | {"available_node_types": cluster["available_node_types"]})


def test_machines_of_ones_own_are_started_by_the_autoscaler_that_knows_them() -> None:
    """Ray 2.60's newer one starts one worker of two, and says "Adding 1 nodes" for ever."""
    (start,) = [line for line in read("cluster-local.yaml")["head_start_ray_commands"] if "ray start" in line]
    assert "RAY_enable_autoscaler_v2=0 " in start


def test_every_node_starts_with_the_token_and_without_usage_reports(either: dict[str, Any]) -> None:
    assert either["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for role in ("head", "worker"):
        (start,) = [line for line in either[f"{role}_start_ray_commands"] if "ray start" in line]
        assert "RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 ray start" in start


@pytest.mark.parametrize("name", FILES)
def test_the_dashboard_listens_on_loopback_only(name: str) -> None:
    assert "--dashboard-host=127.0.0.1" in " ".join(read(name)["head_start_ray_commands"])
    assert "0.0.0.0" not in (ROOT / name).read_text(encoding="utf-8")


def test_what_an_install_needs_is_brought_to_every_node(either: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    needed |= {*wheel["packages"], *wheel["force-include"]}
    mounts = {remote: local for remote, local in either["file_mounts"].items() if remote != "~/.ray/auth_token"}
    assert mounts == {f"~/raydistill/{name}": name for name in needed}
    assert all((ROOT / name).exists() for name in needed)


def test_the_files_of_clusters_are_part_of_the_source_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {*FILES, "clusters"} <= set(project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])


@pytest.mark.parametrize("name", FILES)
def test_it_holds_no_credentials(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").lower()
    assert not [word for word in ("aws_access_key", "aws_secret", "private key-----", "session_token") if word in text]
