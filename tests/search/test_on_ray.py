"""Searches on a real Ray cluster of this machine, with networks of width 4."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from made_up import Told, space, workplace
from resealed import content

ray = pytest.importorskip("ray")

import psutil  # noqa: E402
from ray.core.generated import gcs_pb2  # noqa: E402

from raydistill.errors import DataError, JobLostError, ResourcesError, TimeLimitError  # noqa: E402
from raydistill.search.distributions import parameters  # noqa: E402
from raydistill.search.driver import run_search  # noqa: E402
from raydistill.search.local import LocalExecutor  # noqa: E402
from raydistill.search.on_ray import RayExecutor, executor, waiting  # noqa: E402
from raydistill.search.on_ray.access import be_patient  # noqa: E402
from raydistill.search.on_ray.capacity import live_nodes, startable_nodes  # noqa: E402
from raydistill.search.on_ray.trial_process import DistillTrial, log_line  # noqa: E402
from raydistill.spaces.sections import ResourcesConfig  # noqa: E402
from raydistill.spaces.space import SearchSpace  # noqa: E402
from raydistill.spaces.trial import TrialConfig  # noqa: E402
from raydistill.storage.record import Reading  # noqa: E402
from raydistill.storage.store import Store  # noqa: E402

pytestmark = pytest.mark.ray

TINY = """
study: made-up
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 4}
method:
  name: datadam
  lr_images: {low: 0.1, high: 1.0, log: true}
  random_inits: {low: 4, high: 8}
  batch_real: 8
ipc: {low: 1, high: 12}
evaluation: {recipe: quick_plain, networks: 2, baseline_networks: 2, confirm_networks: 2}
goal: {margin_fraction: 0.5}
controls: []
budget: {trials: 3}
resources: {max_concurrent_trials: 1}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """One cluster for the module, and its address; an executor in this process finds it and leaves it running."""
    be_patient()
    context = ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield context.address_info["gcs_address"]
    ray.shutdown()


def tiny(*overrides: str) -> SearchSpace:
    return space(*overrides, text=TINY)


def search(folder: Path, *overrides: str, watcher: Any = None, local: bool = False) -> Any:
    searched = tiny(*overrides)
    executor = LocalExecutor() if local else RayExecutor(None, searched.resources)
    return run_search(searched, Store(str(folder)), workplace(watcher, executor))


def records(folder: Path) -> dict[int, dict[str, Any]]:
    """Every record by ask number, without times and host; each ask must have exactly one."""
    found: dict[int, dict[str, Any]] = {}
    for path in (folder / "made-up" / "trials").glob("*/record.json"):
        record = json.loads(path.read_text())
        number = record["config"]["ask_number"]
        assert number not in found
        found[number] = {key: value for key, value in record.items() if key not in ("cost", "started_at", "host", "file_sha256")}
    return found


def states(folder: Path) -> list[str]:
    storage = f"sqlite:///{folder}/made-up/study.db"
    return [t.state.name for t in optuna.load_study(study_name="made-up", storage=storage).get_trials()]


@pytest.fixture(scope="module")
def locally(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny search in one process, to compare with."""
    folder = tmp_path_factory.mktemp("locally")
    search(folder, local=True)
    return folder


@pytest.fixture
def with_baseline(tmp_path: Path, locally: Path) -> Path:
    """A store in which the tiny study has its baseline, so that a search begins with its trials."""
    shutil.copytree(locally / "made-up" / "baseline", tmp_path / "made-up" / "baseline")
    return tmp_path


@pytest.mark.usefixtures("cluster")
def test_ray_and_one_process_give_the_same_records(tmp_path: Path, locally: Path) -> None:
    told = Told()
    result = search(tmp_path, watcher=told)
    assert records(tmp_path) == records(locally)
    assert states(tmp_path) == ["COMPLETE"] * 3
    assert told.all("started") == [0, 1, 2]
    assert [(number, reading.fraction) for number, reading in told.all("reading")] == [
        (number, fraction) for number in range(3) for fraction in (0.0, 0.5, 1.0)
    ]
    written = content(Store(str(locally)), "made-up/result.json")
    assert {**json.loads(result.model_dump_json()), "seconds": 0} == {**written, "seconds": 0}


def process_of(config: TrialConfig[Any]) -> int:
    """The number of a trial's process, which Ray knows by the name that `DistillTrial` gives it."""
    rows = ray._private.state.state._connect_and_get_accessor().get_actor_table(None, "ALIVE")
    actors = [gcs_pb2.ActorTableData.FromString(row) for row in rows]
    # Another test of this cluster may have run the same trial, and its process may still be ending.
    newest = max((actor for actor in actors if f"({config.trial_id})" in actor.repr_name), key=lambda actor: actor.start_time)
    return int(newest.pid)


class Meeting(Told):
    """Has a trial stand still from its first reading until another has started, however late that is."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[int] = []

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        super().reading(config, reading)
        if len(self.all("started")) < 2 and not self.held:
            self.held.append(process_of(config))
            os.kill(self.held[0], signal.SIGSTOP)

    def trial_started(self, config: TrialConfig[Any]) -> None:
        super().trial_started(config)
        if len(self.all("started")) == 2 and self.held:
            os.kill(self.held[0], signal.SIGCONT)


@pytest.mark.usefixtures("cluster")
def test_trials_run_side_by_side(with_baseline: Path) -> None:
    told = Meeting()
    search(with_baseline, "goal.margin_fraction=0.001", "resources.max_concurrent_trials=2", "budget.trials=2", watcher=told)
    kinds = [kind for kind, _ in told.events if kind in ("started", "ended")]
    assert kinds == ["started", "started", "ended", "ended"]


class Kills(Told):
    """Kills the process of trial 0 at its first readings, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        super().reading(config, reading)
        self.kill(config)

    def kill(self, config: TrialConfig[Any]) -> None:
        if config.ask_number == 0 and self.times > 0:
            self.times -= 1
            os.kill(process_of(config), signal.SIGKILL)


@pytest.mark.usefixtures("cluster")
def test_a_lost_process_is_run_again_to_the_same_record(with_baseline: Path, locally: Path) -> None:
    told = Kills(1)
    search(with_baseline, "budget.trials=1", watcher=told)
    assert records(with_baseline)[0] == records(locally)[0]
    (note,) = [note for note in told.all("note") if note.startswith("trial 0") and "is run again" in note]
    assert "is run again from its checkpoint" in note


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_comes_further_between_losses_is_run_to_its_end(with_baseline: Path, locally: Path) -> None:
    """Lost at its first reading and again at its second, half-way."""
    told = Kills(2)
    search(with_baseline, "budget.trials=1", watcher=told)
    assert [note for note in told.all("note") if "is run again from its checkpoint" in note] != []
    assert told.all("started") == [0, 0, 0]
    assert records(with_baseline)[0] == records(locally)[0]


class KillsAtStarts(Kills):
    """Kills the process of trial 0 when it starts, so many times."""

    def trial_started(self, config: TrialConfig[Any]) -> None:
        super().trial_started(config)
        self.kill(config)

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        Told.reading(self, config, reading)


@pytest.mark.usefixtures("cluster")
def test_a_process_lost_again_and_again_is_a_crashed_trial(with_baseline: Path) -> None:
    told = KillsAtStarts(9)
    result = search(with_baseline, "budget.trials=2", watcher=told)
    assert told.all("ended") == [(0, "crashed"), (1, "finished")]
    assert (result.trials["crashed"], result.trials["finished"]) == (1, 1)
    assert states(with_baseline) == ["FAIL", "COMPLETE"]
    assert "actor" in records(with_baseline)[0]["error"]


def failing(error: Exception) -> Any:
    class Job:
        """Made here, so that it travels by value."""

        networks = 1
        name = "a job"

        def __call__(self) -> None:
            raise error

    return Job()


@pytest.mark.usefixtures("cluster")
def test_what_a_job_raises_is_raised_here() -> None:
    with pytest.raises(DataError, match=r"^no such file$"):
        RayExecutor(None, ResourcesConfig()).run_jobs([failing(DataError("no such file"))], Told())


class Part:
    """Counts how often it is made ready to travel; it arrives as text."""

    packed = 0

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        Part.packed += 1
        return str, ("the test images",)


def sharing(file: Path, part: Any) -> Any:
    class Job:
        """Made here, so that it travels by value."""

        networks = 1
        name = "a job"

        def __init__(self, shared: Any) -> None:
            self.shared = shared

        def sharing(self, part: Any) -> Any:
            return Job(part)

        def __call__(self) -> None:
            file.write_text(f"{self.shared}")

    return Job(part)


@pytest.mark.usefixtures("cluster")
def test_a_part_that_jobs_share_is_sent_once_for_all_of_them(tmp_path: Path) -> None:
    part, Part.packed = Part(), 0
    jobs = [*(sharing(tmp_path / str(number), part) for number in range(3)), sharing(tmp_path / "3", None)]
    RayExecutor(None, ResourcesConfig()).run_jobs(jobs, Told())
    assert Part.packed == 1
    assert [(tmp_path / str(number)).read_text() for number in range(4)] == ["the test images"] * 3 + ["None"]


def killed(folder: Path, times: int) -> Any:
    """A job whose process is killed, so many times, and then ends."""

    class Job:
        """Made here, so that it travels by value."""

        networks = 1
        name = "a job"

        def __call__(self) -> None:
            begun = len(list(folder.glob("begun-*")))
            folder.joinpath(f"begun-{begun}").touch()
            if begun < times:
                os.kill(os.getpid(), signal.SIGKILL)

    return Job()


@pytest.mark.usefixtures("cluster")
def test_a_job_whose_process_is_killed_is_run_again(tmp_path: Path) -> None:
    told = Told()
    RayExecutor(None, ResourcesConfig()).run_jobs([killed(tmp_path, 1)], told)
    said = "a job is run again, because its process was lost: The worker died unexpectedly while executing this task"
    assert told.all("note") == [said]
    assert told.all("job") == [None]


@pytest.mark.usefixtures("cluster")
def test_a_job_whose_process_is_killed_again_and_again_ends_the_search(tmp_path: Path) -> None:
    said = r"^a job has failed: its process was lost 4 times, most often because the memory of its node ran out \(Ray: The worker"
    with pytest.raises(JobLostError, match=said):
        RayExecutor(None, ResourcesConfig()).run_jobs([killed(tmp_path, 9)], Told())
    assert len(list(tmp_path.glob("begun-*"))) == 4


def lasting(seconds: float) -> Any:
    class Job:
        """Made here, so that it travels by value."""

        networks = 1
        name = "a job"

        def __call__(self) -> None:
            time.sleep(seconds)

    return Job()


def on_a_busy_cluster(job: Any, told: Told, job_hours: float, busy_seconds: float) -> None:
    """Run a job where another search has both cores for so long."""

    def sleep() -> None:
        time.sleep(busy_seconds)

    other = ray.remote(num_cpus=2)(sleep).remote()
    RayExecutor(None, ResourcesConfig(), job_hours).run_jobs([job], told)
    ray.get(other)


@pytest.mark.usefixtures("cluster")
def test_a_job_that_waits_for_a_busy_cluster_says_so_and_is_not_over_its_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take three seconds, and waits for longer than that."""
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(executor, "LOOK_SECONDS", 1.0)
    told = Told()
    on_a_busy_cluster(lasting(0.0), told, job_hours=3 / 3600, busy_seconds=12.0)
    assert told.all("note") == [
        "networks that wait for a node: 1; each needs 1 CPUs and 0 GPUs, and all running nodes are busy: the networks start when "
        "a node is free"
    ]
    assert told.all("job") == [None]


@pytest.mark.usefixtures("cluster")
def test_a_job_that_runs_for_longer_than_its_hours_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "LOOK_SECONDS", 1.0)
    with pytest.raises(TimeLimitError, match=r"^a job has not ended in [\d.]+ s, and budget.trial_hours is 0.000833333"):
        on_a_busy_cluster(lasting(20.0), Told(), job_hours=3 / 3600, busy_seconds=0.0)


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_the_machine_cannot_hold_is_refused() -> None:
    with pytest.raises(ResourcesError, match="a trial needs 1000 CPUs and 0 GPUs, but no node has that many"):
        RayExecutor(None, ResourcesConfig(cpus_per_trial=1000)).run_jobs([failing(AssertionError())], Told())


@pytest.mark.usefixtures("cluster")
def test_a_cluster_tells_its_nodes_and_what_it_may_start() -> None:
    (node,) = live_nodes()
    assert (node.cpus, node.gpus) == (2, 0)
    assert startable_nodes() == []


@pytest.mark.parametrize("factor", [1, 2])
def test_a_trials_process_is_named_by_what_tells_the_trial_from_the_others(factor: int) -> None:
    """Fields that the space fixes are left out, numbers have three digits, and the id is whole.

    Factor 1 is a default that a trial's JSON leaves out.
    """
    searched = tiny("method.init={choices: [real, noise]}", "method.factor={choices: [2, 1]}")
    values = {"method.lr_images": 1.23456, "method.random_inits": 4, "method.init": "noise", "method.factor": factor, "ipc": 12}
    config = searched.arms[0].trial(ask_number=3, values=values, data_sha256="d")
    process = object.__new__(DistillTrial)
    process.config = {
        "trial": config.canonical_json(),
        "trial_id": config.trial_id,
        "chosen": parameters(searched.arms[0], config),
    }
    assert repr(process) == f"datadam ipc=12 trial 3 ({config.trial_id}) factor={factor} init=noise lr_images=1.23 random_inits=4"


def test_a_reading_is_a_line_of_the_trials_log() -> None:
    config = (
        tiny().arms[0].trial(ask_number=3, values={"method.lr_images": 1.0, "method.random_inits": 4, "ipc": 12}, data_sha256="d")
    )
    reading = Reading(step=15, fraction=0.5, accuracy_fractions=(0.95, 0.97), gap=0.02, loss=0.1)
    assert log_line("made-up", config, reading, 2.54) == (
        f"study=made-up trial={config.trial_id} ask_number=3 ipc=12 step=15 accuracy_fraction=0.9600 gap=0.0200 seconds=2.5"
    )


@pytest.mark.usefixtures("cluster")
def test_a_trials_log_holds_its_readings_below_rays_marks(with_baseline: Path) -> None:
    """Ray marks a log with lines that begin with a colon; nothing else stands there, no empty line either.

    The seed gives the trial an id that no other test of this cluster has: each would have a log that names it.
    """
    search(with_baseline, "budget.trials=1", "seed=77")
    trial_id = records(with_baseline)[0]["trial_id"]
    logs = Path(ray.nodes()[0]["ObjectStoreSocketName"]).parents[1] / "logs"
    (log,) = (path for path in logs.glob("worker-*.out") if f"trial={trial_id}" in path.read_text())
    lines = log.read_text().splitlines()
    readings = [line for line in lines if not line.startswith(":")]
    assert lines[0].startswith(":")
    assert [line.partition(" ask_number")[0] for line in readings] == [f"study=made-up trial={trial_id}"] * 3


def test_a_trial_asks_for_its_share() -> None:
    assert DistillTrial.default_resource_request({"cpus": 2, "gpus": 0.5}).bundles == [{"CPU": 2.0, "GPU": 0.5}]


def command(folder: Path, *options: str) -> subprocess.Popen[str]:
    """The command in a session of its own; without an address it has a cluster of its own."""
    (folder / "tiny.yaml").write_text(TINY)
    code = "from raydistill.cli import main; main()"
    arguments = ["search", str(folder / "tiny.yaml"), "--store", str(folder), *options]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=environment,
        # Tests that a shell started in the background ignore Ctrl-C, those under nohup SIGHUP, and so would their processes.
        preexec_fn=heed_signals,
    )


def heed_signals() -> None:
    """Have a process end by signals that its parent ignores."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.05)


def has_begun(folder: Path, ask_number: int) -> bool:
    """Whether a trial has taken its first reading; on a busy machine it may have ended too when that is seen."""
    for path in (folder / "made-up" / "trials").glob("*/config.json"):
        if json.loads(path.read_text())["ask_number"] == ask_number:
            return any(path.with_name(name).exists() for name in ("progress.json", "record.json"))
    return False


@pytest.mark.usefixtures("cluster")
def test_a_killed_search_resumes_to_the_same_records(with_baseline: Path, locally: Path) -> None:
    killed = command(with_baseline)
    wait_for(lambda: has_begun(with_baseline, 1), killed)
    killed.kill()
    killed.wait()
    before = records(with_baseline)
    search(with_baseline)
    assert before.items() <= records(with_baseline).items()
    assert records(with_baseline) == records(locally)
    assert states(with_baseline) == ["COMPLETE"] * 3


def test_an_interrupted_search_says_how_to_go_on_and_leaves_the_cluster_as_it_was(with_baseline: Path, cluster: str) -> None:
    # Of so many steps that the trial is not done before the interrupt arrives.
    process = command(with_baseline, "--address", cluster, "--set", "method.random_inits=100000")
    wait_for(lambda: has_begun(with_baseline, 0), process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "Interrupted. Finished work is saved; this continues:" in output
    assert "Traceback" not in output
    assert states(with_baseline) == ["WAITING"]
    assert len(live_nodes()) == 1


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """All that the command has started, its Ray included."""
    return psutil.Process(process.pid).children(recursive=True)  # type: ignore[no-any-return]


def begun(folder: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A search on a cluster of its own, in a trial that does not end by itself, and its children."""
    process = command(folder, "--set", "method.random_inits=100000")
    wait_for(lambda: has_begun(folder, 0), process)
    return process, children_of(process)


def ends(process: subprocess.Popen[str], children: list[psutil.Process], seconds: float) -> str:
    """What it says; it and all its children are gone within that time."""
    output, _ = process.communicate(timeout=seconds)
    _, left = psutil.wait_procs(children, timeout=seconds)
    assert left == []
    return output


GONE_SECONDS = 60.0
"""What is promised is ten seconds to end, and thirty until a lost Ray is told; the machine of a test may be busy."""


@pytest.mark.usefixtures("cluster")
def test_a_terminated_search_resumes_to_the_same_records(with_baseline: Path, locally: Path) -> None:
    terminated = command(with_baseline)
    wait_for(lambda: has_begun(with_baseline, 1), terminated)
    children = children_of(terminated)
    terminated.send_signal(signal.SIGTERM)
    output = ends(terminated, children, GONE_SECONDS)
    assert terminated.returncode == 143, output
    (line,) = (line for line in output.splitlines() if line.startswith("Interrupted"))
    assert line == "Interrupted by SIGTERM. Finished work is saved; this continues:"
    assert not any(word in output for word in ("Traceback", "SIGABRT", "*** "))
    before = records(with_baseline)
    search(with_baseline)
    assert before.items() <= records(with_baseline).items()
    assert records(with_baseline) == records(locally)


def test_a_search_whose_terminal_is_closed_leaves_nothing_running(with_baseline: Path) -> None:
    process, children = begun(with_baseline)
    process.send_signal(signal.SIGHUP)
    output = ends(process, children, GONE_SECONDS)
    assert process.returncode == 129, output
    assert "Interrupted by SIGHUP. Finished work is saved; this continues:" in output


@pytest.mark.parametrize(("name", "words"), [("raylet", "the raylet, which runs"), ("gcs_server", "the GCS, Ray's head process")])
def test_a_search_that_loses_ray_says_so(with_baseline: Path, name: str, words: str) -> None:
    process, children = begun(with_baseline)
    (lost,) = (child for child in children if child.name() == name)
    lost.kill()
    output = ends(process, children, GONE_SECONDS)
    assert process.returncode == 1, output
    assert f"\nError: Ray has ended under the search: {words}" in output
    assert "\nFinished work is saved; this continues:\n  raydistill search " in output
    assert records(with_baseline) == {}


class Hangs(Told):
    """Has trial 0 stand still from its first reading on."""

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        super().reading(config, reading)
        if config.ask_number == 0:
            os.kill(process_of(config), signal.SIGSTOP)


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_hangs_is_ended_and_the_search_goes_on(with_baseline: Path, locally: Path) -> None:
    told = Hangs()
    search(with_baseline, "budget.trials=2", "budget.silence_minutes=0.5", watcher=told)
    assert told.all("ended") == [(0, "timed_out"), (1, "finished")]
    found = records(with_baseline)
    assert found[0]["error"].startswith("told nothing for ")
    assert len(found[0]["readings"]) == 1
    assert states(with_baseline) == ["FAIL", "COMPLETE"]
