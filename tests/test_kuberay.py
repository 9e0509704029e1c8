"""clusters/kuberay.yaml: the fields that it uses, and that its parts agree; KubeRay's own schema where its file is given."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCUMENTS = list(yaml.safe_load_all((ROOT / "clusters" / "kuberay.yaml").read_text(encoding="utf-8")))
SCHEMA = os.environ.get("RAYDISTILL_KUBERAY_CRD")


def only(kind: str) -> dict[str, Any]:
    (found,) = [document for document in DOCUMENTS if document["kind"] == kind]
    return found


SPEC = only("RayCluster")["spec"]
GROUPS = SPEC["workerGroupSpecs"]
PODS = [SPEC["headGroupSpec"]["template"]["spec"], *(group["template"]["spec"] for group in GROUPS)]


@pytest.fixture(scope="module")
def schema() -> ModuleType:
    folder = str(ROOT / ".ci")
    sys.path.insert(0, folder)
    try:
        import kuberay_schema
    finally:
        sys.path.remove(folder)
    return kuberay_schema


def listing(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


TEXT, NUMBER, TRUTH = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
AMOUNTS = {"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": True}}
RESOURCES = listing(requests=AMOUNTS, limits=AMOUNTS)


def many(**fields: Any) -> dict[str, Any]:
    return {"type": "array", "items": listing(**fields)}


CONTAINERS = many(
    name=TEXT,
    image=TEXT,
    securityContext=listing(
        allowPrivilegeEscalation=TRUTH, capabilities=listing(drop={"type": "array", "items": {"type": "string"}})
    ),
    env=many(name=TEXT, value=TEXT),
    ports=many(name=TEXT, containerPort=NUMBER),
    resources=RESOURCES,
    volumeMounts=many(name=TEXT, mountPath=TEXT, subPath=TEXT),
)
VOLUMES = many(
    name=TEXT,
    persistentVolumeClaim=listing(claimName=TEXT),
    emptyDir=listing(medium=TEXT, sizeLimit={"x-kubernetes-int-or-string": True}),
    configMap=listing(name=TEXT),
)
POD = listing(
    spec=listing(
        securityContext=listing(runAsNonRoot=TRUTH, runAsUser=NUMBER, runAsGroup=NUMBER, fsGroup=NUMBER),
        tolerations=many(key=TEXT, operator=TEXT, effect=TEXT),
        containers=CONTAINERS,
        volumes=VOLUMES,
    )
)
PARAMETERS = {"type": "object", "additionalProperties": {"type": "string"}}
USED = listing(
    apiVersion=TEXT,
    kind=TEXT,
    metadata={"type": "object"},
    spec=listing(
        rayVersion=TEXT,
        authOptions=listing(mode={"type": "string", "enum": ["disabled", "token"]}),
        enableInTreeAutoscaling=TRUTH,
        autoscalerOptions=listing(
            version={"type": "string", "enum": ["v1", "v2"]}, idleTimeoutSeconds=NUMBER, resources=RESOURCES
        ),
        headGroupSpec=listing(rayStartParams=PARAMETERS, template=POD),
        workerGroupSpecs=many(
            groupName=TEXT, replicas=NUMBER, minReplicas=NUMBER, maxReplicas=NUMBER, rayStartParams=PARAMETERS, template=POD
        ),
    ),
)
"""The fields of KubeRay and Kubernetes that the file uses, by their documentation: a misspelt one is none of them."""


def test_every_field_is_one_that_is_documented(schema: ModuleType) -> None:
    assert schema.mistakes(only("RayCluster"), USED) == []


@pytest.mark.skipif(
    SCHEMA is None,
    reason="RAYDISTILL_KUBERAY_CRD names no file: KubeRay's helm-chart/kuberay-operator/crds/ray.io_rayclusters.yaml",
)
def test_kuberays_published_schema_takes_it(schema: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.main(str(SCHEMA)) == 0, capsys.readouterr().out


def test_the_check_by_the_schema_tells_a_field_and_a_value_that_are_wrong(
    schema: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    definition = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": USED}}]}}
    (tmp_path / "crd.yaml").write_text(yaml.safe_dump(definition))
    assert schema.main(str(tmp_path / "crd.yaml")) == 0
    wrong = (ROOT / "clusters" / "kuberay.yaml").read_text(encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text(
        wrong.replace("idleTimeoutSeconds", "idleTimeout").replace("maxReplicas: 4", "maxReplicas: four")
    )
    monkeypatch.setattr(schema, "MANIFEST", tmp_path / "wrong.yaml")
    assert schema.main(str(tmp_path / "crd.yaml")) == 1
    said = capsys.readouterr().out
    assert "spec.autoscalerOptions: no field idleTimeout" in said
    assert "spec.workerGroupSpecs[0].maxReplicas: 'four' is not of type 'integer'" in said


def test_what_a_search_is_told_may_start_is_what_the_groups_say() -> None:
    """The ConfigMap is the one place on the head from which a search learns of workers that do not run yet."""
    told = yaml.safe_load(only("ConfigMap")["data"]["ray_bootstrap_config.yaml"])
    assert told["max_workers"] == sum(group["maxReplicas"] for group in GROUPS)
    for group in GROUPS:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        held = {"CPU": int(limits["cpu"])} | ({"GPU": int(limits["nvidia.com/gpu"])} if "nvidia.com/gpu" in limits else {})
        assert told["available_node_types"].pop(group["groupName"]) == {"max_workers": group["maxReplicas"], "resources": held}
    assert told["available_node_types"] == {}


@pytest.mark.ray
def test_a_search_reads_the_groups_from_it() -> None:
    from raydistill.search.on_ray.capacity import node_types

    shapes = node_types(only("ConfigMap")["data"]["ray_bootstrap_config.yaml"])
    assert [(str(shape), shape.count) for shape in shapes] == [
        ("cpu-worker (8 CPUs, 0 GPUs)", 4),
        ("gpu-worker (4 CPUs, 1 GPUs)", 4),
    ]


def test_it_lies_where_a_search_looks_for_it() -> None:
    (mount,) = [m for m in PODS[0]["containers"][0]["volumeMounts"] if m["name"] == "node-types"]
    assert (mount["mountPath"], mount["subPath"]) == ("/home/raydistill/ray_bootstrap_config.yaml", "ray_bootstrap_config.yaml")
    assert "useradd --uid 1000 --create-home --shell /bin/bash raydistill" in (ROOT / "clusters/Dockerfile").read_text("utf-8")


def test_the_head_runs_no_trials_and_workers_start_from_none() -> None:
    assert SPEC["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0", "dashboard-host": "127.0.0.1"}
    assert SPEC["enableInTreeAutoscaling"] is True
    assert {group["minReplicas"] for group in GROUPS} == {0}


def test_every_pod_has_limits_no_root_and_the_store() -> None:
    for pod in PODS:
        (container,) = pod["containers"]
        assert container["resources"]["limits"] == container["resources"]["requests"]
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert {"name": "studies", "mountPath": "/studies"} in container["volumeMounts"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        claim = volumes["studies"]["persistentVolumeClaim"]["claimName"]
        assert claim == only("PersistentVolumeClaim")["metadata"]["name"]


def test_the_store_can_be_written_from_every_node() -> None:
    assert only("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteMany"]


def test_every_pod_asks_for_a_token_and_has_one_image() -> None:
    assert SPEC["authOptions"] == {"mode": "token"}
    assert len({pod["containers"][0]["image"] for pod in PODS}) == 1
