"""Holds clusters/kuberay.yaml against KubeRay's published schema of a RayCluster.

    python .ci/kuberay_schema.py ray.io_rayclusters.yaml

The file is `helm-chart/kuberay-operator/crds/ray.io_rayclusters.yaml` of KubeRay's repository, at the tag of its release. Ends
with 1 and a line per mistake: a field that the schema does not know, which Kubernetes would drop without a word, or a value of
another type than it says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

MANIFEST = Path(__file__).parent.parent / "clusters" / "kuberay.yaml"
FREE = "x-kubernetes-preserve-unknown-fields"
EITHER = "x-kubernetes-int-or-string"


def schema_of(definition: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The schema of one version of a resource, from its CustomResourceDefinition."""
    (found,) = [v["schema"]["openAPIV3Schema"] for v in definition["spec"]["versions"] if v["name"] == version]
    return found


def mistakes(value: object, schema: Mapping[str, Any]) -> list[str]:
    """Unknown fields and wrong values."""
    wrong = [
        f"{error.json_path.lstrip('$.')}: {error.message}" for error in Draft202012Validator(_plain(schema)).iter_errors(value)
    ]
    return [*unknown(value, schema, ""), *wrong]


def _plain(schema: Any) -> Any:
    """The schema as JSON Schema has it: what may be a number or a text has no one type there."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _plain(part) for key, part in schema.items() if key != "format" or not isinstance(part, str)}
    if kept.get(EITHER) is True:
        kept["type"] = ["integer", "string"]
    return kept


def unknown(value: object, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Fields that a schema does not name."""
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from unknown(item, schema.get("items", {}), f"{path}[{place}]")
    if not isinstance(value, dict) or schema.get(FREE):
        return
    named, others = schema.get("properties", {}), schema.get("additionalProperties")
    is_open = bool(others) or not named  # metadata is an object of Kubernetes' own, without a list here
    for key, item in value.items():
        if key in named:
            yield from unknown(item, named[key], f"{path}.{key}")
        elif isinstance(others, dict):
            yield from unknown(item, others, f"{path}.{key}")
        elif not is_open:
            yield f"{path.lstrip('.')}: no field {key}"


def main(definition: str) -> int:
    """Print the mistakes; returns how the program ends."""
    clusters = [d for d in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")) if d["kind"] == "RayCluster"]
    schema = schema_of(yaml.safe_load(Path(definition).read_text(encoding="utf-8")), "v1")
    found = [line for cluster in clusters for line in mistakes(cluster, schema)]
    print("\n".join(found) or f"{MANIFEST.name}: {len(clusters)} RayCluster, as the schema has it")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
