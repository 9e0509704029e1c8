"""Whether nodes can work for a study: the driver's code, a store that both see, the study's data.

Asked of every live node before its first work, and by each process of a trial or a job as its first act, for nodes join later.
"""

from __future__ import annotations

import functools
import socket
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raydistill.data.splits import load_splits
from raydistill.errors import DataError, NodeError, StoreError
from raydistill.search.needs import NodeNeeds
from raydistill.search.on_ray.capacity import NodeShape
from raydistill.search.watcher import Watcher
from raydistill.spaces.sections import Config, ResourcesConfig, dataset_config
from raydistill.storage.data_root import as_data_root
from raydistill.storage.record import code_sha256, versions
from raydistill.storage.store import Store

FOLDER = ".nodes"
"""In the study while a search runs: what the driver wrote for nodes to read, and what they wrote back."""
VERSION_SECONDS = 120.0
LOOK_SECONDS = 900.0
"""A node may have to copy the data first."""


class Question(Config):
    """What a node is asked; travels as JSON."""

    number: str
    """Names the driver's file, and is what it holds."""
    study: str
    dataset: dict[str, Any]
    data_sha256: str
    data_root: str | None
    version: str
    code_sha256: str


def pose(needs: NodeNeeds) -> str:
    """Write the file that every node must see, and give the question as JSON.

    Raises:
        StoreError: the study cannot be written.
    """
    number = uuid.uuid4().hex
    needs.study.write(f"{FOLDER}/{number}", number)
    return Question(
        number=number,
        study=needs.study.root,
        dataset=needs.dataset.model_dump(mode="json"),
        data_sha256=needs.data_sha256,
        data_root=None if needs.data_root is None else str(needs.data_root),
        version=_version(),
        code_sha256=code_sha256(),
    ).model_dump_json()


def check_nodes(question: str, study: Store, resources: ResourcesConfig, watcher: Watcher) -> None:
    """Ask every live node that can hold a trial, all at once.

    Raises:
        NodeError: one has other code, or does not see the store or the data, or does not answer; named.
    """
    nodes = [node for node in ray.nodes() if node["Alive"] and _holds_one(node, resources)]  # type: ignore[no-untyped-call]
    asked = Question.model_validate_json(question)
    for node, found in zip(nodes, _answers(nodes, _code(), (), VERSION_SECONDS), strict=True):
        if said := other_code(asked, *found):
            raise NodeError(f"node {_name(node)} {said}")
    watcher.note(f"Nodes with this driver's code: {len(nodes)}; they look at the store and the data")
    for node, refused in zip(nodes, _answers(nodes, _refusal_to_driver, (question,), LOOK_SECONDS), strict=True):
        if refused is not None:
            raise NodeError(f"node {_name(node)} {refused}")
        if study.read_or_none(f"{FOLDER}/{asked.number}-{node['NodeID']}") != asked.number.encode():
            raise NodeError(
                f"node {_name(node)} wrote into its {study.root}, and the driver does not see it there: give a --store that all "
                "nodes share, a shared folder or s3://"
            )


def other_code(asked: Question, version: str, code: str) -> str | None:
    """What is wrong with a node's package, or None."""
    if code == asked.code_sha256:
        return None
    return (
        f"runs raydistill {version} (code {code[:12]}), and the driver raydistill {asked.version} (code "
        f"{asked.code_sha256[:12]}): install the same on every node"
    )


@functools.cache
def refusal(question: str, is_probe: bool = False) -> str | None:
    """Look from this process; why its node cannot work for the study, or None. Once per process and question.

    Args:
        question: as `pose` gives it.
        is_probe: answer under the node's own name, where the driver looks.
    """
    asked = Question.model_validate_json(question)
    if said := other_code(asked, _version(), code_sha256()):
        return said
    study = Store(asked.study)
    name = f"{FOLDER}/{asked.number}"
    answer = f"{name}-{ray.get_runtime_context().get_node_id()}"
    try:
        if study.read_or_none(name) != asked.number.encode():
            return (
                f"does not see the study: {study.path(name)}, which the driver wrote, is not there; give a --store that every "
                "node sees, a shared folder under the same path or s3://"
            )
        study.write(answer if is_probe else f"{answer}-{uuid.uuid4().hex}", asked.number)
        found = load_splits(dataset_config(asked.dataset), as_data_root(asked.data_root)).sha256
    except (StoreError, DataError) as error:
        return f"cannot work for the study: {error}"
    if found != asked.data_sha256:
        return (
            f"has other data: data set {asked.dataset['name']} has hash {found[:12]} there and {asked.data_sha256[:12]} at the "
            "driver; put the same files on every node, or give a --data-root that all share"
        )
    return None


def _refusal_to_driver(question: str) -> str | None:
    return refusal(question, is_probe=True)


def here(refused: str) -> str:
    """A refusal with this machine's name."""
    return f"node {socket.gethostname()} {refused}"


def _version() -> str:
    return versions().get("raydistill", "as a folder")


def _code() -> Callable[[], tuple[str, str]]:
    """A function that travels by value, because a node with other code may not have this module."""

    def look() -> tuple[str, str]:
        try:
            from raydistill.storage.record import code_sha256, versions
        except ImportError as error:
            return "none", str(error)
        return versions().get("raydistill", "as a folder"), code_sha256()

    return look


def _answers(nodes: Sequence[dict[str, Any]], function: Callable[..., Any], given: tuple[Any, ...], seconds: float) -> list[Any]:
    """What a function gives on each node, without waiting for free CPUs."""
    task = ray.remote(num_cpus=0, max_retries=0)(function)
    running = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(*given)
        for node in nodes
    ]
    _, late = ray.wait(running, num_returns=len(running), timeout=seconds)
    answers = []
    for node, reference in zip(nodes, running, strict=True):
        if reference in late:
            raise NodeError(f"node {_name(node)} did not answer within {seconds:.0f} s; see to it, or take it out of the cluster")
        try:
            answers.append(ray.get(reference))
        except RayError as error:
            last = str(error).strip().rpartition("\n")[2]
            raise NodeError(
                f"node {_name(node)} could not be looked at ({last}); see to it, or take it out of the cluster"
            ) from error
    return answers


def _holds_one(node: dict[str, Any], resources: ResourcesConfig) -> bool:
    has = node["Resources"]
    return NodeShape(name="", cpus=has.get("CPU", 0), gpus=has.get("GPU", 0), count=1).trials(resources) > 0


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
