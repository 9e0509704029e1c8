"""Checks that nodes meet a study's requirements: the driver's code and versions, a shared store, the study's data.

The driver checks every running node before its first work. Each process of a trial or a job checks its own node first, because
nodes may join later.
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

from raydistill.data.splits import hash_of_splits, load_splits
from raydistill.errors import DataError, NodeError, StoreError, StoreUnavailableError
from raydistill.search.needs import NodeNeeds
from raydistill.search.on_ray.capacity import NodeShape
from raydistill.search.on_ray.software import complaint, complaints, looker
from raydistill.search.watcher import Watcher
from raydistill.spaces.sections import Config, ResourcesConfig, dataset_config
from raydistill.storage.data_root import as_data_root
from raydistill.storage.store import Store

FOLDER = ".nodes"
"""Folder of the questions: one each, because commands that share a folder, as comparisons do, run at the same time."""
ASKED = "asked"
"""The driver's file in the folder of its question, beside which nodes write their answers."""
VERSION_SECONDS = 120.0
LOOK_SECONDS = 900.0
"""Long, because a node may have to copy the data first."""


class AskedData(Config):
    """A data set that a node must have."""

    dataset: dict[str, Any]
    sha256: str
    """Of its splits."""


class Question(Config):
    """The requirements that a node checks; sent as JSON."""

    number: str
    """Content of the driver's file, and name of the question's folder."""
    study: str
    data: list[AskedData]
    data_root: str | None
    uses_splits: bool
    """As in `NodeNeeds`."""
    software: dict[str, str]
    """What the driver runs, as `software.looker` tells it."""

    @property
    def folder(self) -> str:
        """Folder in the study, while the command runs: the file that the driver writes for nodes to read, and their answers."""
        return f"{FOLDER}/{self.number}"


def pose(needs: NodeNeeds) -> str:
    """Write the file that every node must be able to read; returns the question as JSON.

    Raises:
        StoreError: the study cannot be written.
    """
    question = Question(
        number=uuid.uuid4().hex,
        study=needs.study.root,
        data=[AskedData(dataset=data.dataset.model_dump(mode="json"), sha256=data.sha256) for data in needs.data],
        data_root=None if needs.data_root is None else str(needs.data_root),
        uses_splits=needs.uses_splits,
        software=looker()(),
    )
    needs.study.write(f"{question.folder}/{ASKED}", question.number)
    return question.model_dump_json()


def take_back(question: str, study: Store) -> None:
    """Delete the driver's file and the answers to it; the questions of other commands stay."""
    study.delete_folder(Question.model_validate_json(question).folder)


def check_nodes(question: str, study: Store, resources: ResourcesConfig, watcher: Watcher) -> None:
    """Check every running node that has the resources for a trial, all in parallel.

    Raises:
        NodeError: nodes have another version of the code, of Python or of PyTorch, or a node cannot read the store or the data,
            or does not answer; the message names them.
    """
    nodes = [node for node in ray.nodes() if node["Alive"] and _holds_one(node, resources)]  # type: ignore[no-untyped-call]
    asked = Question.model_validate_json(question)
    runs = _answers(nodes, looker(), (), VERSION_SECONDS)
    if said := complaints(asked.software, list(zip(map(_name, nodes), runs, strict=True))):
        raise NodeError(said)
    watcher.note(f"Nodes with the driver's code and versions: {len(nodes)}; they now check the store and the data")
    for node, refused in zip(nodes, _answers(nodes, _refusal_to_driver, (question,), LOOK_SECONDS), strict=True):
        if refused is not None:
            raise NodeError(f"node {_name(node)} {refused}")
        if study.read_or_none(f"{asked.folder}/{node['NodeID']}") != asked.number.encode():
            raise NodeError(
                f"node {_name(node)} wrote a file into {study.root}, but the driver does not find it there: give a --store that "
                "all nodes share, a shared folder or s3://"
            )


@functools.cache
def refusal(question: str, is_probe: bool = False) -> str | None:
    """Check the requirements from this process; returns why its node does not meet them, or None. Cached per process.

    Args:
        question: from `pose`.
        is_probe: whether the driver asks, which then reads the answer from a file named after the node, and is told at once of
            a store that does not answer. Others wait for it, as they have work to lose.

    Raises:
        StoreUnavailableError: an S3 store has not answered for as long as `patience` asks again, which is no fault of the node.
    """
    asked = Question.model_validate_json(question)
    if said := complaint(asked.software, looker()()):
        return said
    study = Store(asked.study, is_patient=not is_probe)
    name = f"{asked.folder}/{ASKED}"
    answer = f"{asked.folder}/{ray.get_runtime_context().get_node_id()}"
    try:
        if study.read_or_none(name) != asked.number.encode():
            return (
                f"cannot read the study: the driver wrote {study.path(name)}, but the node does not find it; give a --store that "
                "all nodes share, a shared folder with the same path or s3://"
            )
        study.write(answer if is_probe else f"{answer}-{uuid.uuid4().hex}", asked.number)
        return _other_data(asked)
    except (StoreError, DataError) as error:
        if isinstance(error, StoreUnavailableError) and error.is_silent and not is_probe:
            raise
        return f"cannot use the store or the data: {error}"


def _other_data(asked: Question) -> str | None:
    """What differs in the data of this node; None if nothing does.

    Raises:
        DataError: a data set is missing or damaged.
    """
    root = as_data_root(asked.data_root)
    for data in asked.data:
        config = dataset_config(data.dataset)
        found = load_splits(config, root).sha256 if asked.uses_splits else hash_of_splits(config, root)
        if found != data.sha256:
            return (
                f"has different data: data set {config.name} has hash {found[:12]} there and {data.sha256[:12]} at "
                "the driver; put the same files on every node, or give a --data-root that all nodes share"
            )
    return None


def _refusal_to_driver(question: str) -> str | None:
    return refusal(question, is_probe=True)


def here(refused: str) -> str:
    """A refusal, with this machine's name in front."""
    return f"node {socket.gethostname()} {refused}"


def _answers(nodes: Sequence[dict[str, Any]], function: Callable[..., Any], given: tuple[Any, ...], seconds: float) -> list[Any]:
    """The result of a function on each node, without waiting for free CPUs."""
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
                f"node {_name(node)} could not be checked ({last}); repair it, or remove it from the cluster"
            ) from error
    return answers


def _holds_one(node: dict[str, Any], resources: ResourcesConfig) -> bool:
    has = node["Resources"]
    return NodeShape(name="", cpus=has.get("CPU", 0), gpus=has.get("GPU", 0), count=1).trials(resources) > 0


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
