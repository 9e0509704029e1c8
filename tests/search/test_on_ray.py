"""Searches on a real Ray cluster of this machine, with networks of width 4."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from made_up import Told
from resealed import content
from tiny_search import records, search, states, tiny

ray = pytest.importorskip("ray")

from ray.core.generated import gcs_pb2  # noqa: E402

from raydistill.errors import DataError, JobLostError, ResourcesError, TimeLimitError  # noqa: E402
from raydistill.search.distributions import parameters  # noqa: E402
from raydistill.search.on_ray import RayExecutor, executor, tune_run, waiting  # noqa: E402
from raydistill.search.on_ray.capacity import live_nodes, startable_nodes  # noqa: E402
from raydistill.search.on_ray.trial_process import DistillTrial, log_line  # noqa: E402
from raydistill.search.on_ray.watchdog import Watchdog  # noqa: E402
from raydistill.spaces.sections import ResourcesConfig  # noqa: E402
from raydistill.spaces.trial import TrialConfig  # noqa: E402
from raydistill.storage.record import Reading, TrialRecord  # noqa: E402
from raydistill.storage.result import SearchResult  # noqa: E402
from raydistill.storage.store import Store  # noqa: E402

pytestmark = pytest.mark.ray


@dataclass(frozen=True, kw_only=True, slots=True)
class Searched:
    """What the tiny search left and told."""

    folder: Path
    result: SearchResult
    told: Told
    logs: list[str]
    """Those that Ray kept of its trials' processes, by ask number."""


@pytest.fixture(scope="module")
def searched(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """The tiny search on Ray. Its logs are read before another search of this cluster runs the same trials."""
    folder, told = tmp_path_factory.mktemp("searched"), Told()
    result = search(folder, watcher=told)
    files = Path(ray.nodes()[0]["ObjectStoreSocketName"]).parents[1].glob("logs/worker-*.out")
    texts = [file.read_text() for file in files]
    trial_ids = [record["trial_id"] for _, record in sorted(records(folder).items())]
    logs = [next(text for text in texts if f"trial={trial_id}" in text) for trial_id in trial_ids]
    return Searched(folder=folder, result=result, told=told, logs=logs)


def test_ray_and_one_process_give_the_same_records(searched: Searched, locally: Path) -> None:
    folder, result, told = searched.folder, searched.result, searched.told
    assert records(folder) == records(locally)
    assert states(folder) == ["COMPLETE"] * 3
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


class Touches(Told):
    """Leaves a file at its first note."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def note(self, text: str) -> None:
        super().note(text)
        self.file.touch()


def on_a_busy_cluster(job: Any, told: Touches, job_hours: float) -> None:
    """Run a job where others have both cores until something is noted, and then for as long as the job may take."""
    file = told.file

    def wait() -> None:
        while not file.exists():
            time.sleep(0.05)
        time.sleep(3600 * job_hours)

    other = ray.remote(num_cpus=2)(wait).remote()
    RayExecutor(None, ResourcesConfig(), job_hours).run_jobs([job], told)
    ray.get(other)


@pytest.mark.usefixtures("cluster")
def test_a_job_that_waits_for_a_busy_cluster_says_so_and_is_not_over_its_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take three seconds, and waits for longer than that."""
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(executor, "LOOK_SECONDS", 1.0)
    told = Touches(tmp_path / "noted")
    on_a_busy_cluster(lasting(0.0), told, job_hours=3 / 3600)
    assert told.all("note") == [
        "networks that wait for a node: 1; each needs 1 CPUs and 0 GPUs, and all running nodes are busy: the networks start when "
        "a node is free"
    ]
    assert told.all("job") == [None]


@pytest.mark.usefixtures("cluster")
def test_a_job_that_runs_for_longer_than_its_hours_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "LOOK_SECONDS", 1.0)
    with pytest.raises(TimeLimitError, match=r"^a job has not ended in [\d.]+ s, and budget.trial_hours is 0.000833333"):
        RayExecutor(None, ResourcesConfig(), 3 / 3600).run_jobs([lasting(20.0)], Told())


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


def test_a_trials_log_holds_its_readings_below_rays_marks(searched: Searched) -> None:
    """Ray marks a log with lines that begin with a colon; nothing else stands there, no empty line either."""
    trial_id = records(searched.folder)[0]["trial_id"]
    lines = searched.logs[0].splitlines()
    readings = [line for line in lines if not line.startswith(":")]
    assert lines[0].startswith(":")
    assert [line.partition(" ask_number")[0] for line in readings] == [f"study=made-up trial={trial_id}"] * 3


def test_a_trial_asks_for_its_share() -> None:
    assert DistillTrial.default_resource_request({"cpus": 2, "gpus": 0.5}).bundles == [{"CPU": 2.0, "GPU": 0.5}]


class Hangs(Told):
    """Has trial 0 stand still from its first reading on, and time pass by five seconds a look until it has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs, self.skipped = False, 0.0

    def clock(self) -> float:
        if self.hangs:
            self.skipped += 5.0
        return time.monotonic() + self.skipped

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        super().reading(config, reading)
        if config.ask_number == 0:
            os.kill(process_of(config), signal.SIGSTOP)
            self.hangs = True

    def trial_ended(self, record: TrialRecord) -> None:
        super().trial_ended(record)
        self.hangs = False


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_hangs_is_ended_and_the_search_goes_on(with_baseline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Hangs()
    monkeypatch.setattr(tune_run, "Watchdog", partial(Watchdog, clock=told.clock))
    search(with_baseline, "budget.trials=2", "budget.silence_minutes=0.5", watcher=told)
    assert told.all("ended") == [(0, "timed_out"), (1, "finished")]
    found = records(with_baseline)
    assert found[0]["error"].startswith("told nothing for ")
    assert len(found[0]["readings"]) == 1
    assert states(with_baseline) == ["FAIL", "COMPLETE"]
