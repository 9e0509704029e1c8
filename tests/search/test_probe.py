"""Nodes are checked before their first work: on a real cluster of two nodes, and by a process itself."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up import Told, space, workplace

ray = pytest.importorskip("ray")

from raydistill.data.splits import load_splits  # noqa: E402
from raydistill.errors import NodeError, StoreUnavailableError  # noqa: E402
from raydistill.search.driver import run_search  # noqa: E402
from raydistill.search.needs import NeededData, NodeNeeds  # noqa: E402
from raydistill.search.on_ray import RayExecutor, probe  # noqa: E402
from raydistill.search.on_ray.access import be_patient  # noqa: E402
from raydistill.search.on_ray.lifeline import Lifeline  # noqa: E402
from raydistill.search.on_ray.probe import Question, check_nodes, pose, refusal, take_back  # noqa: E402
from raydistill.search.on_ray.software import complaint, complaints, looker  # noqa: E402
from raydistill.search.on_ray.tune_run import Messenger  # noqa: E402
from raydistill.search.on_ray.watchdog import Watchdog  # noqa: E402
from raydistill.spaces.sections import (  # noqa: E402
    BudgetConfig,
    DatasetConfig,
    ResourcesConfig,
)
from raydistill.storage.record import code_sha256  # noqa: E402
from raydistill.storage.store import Store  # noqa: E402

pytestmark = pytest.mark.ray
PACKAGE = Path(probe.__file__).parents[3]
TINY = """
study: made-up
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 4}
method: {name: datadam, lr_images: {low: 0.1, high: 10.0, log: true}, random_inits: 4, batch_real: 8}
ipc: {low: 1, high: 12}
evaluation: {recipe: quick_plain, networks: 2, baseline_networks: 2, confirm_networks: 2}
goal: {margin_fraction: 0.5}
controls: []
budget: {trials: 1}
"""


def digits(sha256: str | None = None) -> NeededData:
    dataset = DatasetConfig(name="digits")
    return NeededData(dataset=dataset, sha256=sha256 or load_splits(dataset).sha256)


def needs(folder: Path, **changes: Any) -> NodeNeeds:
    fields = {"study": Store(str(folder / "study")), "data": (digits(),), "data_root": None}
    return NodeNeeds(**{**fields, **changes})


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node on a busy machine answers late."""
    monkeypatch.setattr(probe, "VERSION_SECONDS", 600.0)


@pytest.fixture
def node_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "n1"))


@pytest.mark.usefixtures("node_number")
def test_a_node_that_has_everything_is_content_and_answers_in_the_store(tmp_path: Path) -> None:
    wanted = needs(tmp_path)
    question = pose(wanted)
    number = Question.model_validate_json(question).number
    assert refusal(question, True) is None
    assert wanted.study.read(f".nodes/{number}/n1") == number.encode()


@pytest.mark.usefixtures("node_number")
def test_a_command_that_ends_leaves_the_question_of_another_in_the_same_folder(tmp_path: Path) -> None:
    """Two comparisons in one store: a worker that the second starts after the first has ended finds its file."""
    wanted = needs(tmp_path)
    first, second = pose(wanted), pose(wanted)
    take_back(first, wanted.study)
    assert refusal(second) is None
    assert wanted.study.folders(".nodes") == [Question.model_validate_json(second).number]


@pytest.mark.usefixtures("node_number")
def test_a_node_that_does_not_see_the_store_says_so(tmp_path: Path) -> None:
    question = pose(needs(tmp_path))
    shutil.rmtree(tmp_path / "study")
    said = refusal(question)
    assert said is not None
    assert said.startswith(f"cannot read the study: the driver wrote {tmp_path}/study/.nodes/")
    assert said.endswith("give a --store that all nodes share, a shared folder with the same path or s3://")


@pytest.mark.usefixtures("node_number")
def test_a_node_whose_store_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = pose(needs(tmp_path))

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    said = refusal(question)
    assert said is not None
    assert said.startswith(f"cannot use the store or the data: cannot write {tmp_path}/study/.nodes/")


class Away:
    """An S3 store as its file system shows it, which fails so many times."""

    protocol = "s3"

    def __init__(self, files: Store, error: Exception, failing: int) -> None:
        self.files, self.error, self.failing = files, error, failing

    def _fail(self) -> None:
        self.failing -= 1
        if self.failing >= 0:
            raise self.error

    def cat_file(self, path: str) -> bytes:
        self._fail()
        return self.files.read(path.removeprefix("s3://bucket/study/"))

    def pipe_file(self, path: str, data: bytes, timeout: float) -> None:
        self._fail()


def ask_away(folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, failing: int, is_probe: bool = False) -> str | None:
    """What a node says whose S3 store fails."""
    wanted = needs(folder)
    asked = Question.model_validate_json(pose(wanted)).model_copy(update={"study": "s3://bucket/study"})
    away = Away(wanted.study, error, failing)
    monkeypatch.setattr("raydistill.storage.store.open_file_system", lambda uri, options: (away, uri))
    monkeypatch.setattr("raydistill.storage.patience.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("raydistill.storage.patience.PATIENCE_SECONDS", 60.0 if failing < 100 else 0.1)
    return refusal(asked.model_dump_json(), is_probe)


@pytest.mark.usefixtures("node_number")
def test_a_trial_waits_for_a_store_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's own question does not: it comes before any work."""
    pytest.importorskip("s3fs")
    assert ask_away(tmp_path, monkeypatch, ConnectionResetError("by peer"), failing=3) is None
    said = ask_away(tmp_path, monkeypatch, ConnectionResetError("by peer"), failing=3, is_probe=True)
    assert said is not None
    assert said.startswith("cannot use the store or the data: cannot read s3://bucket/study/.nodes/")


@pytest.mark.usefixtures("node_number")
def test_a_store_that_stays_away_is_not_the_nodes_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    with pytest.raises(StoreUnavailableError, match=r"^cannot read s3://bucket/study/.nodes/.*by peer; check the connection"):
        ask_away(tmp_path, monkeypatch, ConnectionResetError("by peer"), failing=1_000_000)


@pytest.mark.usefixtures("node_number")
def test_a_store_that_refuses_a_node_is_the_nodes_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    said = ask_away(tmp_path, monkeypatch, PermissionError("Access Denied"), failing=1)
    assert said is not None
    assert said.startswith("cannot use the store or the data: cannot read s3://bucket/study/.nodes/")


@pytest.mark.usefixtures("node_number")
def test_a_node_with_other_data_says_so_with_both_hashes(tmp_path: Path) -> None:
    wanted = needs(tmp_path, data=(digits(), digits("0123456789abcdef")))
    said = refusal(pose(wanted))
    assert said is not None
    assert "has different data: data set digits has hash" in said
    assert "and 0123456789ab at the driver; put the same files on every node, or give a --data-root that all nodes share" in said


@pytest.mark.usefixtures("node_number")
def test_a_node_checks_data_without_keeping_splits_that_its_work_does_not_use(tmp_path: Path) -> None:
    question = pose(needs(tmp_path, uses_splits=False))
    load_splits.cache_clear()
    assert refusal(question) is None
    assert load_splits.cache_info().currsize == 0
    said = refusal(pose(needs(tmp_path, data=(digits("0123456789abcdef"),), uses_splits=False)))
    assert said is not None
    assert "has different data: data set digits has hash" in said


@pytest.mark.usefixtures("node_number")
def test_a_node_without_the_data_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYDISTILL_OFFLINE", "1")
    said = refusal(pose(needs(tmp_path, data=(NeededData(dataset=DatasetConfig(name="mnist"), sha256="0"),), data_root=tmp_path)))
    assert said is not None
    assert said.startswith("cannot use the store or the data: MNIST files are missing")


DRIVER = {"raydistill": "0.1.0", "code": "a" * 64, "Python": "3.11", "torch": "2.14.1", "torchvision": "0.29.1"}


def test_a_node_tells_what_it_runs() -> None:
    """Of Python the version that decides which wheels fit; of PyTorch the release without its build."""
    found = looker()()
    assert found["code"] == code_sha256()
    assert found["torch"] == importlib.metadata.version("torch").partition("+")[0]
    assert found["Python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert complaint(found, found) is None


def test_another_build_of_the_same_release_is_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2.14.1+cpu")
    assert looker()()["torch"] == "2.14.1"


def test_a_node_without_the_package_tells_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "raydistill.storage.record", None)
    found = looker()()
    assert (found["raydistill"], "halted; None in sys.modules" in found["code"]) == ("none", True)


def test_a_node_without_torch_tells_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", gone)
    found = looker()()
    assert (found["torch"], found["raydistill"]) == ("none", "as a folder")


def test_other_code_is_refused_and_both_are_named() -> None:
    assert complaint(DRIVER, DRIVER | {"raydistill": "0.0.9"}) is None
    said = f"runs raydistill 0.0.9 (code {'f' * 12}), but the driver runs raydistill 0.1.0 (code {'a' * 12})"
    assert complaint(DRIVER, DRIVER | {"raydistill": "0.0.9", "code": "f" * 64}) == (
        f"{said}: install the same versions on every node"
    )


@pytest.mark.parametrize("name", ["Python", "torch", "torchvision"])
def test_another_version_is_refused_and_both_are_named(name: str) -> None:
    assert complaint(DRIVER, DRIVER | {name: "9.9"}) == (
        f"runs {name} 9.9, but the driver runs {name} {DRIVER[name]}: install the same versions on every node"
    )


def test_all_nodes_that_differ_are_told_in_one_message() -> None:
    nodes = [("a", DRIVER | {"torch": "2.13.0"}), ("b", DRIVER), ("c", DRIVER | {"Python": "3.12", "torch": "2.12.0"})]
    assert complaints(DRIVER, nodes) == (
        "node a runs torch 2.13.0; node c runs Python 3.12, torch 2.12.0, but the driver runs Python 3.11, torch 2.14.1: install "
        "the same versions on every node"
    )
    assert complaints(DRIVER, [("b", DRIVER)]) is None


@pytest.mark.usefixtures("node_number")
def test_a_process_of_a_node_that_joined_later_compares_itself(tmp_path: Path) -> None:
    asked = Question.model_validate_json(pose(needs(tmp_path)))
    other = asked.model_copy(update={"software": asked.software | {"torch": "1.0"}})
    said = refusal(other.model_dump_json())
    assert said is not None
    assert said.endswith("but the driver runs torch 1.0: install the same versions on every node")


def test_a_refused_trial_ends_the_search_and_is_not_told(tmp_path: Path) -> None:
    """The messenger has no trial that ended; what it raises after Tune's step reaches the caller."""
    searcher: Any = SimpleNamespace(solver=None, configs={})
    lifeline, watchdog = Lifeline(lambda: None, 0.0), Watchdog(BudgetConfig(trials=1))
    messenger = Messenger(searcher, Store(str(tmp_path)), Told(), SimpleNamespace(), lifeline, watchdog)  # type: ignore[arg-type]
    messenger.on_trial_result(0, [], SimpleNamespace(trial_id="t0"), {"refused": "node a has other data"})  # type: ignore[arg-type]
    with pytest.raises(NodeError, match=r"^node a has other data$"):
        messenger.on_step_end(0, [])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head with one CPU; tests add nodes."""
    from ray.cluster_utils import Cluster

    be_patient()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def test_two_nodes_that_share_all_carry_a_search(cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=1)
    searched, told = space(text=TINY), Told()
    executor = RayExecutor(cluster.address, searched.resources)
    try:
        result = run_search(searched, Store(str(tmp_path)), workplace(told, executor))
    finally:
        cluster.remove_node(node)
    assert result.trials["finished"] == 1
    assert "Nodes with the driver's code and versions: 2; they now check the store and the data" in told.all("note")
    assert list((tmp_path / "made-up/.nodes").iterdir()) == []


@pytest.mark.usefixtures("cluster")
def test_nodes_of_a_cluster_that_the_program_joined_itself_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor is given no address, and finds Ray joined."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    executor = RayExecutor(None, ResourcesConfig())
    executor.require(needs(tmp_path, data=(digits("0123456789abcdef"),)))
    with pytest.raises(NodeError, match=r"^node .* has different data: data set digits has hash"):
        executor.at_once(Told())


@pytest.mark.usefixtures("cluster")
def test_a_node_with_other_code_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    """The driver says that it is another: Ray gives workers of this machine the driver's own path, whatever their node's is."""
    wanted = needs(tmp_path)
    asked = Question.model_validate_json(pose(wanted))
    asked = asked.model_copy(update={"software": asked.software | {"code": "f" * 64}})
    said = (
        rf"^node .* runs raydistill .* \(code {code_sha256()[:12]}\), but the driver runs raydistill .* \(code f{{12}}\): install"
    )
    with pytest.raises(NodeError, match=said):
        check_nodes(asked.model_dump_json(), wanted.study, ResourcesConfig(), Told())


@pytest.mark.usefixtures("cluster")
def test_a_node_with_another_torch_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    wanted = needs(tmp_path)
    asked = Question.model_validate_json(pose(wanted))
    asked = asked.model_copy(update={"software": asked.software | {"torch": "1.0"}})
    with pytest.raises(NodeError, match=r"^node .* runs torch .*, but the driver runs torch 1.0: install the same versions on"):
        check_nodes(asked.model_dump_json(), wanted.study, ResourcesConfig(), Told())


@pytest.mark.usefixtures("cluster")
def test_a_node_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = needs(tmp_path)
    monkeypatch.setattr(ray, "wait", lambda running, **_: ([], running))
    with pytest.raises(NodeError, match=r"^node .* did not answer within 600 s; see to it, or take it out of the cluster$"):
        check_nodes(pose(wanted), wanted.study, ResourcesConfig(), Told())


def test_a_node_that_sees_another_store_is_refused(cluster: Any, tmp_path: Path, bucket: Any) -> None:
    """Its end point is one that does not answer: the port is held, and nobody listens at it."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    silent = f"http://127.0.0.1:{held.getsockname()[1]}"
    node = cluster.add_node(num_cpus=1, env_vars={**bucket.environment, "AWS_ENDPOINT_URL": silent})
    wanted = needs(tmp_path, study=Store(f"{bucket.uri}/study"))
    try:
        with (
            held,
            pytest.raises(NodeError, match=r"^node .* cannot (use the store or the data|be checked)?.*cannot read s3://bucket-"),
        ):
            check_nodes(pose(wanted), wanted.study, ResourcesConfig(), Told())
    finally:
        cluster.remove_node(node)
